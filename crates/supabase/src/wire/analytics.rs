//! Calls on analytics buckets, which are warehouses of Iceberg tables.

use http::Method;
use longshore_core_types::{Idempotency::Idempotent, Idempotency::NotIdempotent, Result};
use longshore_transport::encode_path;

use super::{Request, bucket::ListParams};
use crate::names::invalid;

const ROUTE: &str = "/iceberg/bucket";

fn check(name: &str) -> Result<()> {
    if name.is_empty() { Err(invalid("an analytics bucket needs a name")) } else { Ok(()) }
}

pub(crate) fn create(name: &str) -> Result<Request> {
    check(name)?;
    Request::new(Method::POST, ROUTE, "supabase.analytics.create", NotIdempotent)
        .json(&serde_json::json!({ "name": name }))
}

pub(crate) fn list(params: &ListParams) -> Result<Request> {
    params.apply(Request::new(Method::GET, ROUTE, "supabase.analytics.list", Idempotent))
}

pub(crate) fn delete(name: &str) -> Result<Request> {
    check(name)?;
    let path = format!("{ROUTE}/{}", encode_path(name));
    Ok(Request::new(Method::DELETE, path, "supabase.analytics.delete", Idempotent))
}
