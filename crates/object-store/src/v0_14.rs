//! For version 0.14 of the `object_store` crate.

use object_store_0_14 as object_store;

crate::adapter::adapter!(extensions);
