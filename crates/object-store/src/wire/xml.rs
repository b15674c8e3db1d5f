//! Documents.

use longshore_core_types::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

/// Reads a document.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T> {
    let fail = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Protocol, format!("the answer is not {what}"))
            .with_response_excerpt(body)
            .with_source(error)
    };
    let text = std::str::from_utf8(body).map_err(|error| fail(error.into()))?;
    // Some services begin with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    quick_xml::de::from_str(text).map_err(|error| fail(error.into()))
}
