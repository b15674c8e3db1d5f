//! Tokens that lie in files.

use std::{fs, io, path::Path};

use longshore_core_types::{Error, ErrorKind, Result, Secret};
use serde_json::Value;

/// The token in a file: JSON with a member `token`, as the logins of AIStore and longshore write it, or the token
/// alone.
///
/// Fails with [`ErrorKind::InvalidConfig`] if the file is missing, unreadable or holds no token. The error names
/// the file and nothing of what is in it.
pub fn read_token_file(path: &Path) -> Result<Secret> {
    let failed = |what: &str| {
        Error::new(ErrorKind::InvalidConfig, format!("the token file {} {what}", path.display()))
    };
    let bytes = fs::read(path).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::NotFound => "does not exist; log in to create it",
            _ => "cannot be read",
        };
        failed(what).with_source(error)
    })?;
    token_in(&bytes).ok_or_else(|| failed("holds no token: expected {\"token\": \"...\"} or the token alone"))
}

fn token_in(content: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(content).ok()?.trim();
    let token = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut members)) => match members.remove("token") {
            Some(Value::String(token)) => token,
            _ => return None,
        },
        // Half of a JSON document is no token, and neither is a sentence.
        _ if text.contains(['{', '"']) || text.contains(char::is_whitespace) => return None,
        _ => text.to_owned(),
    };
    (!token.is_empty()).then(|| Secret::from(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let found = |content: &str| token_in(content.as_bytes()).map(|token| token.expose().to_owned());
        for content in ["{\"token\":\"j.w.t\"}\n", "{\"user\": \"bob\", \"token\": \"j.w.t\"}", " j.w.t \n"] {
            assert_eq!(found(content).as_deref(), Some("j.w.t"), "{content}");
        }
        assert_eq!(found("12345").as_deref(), Some("12345"), "a number may be a token");
        for content in ["", "{}", "{\"token\":\"\"}", "{\"token\":1}", "{\"tok", "two words", "\"quoted\""] {
            assert_eq!(found(content), None, "{content}");
        }
        assert!(token_in(b"\xff\xfe").is_none());
    }

    #[test]
    fn errors_name_the_file_and_not_its_content() {
        let path = std::env::temp_dir().join(format!("longshore-token-{}", std::process::id()));
        let missing = read_token_file(&path).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::InvalidConfig);
        assert!(missing.to_string().contains("log in to create it"), "{missing}");
        fs::write(&path, "sesame open").unwrap();
        let error = read_token_file(&path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        assert!(!format!("{error} {error:?}").contains("sesame"));
    }
}
