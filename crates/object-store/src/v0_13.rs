//! For version 0.13 of the `object_store` crate.

use object_store_0_13 as object_store;

crate::adapter::adapter!();
