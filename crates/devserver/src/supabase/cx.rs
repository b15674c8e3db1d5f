//! A request on its way through the handlers.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method};
use serde_json::Value;

use super::Service;
use super::caller::Caller;
use super::error::{Fail, Result};
use super::names;
use super::query;
use super::rows::Bucket;
use super::schema::Fields;
use crate::fault::Plan;
use crate::http::ReqBody;

/// Longest document that is accepted.
const MAX_JSON: usize = 1 << 20;

/// A request.
#[derive(Debug)]
pub(super) struct Cx {
    pub(super) service: Arc<Service>,
    pub(super) method: Method,
    /// Path and query, without the prefix of the gateway.
    pub(super) url: String,
    /// The gateway's prefix, or nothing.
    pub(super) prefix: &'static str,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) plan: Plan,
    pub(super) body: ReqBody,
}

/// What an absent document means to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBody {
    /// A document of the announced type has to be there.
    Refused,
    /// It may be missing.
    Fine,
}

/// What a route says to a request without an `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// That the header is missing.
    Missing,
    /// That the token is bad, as if it were empty.
    BadToken,
}

impl Cx {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// A header's bytes as text, whatever they are.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rfind(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// True only for the exact word.
    pub(super) fn upsert(&self) -> bool {
        self.header("x-upsert") == Some("true")
    }

    pub(super) fn fields(&self) -> Fields {
        Fields::query(&self.query)
    }

    /// Who calls; the route needs a token.
    pub(super) fn caller(&self, absent: NoHeader) -> Result<Caller> {
        match self.text(AUTHORIZATION.as_str()) {
            Some(header) => self.service.bearer(&header),
            None if absent == NoHeader::Missing => {
                Err(Fail::schema("headers must have required property 'authorization'"))
            }
            None => self.service.bearer(""),
        }
    }

    fn is_json(&self) -> bool {
        let kind = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json"))
    }

    /// The document that the request carries; null for a body of any other type, which is thrown away.
    pub(super) async fn json(&mut self, absent: NoBody) -> Result<Value> {
        if !self.is_json() {
            return Ok(Value::Null);
        }
        let too_long = || {
            let fail = Fail::new(413, "FastifyError", "Request body is too large", "EntityTooLarge");
            fail.real().close()
        };
        if self.body.known_len().is_some_and(|n| n > MAX_JSON as u64) {
            return Err(too_long());
        }
        let bytes = self.body.collect(MAX_JSON).await?.ok_or_else(too_long)?;
        if bytes.is_empty() {
            let message = "Body cannot be empty when content-type is set to 'application/json'";
            return if absent == NoBody::Fine { Ok(Value::Null) } else { Err(Fail::body(message)) };
        }
        serde_json::from_slice(&bytes)
            .map_err(|_| Fail::body("Body is not valid JSON but content-type is set to 'application/json'"))
    }

    /// The members of the document that the route requires.
    pub(super) async fn document(&mut self) -> Result<Fields> {
        Fields::body(self.json(NoBody::Refused).await?)
    }

    /// The bucket of that id, if there is one; its name is checked.
    pub(super) fn find_bucket(&self, id: &str) -> Result<Option<Bucket>> {
        names::check_bucket(id)?;
        Bucket::find(&self.service.storage.snapshot()?, id)
    }

    /// The bucket of that id.
    pub(super) fn bucket(&self, id: &str) -> Result<Bucket> {
        self.find_bucket(id)?.ok_or_else(Fail::no_bucket)
    }

    /// The object that the user's metadata header holds; what cannot be read counts as absent.
    pub(super) fn user_metadata(&self) -> Option<Value> {
        use base64::Engine as _;
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &base64::alphabet::STANDARD,
            GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                .with_decode_allow_trailing_bits(true),
        );
        let text = self.header("x-metadata")?.replace('-', "+").replace('_', "/");
        let bytes = LENIENT.decode(text).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object)
    }
}

/// The pairs of a URL's query.
pub(super) fn split(url: &str) -> (&str, Vec<(String, String)>) {
    let (path, raw) = url.split_once('?').unwrap_or((url, ""));
    (path, query::pairs(raw))
}
