//! What the signers share: the library signs requests of its own kind.

use http::{HeaderName, request::Parts};
use longshore_core_types::{Error, ErrorKind};
use object_store_0_14::client::{HttpRequest, HttpRequestBody};

pub(crate) fn failed(error: object_store_0_14::Error) -> Error {
    Error::new(ErrorKind::Other, "the request could not be signed").with_source(error)
}

/// The method, the URL and those headers that `is_signed`, for the library to sign. Others may change on the way, as
/// proxies see fit.
pub(crate) fn to_sign(parts: &Parts, is_signed: impl Fn(&HeaderName) -> bool) -> HttpRequest {
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    for (name, value) in parts.headers.iter().filter(|(name, _)| is_signed(name)) {
        request.headers_mut().append(name.clone(), value.clone());
    }
    request
}

/// Moves the headers of these names that the library made into the request; those of `secret` are never printed.
pub(crate) fn move_headers(
    from: &mut HttpRequest,
    parts: &mut Parts,
    secret: &[HeaderName],
    public: &[HeaderName],
) {
    for name in secret.iter().chain(public) {
        if let Some(mut value) = from.headers_mut().remove(name) {
            value.set_sensitive(secret.contains(name));
            parts.headers.insert(name, value);
        }
    }
}
