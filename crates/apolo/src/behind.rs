//! The provider's stores behind buckets, opened with the credentials that the service gives.

use base64::{Engine, engine::general_purpose::STANDARD};
use longshore_blob_api::AnyStore;
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use longshore_object_store::{
    azure::{AzureBuilder, AzureCredentials},
    credentials::CredentialSource,
    gcs::{GcsBuilder, GcsCredentials},
    s3::{AwsCredentials, S3Builder},
};

use crate::{
    client::Client,
    clock::Clock,
    model::{CredentialMap, Provider},
    renewing::Renewing,
};

fn need<'a>(map: &'a CredentialMap, name: &str) -> Result<&'a str> {
    let lack = || Error::new(ErrorKind::Protocol, format!("the credentials of the bucket lack {name}"));
    map.get(name).ok_or_else(lack)
}

/// Credentials of a provider, made of what the service says, which stays good.
#[derive(Debug)]
struct Keys<C> {
    map: Renewing,
    read: fn(&CredentialMap) -> Result<C>,
}

impl<C: std::fmt::Debug + Send + 'static> CredentialSource<C> for Keys<C> {
    async fn credentials(&self) -> Result<C> {
        (self.read)(&self.map.get().await?)
    }

    fn invalidate(&self) {
        self.map.invalidate();
    }
}

fn access_key(map: &CredentialMap) -> Result<AwsCredentials> {
    let keys = AwsCredentials::new(need(map, "access_key_id")?, need(map, "secret_access_key")?);
    Ok(match map.get("session_token") {
        Some(token) => keys.with_session_token(token),
        None => keys,
    })
}

fn sas(map: &CredentialMap) -> Result<AzureCredentials> {
    need(map, "sas_token").map(|token| AzureCredentials::Sas(Secret::from(token)))
}

fn access_token(map: &CredentialMap) -> Result<GcsCredentials> {
    need(map, "access_token").map(GcsCredentials::new)
}

/// The key of a service account, which stands there in base64.
fn account_key(data: &str) -> Result<Secret> {
    let plain: String = data.split_ascii_whitespace().collect();
    let text = STANDARD.decode(plain).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // What is wrong with it is not said: it is secret.
    let fault = || Error::new(ErrorKind::Protocol, "the key_data of the bucket is not text in base64");
    text.map(Secret::from).ok_or_else(fault)
}

/// How requests go to a provider.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) client: &'a Client,
    /// Learns what time it is there.
    pub(crate) clock: &'a Clock,
}

/// Hands the HTTP client's settings to a builder of a store.
macro_rules! outgoing {
    ($builder:expr, $way:expr) => {{
        let (config, service) = $way.client.outgoing();
        let builder = $builder.transport_config(config).attempt_layer($way.clock.clone());
        match service {
            Some(service) => builder.service(service),
            None => builder,
        }
    }};
}

/// The store that these credentials open. What they lack is said now rather than with the first request.
pub(crate) fn open(
    way: Way<'_>,
    provider: &Provider,
    map: &CredentialMap,
    keys: Renewing,
) -> Result<AnyStore> {
    match provider {
        Provider::Azure => azure(way, map, keys),
        Provider::Gcp => gcs(way, map, keys),
        provider if provider.is_s3() => s3(way, map, keys),
        other => {
            let message = format!("this version knows no buckets on {other}");
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

fn s3(way: Way<'_>, map: &CredentialMap, keys: Renewing) -> Result<AnyStore> {
    let mut builder = S3Builder::new(need(map, "bucket_name")?);
    if let Some(region) = map.get("region_name") {
        builder = builder.region(region);
    }
    if let Some(endpoint) = map.get("endpoint_url") {
        builder = builder.endpoint(endpoint);
    }
    access_key(map)?;
    let builder = outgoing!(builder, way);
    Ok(AnyStore::new(builder.credential_source(Keys { map: keys, read: access_key }).build()?))
}

fn azure(way: Way<'_>, map: &CredentialMap, keys: Renewing) -> Result<AnyStore> {
    let builder = AzureBuilder::new(need(map, "bucket_name")?).endpoint(need(map, "storage_endpoint")?);
    let builder = outgoing!(builder, way);
    let builder = if let Some(key) = map.get("credential") {
        // The key of an account does not end, and URLs are signed with it.
        builder.credentials(AzureCredentials::AccessKey(Secret::from(key)))
    } else {
        sas(map)?;
        builder.credential_source(Keys { map: keys, read: sas })
    };
    Ok(AnyStore::new(builder.build()?))
}

fn gcs(way: Way<'_>, map: &CredentialMap, keys: Renewing) -> Result<AnyStore> {
    let builder = outgoing!(GcsBuilder::new(need(map, "bucket_name")?), way);
    let builder = if let Some(data) = map.get("key_data") {
        // Tokens are made of it here, and URLs are signed with it.
        builder.service_account_key(account_key(data)?)
    } else {
        access_token(map)?;
        builder.credential_source(Keys { map: keys, read: access_token })
    };
    Ok(AnyStore::new(builder.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_service_accounts() {
        let data = STANDARD.encode(r#"{"type": "service_account"}"#);
        let (start, end) = data.split_at(10);
        let key = account_key(&format!("{start}\n{end}\n")).unwrap();
        assert_eq!(key.expose(), r#"{"type": "service_account"}"#);
        for bad in ["sentinel!", "/w=="] {
            let error = account_key(bad).unwrap_err();
            assert!(error.kind() == ErrorKind::Protocol && !error.chain().contains(bad), "{error}");
        }
    }
}
