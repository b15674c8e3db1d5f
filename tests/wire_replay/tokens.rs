//! Recorded tokens: made anew for the time and the cluster of the replay, and compared by what they claim.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// Secrets that the recorded services used, the first one first.
const SECRETS: [&str; 3] = ["aBitLongSecretKeyForHMAC", "anotherSecretKeyForHMAC1", "x"];

/// The secret that the replayed service starts with.
pub(crate) const SECRET: &str = SECRETS[0];

/// Seconds that a token lives here which was recorded with a few seconds only.
const SHORT_LIFE: f64 = 1.0;

/// Recorded tokens and what stands for them here.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    known: BTreeMap<String, String>,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64()
}

fn signature(secret: &str, input: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(input.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Calls `replace` with every token in a text.
fn each(text: &str, mut replace: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let len = rest[at..].find(|c| !belongs(c)).unwrap_or(rest.len() - at);
        let token = &rest[at..at + len];
        out.push_str(&rest[..at]);
        out.push_str(&if token.split('.').count() == 3 { replace(token) } else { token.to_owned() });
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}

impl Tokens {
    /// What to send instead of a recorded text that was sent at `then`, seconds since the epoch.
    pub(crate) fn translate(&mut self, text: &str, then: f64, ids: impl Fn(&str) -> String) -> String {
        each(text, |token| {
            let known = self.known.get(token).cloned();
            let new = known.unwrap_or_else(|| renew(token, now() - then, &ids));
            self.known.insert(token.to_owned(), new.clone());
            new
        })
    }

    /// Takes the token that was given out here for the recorded one.
    pub(crate) fn learn(&mut self, recorded: &str, here: &str) {
        let token = |text: &str| {
            let document: Value = serde_json::from_str(text).ok()?;
            document["token"].as_str().map(str::to_owned)
        };
        if let (Some(recorded), Some(here)) = (token(recorded), token(here)) {
            self.known.insert(recorded, here);
        }
    }

    /// Waits until the tokens that live for seconds only have expired.
    pub(crate) fn outlive_short(&self) {
        let expiry = |token: &String| decode(token.split('.').nth(1)?)?["exp"].as_f64();
        let short = self.known.values().filter_map(expiry).filter(|exp| exp.fract() != 0.0);
        let latest = short.fold(0.0, f64::max);
        while now() <= latest {
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }
}

/// The token with its times moved and other ids in it, signed as before.
fn renew(token: &str, shift: f64, ids: &impl Fn(&str) -> String) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, old_signature] = parts.as_slice() else { return token.to_owned() };
    let Some(mut claims) = decode(payload) else { return token.to_owned() };
    let short = matches!((claims["exp"].as_f64(), claims["iat"].as_f64()), (Some(e), Some(i)) if (0.0..10.0).contains(&(e - i)));
    for name in ["exp", "iat", "nbf"] {
        if let Some(time) = claims[name].as_f64() {
            claims[name] = Value::from((time + shift).round());
            if let Some(whole) = claims[name].as_f64().filter(|_| name != "exp" || !short) {
                #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
                let whole = whole as i64;
                claims[name] = Value::from(whole);
            }
        }
    }
    if short {
        // Half seconds tell these from all others.
        claims["exp"] = Value::from((now() + SHORT_LIFE).floor() + 0.5);
    }
    let input = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(ids(&claims.to_string())));
    let recorded = format!("{header}.{payload}");
    let secret = SECRETS.iter().find(|secret| signature(secret, &recorded) == *old_signature);
    let signature = secret.map_or_else(|| (*old_signature).to_owned(), |secret| signature(secret, &input));
    format!("{input}.{signature}")
}

/// A text with its tokens replaced by what they claim, but for times and identity.
pub(crate) fn normal(text: &str, ids: impl Fn(&str) -> String) -> String {
    each(text, |token| {
        let mut parts = token.split('.');
        let (header, claims) = (parts.next().and_then(decode), parts.next().and_then(decode));
        let (Some(header), Some(mut claims)) = (header, claims) else { return "TOKEN".into() };
        let life = claims["exp"].as_f64().zip(claims["iat"].as_f64()).map(|(exp, iat)| exp - iat);
        let life = life.map_or_else(
            || "?".to_owned(),
            |life| if life < 10.0 { "short".into() } else { life.to_string() },
        );
        // Sorted by the ids of here.
        claims = serde_json::from_str(&ids(&claims.to_string())).expect("claims");
        if let Some(audience) = claims["aud"].as_array_mut() {
            audience.sort_by_key(Value::to_string);
        }
        if let Some(map) = claims.as_object_mut() {
            map.retain(|name, _| !matches!(name.as_str(), "exp" | "iat" | "nbf" | "jti"));
        }
        // Quotes would end the string that the token stands in.
        format!("TOKEN({header} {claims} for {life})").replace('"', "'")
    })
}
