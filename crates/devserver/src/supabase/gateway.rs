//! What stands in front of the service below `/storage/v1`: it knows the opaque API keys, which the service does not.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use super::error::{Fail, Result};
use super::settings::SupabaseSettings;

pub(super) const PREFIX: &str = "/storage/v1";
const API_KEY: HeaderName = HeaderName::from_static("apikey");

/// The path below the prefix, if it stands below it.
pub(super) fn strip(url: &str) -> Option<&str> {
    let rest = url.strip_prefix(PREFIX)?;
    match rest.chars().next() {
        None => Some("/"),
        Some('/' | '?') => Some(rest),
        Some(_) => None,
    }
}

/// Turns the API key of a request into the token that it stands for. A token of a user goes before the key.
pub(super) fn translate(headers: &mut HeaderMap, settings: &SupabaseSettings) -> Result<()> {
    let text = |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let given = text(&AUTHORIZATION);
    let opaque = given.as_deref().and_then(|v| v.strip_prefix("Bearer ")).filter(|t| t.starts_with("sb_"));
    if given.is_some() && opaque.is_none() {
        return Ok(());
    }
    // Without a token the key itself is passed on, and without a key nothing that is one.
    let key = text(&API_KEY).or_else(|| opaque.map(str::to_owned)).unwrap_or_default();
    let token = if key == settings.publishable_key {
        format!("Bearer {}", settings.anon_key())
    } else if key == settings.secret_key {
        format!("Bearer {}", settings.service_key())
    } else if key.starts_with("sb_") {
        return Err(Fail::gateway("Invalid API key"));
    } else {
        key
    };
    if let Ok(mut value) = HeaderValue::from_str(&token) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(pairs: &[(&'static str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        translate(&mut headers, &SupabaseSettings::default()).ok()?;
        Some(headers.get(AUTHORIZATION)?.to_str().unwrap().to_owned())
    }

    #[test]
    fn prefixes() {
        assert_eq!(strip("/storage/v1/bucket?x=1"), Some("/bucket?x=1"));
        assert_eq!(strip("/storage/v1"), Some("/"));
        assert_eq!(strip("/storage/v10/bucket"), None);
        assert_eq!(strip("/bucket"), None);
    }

    #[test]
    fn keys() {
        let settings = SupabaseSettings::default();
        let (anon, service) =
            (format!("Bearer {}", settings.anon_key()), format!("Bearer {}", settings.service_key()));
        let (public, secret) = (settings.publishable_key(), settings.secret_key());
        assert_eq!(translated(&[("apikey", public)]), Some(anon.clone()));
        assert_eq!(translated(&[("apikey", secret)]), Some(service.clone()));
        let opaque = format!("Bearer {secret}");
        assert_eq!(translated(&[("apikey", secret), ("authorization", &opaque)]), Some(service.clone()));
        assert_eq!(translated(&[("authorization", &opaque)]), Some(service));
        // A user's token stays.
        assert_eq!(
            translated(&[("apikey", public), ("authorization", "Bearer user")]),
            Some("Bearer user".into())
        );
        assert_eq!(translated(&[("apikey", "a.b.c")]), Some("a.b.c".into()));
        assert_eq!(translated(&[]), Some(String::new()));
        assert_eq!(translated(&[("apikey", "sb_secret_wrong")]), None);
    }
}
