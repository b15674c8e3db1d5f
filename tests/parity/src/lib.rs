//! The symbols that `docs/parity.toml` names, as links: one that does not exist is an error of rustdoc.
#![doc = ""]
#![doc = include_str!(concat!(env!("OUT_DIR"), "/links.md"))]

use longshore_aistore as _;
use longshore_apolo as _;
use longshore_authn_api as _;
use longshore_blob_api as _;
use longshore_core_types as _;
use longshore_supabase as _;
use longshore_transfer as _;
