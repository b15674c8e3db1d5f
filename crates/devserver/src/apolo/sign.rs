//! Signed URLs.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::Service;
use super::bucket_api::{Where, user};
use super::caller::Presented;
use super::error::{Fail, Result};
use super::schema::Fields;
use super::settings::ApoloAction;
use super::state::Bucket;

/// Regions in which the original's library still signs URLs with Version 2.
const OLD_REGIONS: &[&str] = &[
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
];

/// Longest life of a URL that S3 takes.
const LONGEST: u64 = 7 * 24 * 3600;

const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// What signs.
struct Signer {
    access_key: String,
    secret: String,
    region: String,
    endpoint: String,
}

fn mac<M: Mac + hmac::KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
    // Keys of any length will do.
    let Ok(mut mac) = <M as hmac::KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

impl Signer {
    fn url(&self, bucket: &str, key: &str, seconds: u64, now: jiff::Timestamp) -> String {
        let path = format!("/{bucket}/{}", utf8_percent_encode(key, PATH));
        let query = if OLD_REGIONS.contains(&self.region.as_str()) {
            self.version_2(&path, seconds, now)
        } else {
            self.version_4(&path, seconds, now)
        };
        format!("{}{path}?{query}", self.endpoint)
    }

    fn version_2(&self, path: &str, seconds: u64, now: jiff::Timestamp) -> String {
        let expires = now.as_second().saturating_add_unsigned(seconds);
        let text = format!("GET\n\n\n{expires}\n{path}");
        let signature = BASE64_STANDARD.encode(mac::<Hmac<Sha1>>(self.secret.as_bytes(), &text));
        let signature = utf8_percent_encode(&signature, PATH);
        format!("AWSAccessKeyId={}&Signature={signature}&Expires={expires}", escape(&self.access_key))
    }

    fn version_4(&self, path: &str, seconds: u64, now: jiff::Timestamp) -> String {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/{}/s3/aws4_request", &time[..8], self.region);
        let credential = escape(&format!("{}/{scope}", self.access_key));
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={time}\
             &X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host"
        );
        let host = self.endpoint.split("://").nth(1).unwrap_or_default();
        let canonical = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let text =
            format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
        let secret = format!("AWS4{}", self.secret).into_bytes();
        let key = scope.split('/').fold(secret, |key, part| mac::<Hmac<Sha256>>(&key, part));
        format!("{query}&X-Amz-Signature={}", hex(&mac::<Hmac<Sha256>>(&key, &text)))
    }
}

impl Service {
    pub(super) fn sign(
        &self,
        presented: Result<Presented>,
        id_or_name: &str,
        place: &Where,
        body: &[u8],
    ) -> Result<Value> {
        let mut fields = Fields::parse(body, "{'_schema': ['Invalid input type.']}")?;
        let (key, seconds) = (fields.text("key"), fields.seconds("expires_in_sec", 3600));
        let (key, seconds) = fields.done((key, seconds))?;
        let bucket = self.resolve(id_or_name, place, user(&presented))?;
        self.need(&presented?, &bucket, ApoloAction::Read)?;
        let signer = self.signer(&bucket)?;
        if seconds > LONGEST {
            return Err(Fail::value("S3 do not support signed urls for more then 7 days"));
        }
        if key.is_empty() {
            let text = "Parameter validation failed:\nInvalid length for parameter Key, value: 0, valid min length: 1";
            return Err(Fail::Unexpected(text.into()));
        }
        let url = signer.url(&bucket.name_at_provider, &key, seconds, jiff::Timestamp::now());
        Ok(json!({"url": url}))
    }

    /// The service's own key, or the one that an imported bucket came with.
    fn signer(&self, bucket: &Bucket) -> Result<Signer> {
        if bucket.imported.is_none() {
            let (access_key, secret) = self.provider.master.clone();
            let (region, endpoint) = (self.settings.region.clone(), self.provider.endpoint.clone());
            return Ok(Signer { access_key, secret, region, endpoint });
        }
        let credentials = bucket.credentials();
        let get = |name: &str| credentials.get(name).and_then(Value::as_str).map(str::to_owned);
        let need = |name: &str| get(name).ok_or_else(|| Fail::Unexpected(format!("'{name}'")));
        match bucket.provider.as_str() {
            "aws" | "minio" | "seaweedfs" => Ok(Signer {
                access_key: need("access_key_id")?,
                secret: need("secret_access_key")?,
                region: get("region_name").unwrap_or_else(|| self.settings.region.clone()),
                endpoint: get("endpoint_url").unwrap_or_else(|| "https://s3.amazonaws.com".into()),
            }),
            "azure" => Err(need("credential").map_or_else(|e| e, |_| unable("azure"))),
            "gcp" => Err(need("key_data").map_or_else(|e| e, |_| unable("gcp"))),
            _ => Err(Fail::Unexpected("generator didn't yield".into())),
        }
    }
}

/// Only S3 is here.
fn unable(provider: &str) -> Fail {
    Fail::Unexpected(format!("this server signs no URLs of {provider} buckets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_both_versions() {
        let mut signer = Signer {
            access_key: "AK".into(),
            secret: "SK".into(),
            region: "us-east-1".into(),
            endpoint: "http://127.0.0.1:9".into(),
        };
        let now = jiff::Timestamp::from_second(1_700_000_000).expect("a moment");
        let url = signer.url("b", "a b+c", 60, now);
        assert!(url.starts_with("http://127.0.0.1:9/b/a%20b%2Bc?AWSAccessKeyId=AK&Signature="), "{url}");
        assert!(url.ends_with("&Expires=1700000060"), "{url}");
        signer.region = "eu-central-1".into();
        let url = signer.url("b", "k", 60, now);
        assert!(url.contains("X-Amz-Credential=AK%2F20231114%2Feu-central-1%2Fs3%2Faws4_request&"), "{url}");
    }
}
