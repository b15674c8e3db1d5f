//! Tokens and what they say.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use serde::{Deserialize, Deserializer};

use crate::{BucketAcl, ClusterAcl};

/// A token of the service: whoever has it may do what it says until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: Secret,
    expires: Option<SystemTime>,
}

/// What a token says about its owner, read without checking the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// User it was made for.
    #[serde(default, rename = "sub")]
    pub user: String,
    /// Whether it allows everything.
    #[serde(default)]
    pub admin: bool,
    /// Access to clusters.
    #[serde(default, deserialize_with = "crate::wire::null_as_default")]
    pub clusters: Vec<ClusterAcl>,
    /// Access to single buckets.
    #[serde(default, deserialize_with = "crate::wire::null_as_default")]
    pub buckets: Vec<BucketAcl>,
    /// Who made it.
    #[serde(default, rename = "iss")]
    pub issuer: String,
    /// Clusters that it is meant for.
    #[serde(default, rename = "aud", deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// When it expires, in seconds since 1970.
    #[serde(default, rename = "exp")]
    pub expires: u64,
    /// When it was made, in seconds since 1970.
    #[serde(default, rename = "iat")]
    pub issued: u64,
}

impl Token {
    /// Takes the text of a token. Its expiry is read from it if it is a JSON web token.
    pub fn new(secret: Secret) -> Self {
        let expires = claims(&secret)
            .and_then(|c| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(c.expires)))
            .filter(|at| *at > SystemTime::UNIX_EPOCH);
        Self { secret, expires }
    }

    /// How long it lives in all, by the clock of the service that made it; if it does not say, what is left of its
    /// life now, by the clock of this machine. `None` if it does not expire.
    pub(crate) fn lifetime(&self) -> Option<Duration> {
        let expires = self.expires?;
        match claims(&self.secret) {
            Some(Claims { expires, issued: issued @ 1.., .. }) => {
                Some(Duration::from_secs(expires.saturating_sub(issued)))
            }
            _ => Some(expires.duration_since(SystemTime::now()).unwrap_or_default()),
        }
    }

    /// The text itself.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// When it expires, if it says.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// What it says ([`ErrorKind::InvalidInput`] if it is no JSON web token). The signature is not checked.
    pub fn claims(&self) -> Result<Claims> {
        claims(&self.secret)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the token is not a JSON web token of AuthN"))
    }
}

/// A list, a single text, or nothing: other issuers than AuthN write all three.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Audience::One(name)) => vec![name],
        Some(Audience::Many(names)) => names,
    })
}

fn claims(token: &Secret) -> Option<Claims> {
    let payload = token.expose().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("secret", &self.secret).field("expires", &self.expires).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A token with these claims and a signature that nobody checks.
    pub(crate) fn forged(claims: &serde_json::Value) -> Secret {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = serde_json::json!({"alg": "HS256", "typ": "JWT"});
        Secret::from(format!("{}.{}.c2ln", part(&header), part(claims)))
    }

    #[test]
    fn claims_are_read() {
        let token = Token::new(forged(&serde_json::json!({
            "clusters": [{"id": "c1", "perm": "12288"}], "admin": false, "sub": "bob", "aud": ["c1"], "exp": 100, "iat": 40
        })));
        let claims = token.claims().unwrap();
        assert_eq!((claims.user.as_str(), claims.issued), ("bob", 40));
        assert_eq!(claims.clusters[0].access, crate::AccessFlags::CLUSTER_RO);
        assert_eq!(token.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100)));
    }

    #[test]
    fn an_audience_of_one_need_not_be_a_list() {
        for (aud, expected) in [
            (serde_json::json!("c1"), &["c1"][..]),
            (serde_json::json!(["c1", "c2"]), &["c1", "c2"]),
            (serde_json::json!(null), &[]),
        ] {
            let token = Token::new(forged(&serde_json::json!({"aud": aud, "exp": 100})));
            assert!(token.expires().is_some(), "{aud}");
            assert_eq!(token.claims().unwrap().audience, expected);
        }
    }

    #[test]
    fn a_life_is_counted_by_the_clock_that_made_it() {
        let life = |claims| Token::new(forged(&claims)).lifetime();
        assert_eq!(life(serde_json::json!({"iat": 40, "exp": 100})), Some(Duration::from_secs(60)));
        assert_eq!(life(serde_json::json!({"exp": 100})), Some(Duration::ZERO), "it is over");
        assert_eq!(life(serde_json::json!({"iat": 40})), None);
    }

    #[test]
    fn any_text_can_be_a_token_and_none_is_shown() {
        let token = Token::new("sesame".into());
        assert_eq!(token.expires(), None);
        assert!(token.claims().is_err());
        assert!(!format!("{token:?}").contains("sesame"));
    }
}
