//! What proves who asks.

use longshore_core_types::{Error, ErrorKind, Result, Secret};
use object_store_0_14::azure::{AzureAccessKey, AzureCredential};
use percent_encoding::percent_decode_str;

use crate::credentials::CredentialSource;

/// Credentials of an Azure storage account.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AzureCredentials {
    /// The account's key, in base64.
    AccessKey(Secret),
    /// A shared access signature, with or without its `?`.
    Sas(Secret),
    /// A token of Entra ID.
    Bearer(Secret),
}

impl AzureCredentials {
    /// As the signer of the library wants it.
    pub(super) fn for_signing(&self) -> Result<AzureCredential> {
        let invalid = |message: &'static str| Error::new(ErrorKind::InvalidConfig, message);
        match self {
            Self::AccessKey(key) => AzureAccessKey::try_new(key.expose().trim())
                .map(AzureCredential::AccessKey)
                // The cause would quote from the key.
                .map_err(|_| invalid("the access key of the Azure account is not base64")),
            Self::Sas(token) => {
                let pairs = sas_pairs(token.expose());
                let signed = pairs.iter().any(|(name, value)| name == "sig" && !value.is_empty());
                let pairs = signed.then_some(AzureCredential::SASToken(pairs));
                pairs.ok_or_else(|| invalid("the shared access signature has no `sig`"))
            }
            Self::Bearer(token) if token.expose().bytes().all(|b| (b'!'..=b'~').contains(&b)) => {
                Ok(AzureCredential::BearerToken(token.expose().to_owned()))
            }
            Self::Bearer(_) => Err(invalid("the token has characters that a header cannot hold")),
        }
    }

    pub(super) fn from_library(found: &AzureCredential) -> Self {
        match found {
            AzureCredential::BearerToken(token) => Self::Bearer(Secret::from(token.as_str())),
            AzureCredential::SASToken(pairs) => {
                let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let mut query = longshore_transport::Query::default();
                pairs.for_each(|(name, value)| query.push(name, value));
                Self::Sas(Secret::from(query.as_str()))
            }
            // Its key cannot be read back, and none of the services that are asked gives one.
            AzureCredential::AccessKey(_) => Self::AccessKey(Secret::from("")),
        }
    }

    /// The query that this adds to a URL.
    pub(super) fn sas(&self) -> Option<&Secret> {
        if let Self::Sas(token) = self { Some(token) } else { None }
    }
}

/// Names and values of a signature that stands as in a URL.
fn sas_pairs(token: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = token.trim().trim_start_matches('?').split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(n, v)| (decode(n), decode(v)))
        .collect()
}

impl CredentialSource<Self> for AzureCredentials {
    async fn credentials(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_checked_and_not_printed() {
        let secret = |text: &str| Secret::from(text);
        let sas = AzureCredentials::Sas(secret("?se=2026-11-21T13%3A20%3A18Z&sp=r&sig=a%2Bb%3D"));
        assert!(!format!("{sas:?}").contains("sig"));
        let Ok(AzureCredential::SASToken(pairs)) = sas.for_signing() else { panic!() };
        assert_eq!(pairs[0].1, "2026-11-21T13:20:18Z");
        assert_eq!(pairs[2].1, "a+b=");
        let bad = [
            AzureCredentials::AccessKey(secret("sentinel!")),
            AzureCredentials::Sas(secret("sentinel")),
            AzureCredentials::Bearer(secret("sentinel\n")),
        ];
        for bad in bad {
            let error = bad.for_signing().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(!error.chain().contains("sentinel") && !format!("{bad:?}").contains("sentinel"));
        }
    }
}
