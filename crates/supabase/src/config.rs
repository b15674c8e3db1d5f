//! Settings of a client.

use std::fmt;

use http::response::Parts;
use longshore_core_types::{CallInfo, Error, ErrorKind, Result, Retryability, Secret};
use longshore_transport::{
    BearerToken, CredentialProvider, Credentials, Decision, RetryClassifier, StandardClassifier, Transport,
    TransportBuilder, TransportConfig, TransportError,
};

use crate::{
    client::{Client, Inner},
    endpoint::{self, Meaning},
    keys::Keys,
};

/// Size of the pieces of resumable uploads that the hosted platform wants, in bytes.
pub const HOSTED_PART_SIZE: u64 = 6 << 20;

/// Assembles a [`Client`]. [`build`](Self::build) does no I/O and reports every setting that is wrong.
#[must_use]
pub struct ClientBuilder {
    address: Option<(String, Meaning)>,
    dedicated_host: bool,
    key: Option<Secret>,
    user: Option<Credentials>,
    part_size: u64,
    #[cfg(feature = "s3")]
    s3: Option<crate::s3::Who>,
    #[cfg(feature = "s3")]
    s3_region: Option<String>,
    config: TransportConfig,
    builder: TransportBuilder,
    transport: Option<Transport>,
    faults: Vec<String>,
}

impl ClientBuilder {
    pub(crate) fn new(project: impl AsRef<str>) -> Self {
        Self { address: Some((project.as_ref().to_owned(), Meaning::Project)), ..Self::blank() }
    }

    fn blank() -> Self {
        Self {
            address: None,
            dedicated_host: false,
            key: None,
            user: None,
            part_size: HOSTED_PART_SIZE,
            #[cfg(feature = "s3")]
            s3: None,
            #[cfg(feature = "s3")]
            s3_region: None,
            config: TransportConfig::default(),
            builder: Transport::builder(),
            transport: None,
            faults: Vec::new(),
        }
    }

    /// Starts from the environment; what is set on the builder afterwards wins.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `SUPABASE_URL` | address of the project |
    /// | `SUPABASE_STORAGE_URL` | address of a storage server without gateway; wins |
    /// | `SUPABASE_SERVICE_ROLE_KEY`, else `SUPABASE_SECRET_KEY`, `SUPABASE_KEY`, `SUPABASE_ANON_KEY` | key |
    /// | `SUPABASE_ACCESS_JWT` | token of a signed-in user, which goes beside the key |
    /// | `SUPABASE_S3_ACCESS_KEY_ID`, `SUPABASE_S3_SECRET_ACCESS_KEY`, `SUPABASE_S3_REGION` | with the feature `s3`: see `s3` |
    /// | `SUPABASE_S3_SESSION` | the same: reference of the project; see `s3_session` |
    #[doc(alias = "SUPABASE_URL")]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let mut this = Self::blank();
        let service = get("SUPABASE_STORAGE_URL").map(|url| (url, Meaning::Service));
        this.address = service.or_else(|| Some((get("SUPABASE_URL")?, Meaning::Project)));
        let keys = ["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_KEY", "SUPABASE_ANON_KEY"];
        this.key = keys.into_iter().find_map(get).map(|key| Secret::from(key.trim()));
        #[cfg(feature = "s3")]
        match (get("SUPABASE_S3_ACCESS_KEY_ID"), get("SUPABASE_S3_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => {
                let key = longshore_object_store::s3::AwsCredentials::new(id, secret);
                this.s3 = Some(crate::s3::Who::Key(key));
            }
            (None, None) => {
                this.s3 = get("SUPABASE_S3_SESSION").map(|project| crate::s3::Who::Session { project });
            }
            _ => this.faults.push(
                "SUPABASE_S3_ACCESS_KEY_ID and SUPABASE_S3_SECRET_ACCESS_KEY must both be set or both be unset".to_owned(),
            ),
        }
        #[cfg(feature = "s3")]
        {
            this.s3_region = get("SUPABASE_S3_REGION");
        }
        match get("SUPABASE_ACCESS_JWT") {
            Some(token) => this.user_token(token.trim()),
            None => this,
        }
    }

    /// Sets the address of the project; see [`Client::builder`].
    pub fn project(mut self, address: impl AsRef<str>) -> Self {
        self.address = Some((address.as_ref().to_owned(), Meaning::Project));
        self
    }

    /// Sets the address of the storage service itself, as it stands: nothing is added to its path.
    pub fn service_url(mut self, address: impl AsRef<str>) -> Self {
        self.address = Some((address.as_ref().to_owned(), Meaning::Service));
        self
    }

    /// Sends everything to `REF.storage.supabase.co` instead of `REF.supabase.co`, which takes bodies of any size.
    /// Has no effect elsewhere than on the hosted platform. Off by default.
    #[doc(alias = "useNewHostname")]
    pub fn dedicated_host(mut self, enabled: bool) -> Self {
        self.dedicated_host = enabled;
        self
    }

    /// Sets the project's key, of either generation: a JSON web token (`anon`, `service_role`), or
    /// `sb_publishable_...` and `sb_secret_...`, which the gateway of a project understands.
    ///
    /// It is sent with every request, and is the bearer token where no user is set.
    #[doc(alias = "apikey")]
    pub fn key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Asks in the name of a user, by a token that does not change. It lasts as long as the session; transfers that
    /// may last longer want [`user`](Self::user).
    pub fn user_token(mut self, token: impl Into<Secret>) -> Self {
        match BearerToken::new(&token.into()) {
            Ok(token) => self.user = Some(Credentials::new(token)),
            Err(error) => self.faults.push(error.chain()),
        }
        self
    }

    /// Asks in the name of a user. The provider is asked for each attempt, so it can renew the session in the middle
    /// of an upload; when the service refuses a token, the provider is told, and asked once more.
    pub fn user(mut self, provider: impl CredentialProvider) -> Self {
        self.user = Some(Credentials::new(provider));
        self
    }

    /// Size in bytes of the pieces of resumable uploads; 6 MiB by default, which the hosted platform wants. Other
    /// servers take any: larger ones are faster.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes;
        self
    }

    /// Sends objects that go in parts through the S3 endpoint of the service: side by side, which is faster than a
    /// resumable upload. By a key of the project's S3 settings, which has every right; see
    /// [`s3_session`](Self::s3_session) for users.
    #[cfg(feature = "s3")]
    pub fn s3(mut self, credentials: longshore_object_store::s3::AwsCredentials) -> Self {
        self.s3 = Some(crate::s3::Who::Key(credentials));
        self
    }

    /// The same in the name of whoever asks everything else, in the project of this reference (`REF` of
    /// `REF.supabase.co`). The [`key`](Self::key) must be the project's anon key in the form of a token; the user's
    /// token goes along as session token and is asked for each attempt, so that an upload outlives a session.
    #[cfg(feature = "s3")]
    pub fn s3_session(mut self, project: impl Into<String>) -> Self {
        self.s3 = Some(crate::s3::Who::Session { project: project.into() });
        self
    }

    /// Region of the S3 endpoint; `us-east-1` by default, which every service takes.
    #[cfg(feature = "s3")]
    pub fn s3_region(mut self, region: impl Into<String>) -> Self {
        self.s3_region = Some(region.into());
        self
    }

    longshore_transport::client_settings!();

    /// Sends everything through this transport, which has credentials of its own. No other setting of this builder
    /// but the address and the part size has an effect.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The client. Fails ([`ErrorKind::InvalidConfig`]) naming every setting that is wrong.
    pub fn build(mut self) -> Result<Client> {
        let mut faults = std::mem::take(&mut self.faults);
        let mut note = |error: &Error| faults.push(error.chain());
        let no_address = || Error::new(ErrorKind::InvalidConfig, "no address of a Supabase project is set");
        let endpoint = match &self.address {
            Some((address, meaning)) => endpoint::parse(address, *meaning),
            None => Err(no_address()),
        };
        let endpoint = endpoint.map_err(|error| note(&error)).ok();
        if self.part_size == 0 {
            note(&Error::new(ErrorKind::InvalidConfig, "the part size is zero"));
        }
        let keys = Keys::new(self.key.as_ref(), self.user).map_err(|error| note(&error)).ok();
        #[cfg(feature = "s3")]
        let s3 = {
            let (region, config) = (self.s3_region.take(), self.config.clone());
            self.s3.take().map(|who| crate::s3::S3Access { who, region, config })
        };
        #[cfg(feature = "s3")]
        if let (Some(s3), Some(keys), Some(endpoint)) = (&s3, &keys, &endpoint) {
            if matches!(s3.who, crate::s3::Who::Session { .. }) && keys.api_key().is_none() {
                note(&Error::new(ErrorKind::InvalidConfig, "s3_session needs the project's anon key"));
            }
            // What is wrong with it is said now, not when a bucket is used.
            if let Err(error) = s3.store(endpoint, keys, "bucket", longshore_core_types::Pressure::new()) {
                note(&error);
            }
        }
        let mut builder = self.builder.config(self.config).classifier(Classifier);
        if let Some(keys) = &keys {
            builder = builder.credentials(keys.clone());
        }
        let transport = match self.transport {
            Some(transport) => Some(transport),
            None => builder.build().map_err(|error| note(&error)).ok(),
        };
        let (Some(endpoint), Some(keys), Some(transport), true) =
            (endpoint, keys, transport, faults.is_empty())
        else {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        let dedicated = endpoint::dedicated(&endpoint).filter(|_| self.dedicated_host);
        let endpoint = dedicated.unwrap_or(endpoint);
        Ok(Client::from_inner(Inner {
            transport,
            endpoint,
            keys,
            part_size: self.part_size,
            #[cfg(feature = "s3")]
            s3,
        }))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("address", &self.address.as_ref().map(|(address, _)| address))
            .field("key", &self.key)
            .field("user", &self.user)
            .field("part_size", &self.part_size)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The standard rules, and 544, by which the service says that its database was too slow.
#[derive(Clone, Copy, Debug)]
struct Classifier;

impl RetryClassifier for Classifier {
    fn classify(&self, call: &CallInfo, outcome: Result<&Parts, &TransportError>) -> Decision {
        match outcome {
            Ok(parts) if parts.status.as_u16() == 544 => {
                if Retryability::IfIdempotent.allows(call.idempotency) {
                    Decision::Retry { after: None }
                } else {
                    Decision::Fail
                }
            }
            outcome => StandardClassifier::default().classify(call, outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::RetryConfig;

    use super::*;

    fn from(pairs: &[(&str, &str)]) -> ClientBuilder {
        ClientBuilder::from_lookup(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_and_what_wins_over_it() {
        let builder = from(&[
            ("SUPABASE_URL", "https://ref.supabase.co"),
            ("SUPABASE_SERVICE_ROLE_KEY", "abc-service\n"),
            ("SUPABASE_KEY", "abc-anon"),
            ("SUPABASE_ACCESS_JWT", "abc-user"),
        ]);
        assert_eq!(builder.key.as_ref().map(Secret::expose), Some("abc-service"));
        assert!(!format!("{builder:?}").contains("abc-"));
        assert_eq!(builder.build().unwrap().endpoint(), "https://ref.supabase.co/storage/v1");
        let bare = from(&[("SUPABASE_URL", "https://a"), ("SUPABASE_STORAGE_URL", "http://localhost:5000")]);
        assert_eq!(bare.build().unwrap().endpoint(), "http://localhost:5000");
        let given = from(&[]).project("http://h").build().unwrap();
        assert_eq!(given.endpoint(), "http://h/storage/v1");
        let dedicated = Client::builder("https://ref.supabase.co").dedicated_host(true).build().unwrap();
        assert_eq!(dedicated.endpoint(), "https://ref.storage.supabase.co/storage/v1");
    }

    #[test]
    fn every_fault_is_named() {
        let error = from(&[("SUPABASE_URL", "ftp://x"), ("SUPABASE_ACCESS_JWT", "a\u{1}b")])
            .part_size(0)
            .key("a\nb")
            .retry(RetryConfig::default().max_attempts(0))
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        for word in ["ftp", "part size", "the key", "the token", "max_attempts"] {
            assert!(error.to_string().contains(word), "{word} in {error}");
        }
        assert!(from(&[]).build().unwrap_err().to_string().contains("no address"));
    }
}
