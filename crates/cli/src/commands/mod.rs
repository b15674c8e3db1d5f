//! One module for each command.

pub(crate) mod ais;
pub(crate) mod apolo;
pub(crate) mod authn;
pub(crate) mod cat;
pub(crate) mod cp;
#[cfg(feature = "dev")]
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod du;
pub(crate) mod ls;
pub(crate) mod mb;
pub(crate) mod mv;
pub(crate) mod presign;
pub(crate) mod rb;
pub(crate) mod resume;
pub(crate) mod rm;
pub(crate) mod stat;
pub(crate) mod supabase;
pub(crate) mod sync;
pub(crate) mod trees;

use longshore::{Location, StoreUrl};

use crate::{
    failure::{Failure, parse_location},
    listing::{require_support, service_of},
};

/// Reads an argument that must be a store URL.
fn store_url(text: &str) -> Result<StoreUrl, Failure> {
    match parse_location(text)? {
        Location::Store(url) => Ok(url),
        _ => Err(Failure::usage(format!("{text:?} is not a store URL"))
            .hint(format!("write one such as ais://bucket/{}", text.trim_start_matches(['.', '/', '-'])))),
    }
}

/// Reads an argument that must be the URL of a bucket.
fn bucket_url(text: &str) -> Result<StoreUrl, Failure> {
    let url = store_url(text)?;
    require_support(&url)?;
    match (url.bucket(), url.key()) {
        (Some(_), "") => Ok(url),
        (Some(_), _) => Err(Failure::usage(format!("{url} names an object, not a bucket"))
            .hint(format!("the bucket is {}", url.with_key("")))),
        (None, _) => Err(Failure::usage(format!("{url} names no bucket"))
            .hint(format!("write {}BUCKET", service_of(&url)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        assert_eq!(bucket_url("ais://b/").unwrap().to_string(), "ais://b");
        for bad in ["ais://b/k", "ais://", "b", "-", "foo://b"] {
            assert_eq!(bucket_url(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
        assert!(store_url("ais://").is_ok());
    }
}
