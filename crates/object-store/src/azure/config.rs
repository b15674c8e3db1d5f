//! Settings of a store.

use std::{fmt, sync::Arc};

use longshore_core_types::{BucketName, Error, ErrorKind, Result, Secret};
use longshore_transport::{Transport, TransportBuilder, TransportConfig};
use object_store_0_14::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::{credentials::AzureCredentials, error, sign::Signer, store::AzureStore};
use crate::{
    TransportConnector,
    credentials::{CredentialSource, Library, Source},
    setup,
    wire::{
        client::{Client, Errors},
        endpoint::{Endpoint, Style},
    },
};

/// Account and key of every emulator, which are public.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_URL: &str = "http://127.0.0.1:10000";

const NO_KEY: &str = "no credentials for Azure are set (AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or \
                      AZURE_STORAGE_CONNECTION_STRING); public containers are read anonymously (AZURE_SKIP_SIGNATURE=true)";

const NO_KEY_ANYWHERE: &str = "no credentials for Azure are set (AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or \
     AZURE_STORAGE_CONNECTION_STRING), and no service of this machine gave any; public containers are read anonymously \
     (AZURE_SKIP_SIGNATURE=true)";

/// Assembles an [`AzureStore`]. [`build`](Self::build) does no I/O and reports every setting that is wrong.
#[must_use]
pub struct AzureBuilder {
    container: String,
    account: Option<String>,
    endpoint: Option<String>,
    credentials: Option<AzureCredentials>,
    source: Option<Source<AzureCredentials>>,
    /// Services that issue tokens, as the environment names them; `None` to ask none.
    services: Option<Vec<(AzureConfigKey, String)>>,
    anonymous: bool,
    config: TransportConfig,
    builder: TransportBuilder,
}

impl AzureBuilder {
    /// A container; nothing is read from the environment.
    pub fn new(container: impl Into<String>) -> Self {
        Self {
            container: container.into(),
            account: None,
            endpoint: None,
            credentials: None,
            source: None,
            services: None,
            anonymous: false,
            config: TransportConfig::default(),
            builder: Transport::builder(),
        }
    }

    /// Starts from the environment; what is set on the builder afterwards wins.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `AZURE_STORAGE_ACCOUNT_NAME`, else `AZURE_STORAGE_ACCOUNT` | account |
    /// | `AZURE_STORAGE_ENDPOINT`, else `AZURE_ENDPOINT` | address of its blob service, if not `https://ACCOUNT.blob.core.windows.net` |
    /// | `AZURE_STORAGE_ACCOUNT_KEY`, else `AZURE_STORAGE_ACCESS_KEY`, `AZURE_STORAGE_KEY` | key of the account |
    /// | `AZURE_STORAGE_SAS_TOKEN`, else `AZURE_STORAGE_SAS_KEY` | shared access signature |
    /// | `AZURE_STORAGE_TOKEN` | token of Entra ID |
    /// | `AZURE_STORAGE_CONNECTION_STRING` | all of these at once; the other variables win |
    /// | `AZURE_STORAGE_USE_EMULATOR` | `true`: account, key and address of an emulator (`AZURITE_BLOB_STORAGE_URL`, else `http://127.0.0.1:10000`) |
    /// | `AZURE_SKIP_SIGNATURE` | `true`: ask anonymously |
    /// | `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_AUTHORITY_HOST` | a service principal, or the identity of a workload |
    /// | `AZURE_USE_AZURE_CLI` | `true`: the login of the `az` command |
    /// | `AZURE_MSI_ENDPOINT`, else `IDENTITY_ENDPOINT` | where the machine's identity service is, which is asked if nothing else gives a token |
    /// | `AZURE_TOKEN_CREDENTIALS` | `dev`: never ask the machine's identity service |
    ///
    /// Tokens that a service issues are kept, and renewed before they expire. Nothing is asked before the first request.
    pub fn from_env(container: impl Into<String>) -> Self {
        Self::from_lookup(container, |name| std::env::var(name).ok())
    }

    fn from_lookup(container: impl Into<String>, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|value| !value.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| get(name));
        let yes = |name: &str| get(name).is_some_and(|v| v.eq_ignore_ascii_case("true") || v == "1");
        let mut this = Self::new(container);
        if yes("AZURE_STORAGE_USE_EMULATOR") {
            this = this.emulator(get("AZURITE_BLOB_STORAGE_URL").as_deref().unwrap_or(EMULATOR_URL));
        }
        if let Some(text) = get("AZURE_STORAGE_CONNECTION_STRING") {
            this = this.connection_string(&text);
        }
        this.account = first(&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"]).or(this.account);
        this.endpoint = first(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]).or(this.endpoint);
        let secret = |names: &[&str]| first(names).map(Secret::from);
        let key = secret(&["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"]);
        let sas = secret(&["AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"]);
        let token = secret(&["AZURE_STORAGE_TOKEN"]).map(AzureCredentials::Bearer);
        let set = key.map(AzureCredentials::AccessKey).or(sas.map(AzureCredentials::Sas)).or(token);
        this.credentials = set.or(this.credentials);
        this.anonymous = yes("AZURE_SKIP_SIGNATURE");
        let machine = get("AZURE_TOKEN_CREDENTIALS").is_none_or(|which| !which.eq_ignore_ascii_case("dev"));
        this.services = services(get, machine);
        this
    }

    /// Account, key and address of an emulator such as Azurite: `http://127.0.0.1:10000`.
    pub fn emulator(mut self, url: &str) -> Self {
        self.account = Some(EMULATOR_ACCOUNT.to_owned());
        self.endpoint = Some(format!("{}/{EMULATOR_ACCOUNT}", url.trim_end_matches('/')));
        self.credentials = Some(AzureCredentials::AccessKey(Secret::from(EMULATOR_KEY)));
        self
    }

    /// What the portal shows as the connection string of an account. Parts that are not about blobs are passed over.
    pub fn connection_string(mut self, text: &str) -> Self {
        let part = |name: &str| {
            let mut parts = text.split(';').filter_map(|part| part.trim().split_once('='));
            parts
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, v)| v.to_owned())
                .filter(|v| !v.is_empty())
        };
        if part("UseDevelopmentStorage").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return self.emulator(EMULATOR_URL);
        }
        let account = part("AccountName");
        let built = account.as_ref().map(|account| {
            let scheme = part("DefaultEndpointsProtocol").unwrap_or_else(|| "https".to_owned());
            let suffix = part("EndpointSuffix").unwrap_or_else(|| "core.windows.net".to_owned());
            format!("{scheme}://{account}.blob.{suffix}")
        });
        self.endpoint = part("BlobEndpoint").or(built);
        self.account = account;
        let key = part("AccountKey").map(|key| AzureCredentials::AccessKey(Secret::from(key)));
        let sas = || part("SharedAccessSignature").map(|sas| AzureCredentials::Sas(Secret::from(sas)));
        self.credentials = key.or_else(sas);
        self
    }

    /// The storage account. Without it, it is taken from the endpoint.
    pub fn account(mut self, name: impl Into<String>) -> Self {
        self.account = Some(name.into());
        self
    }

    /// Address of the account's blob service: `https://ACCOUNT.blob.core.windows.net`, or `http://host:port/ACCOUNT` of
    /// an emulator.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Credentials that do not change.
    pub fn credentials(mut self, credentials: AzureCredentials) -> Self {
        self.credentials = Some(credentials);
        self.source = None;
        self.anonymous = false;
        self
    }

    /// Where credentials come from. It is asked for each attempt, so they can change in the middle of a transfer.
    pub fn credential_source(mut self, source: impl CredentialSource<AzureCredentials>) -> Self {
        self.source = Some(Source::new(source));
        self.anonymous = false;
        self
    }

    /// Asks without credentials: for public containers.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    longshore_transport::client_settings!();

    /// The store. Fails ([`ErrorKind::InvalidConfig`]) naming every setting that is wrong.
    pub fn build(self) -> Result<AzureStore> {
        let mut faults = Vec::new();
        let mut note = |error: Error| faults.push(error.chain());
        let invalid = |message: String| Error::new(ErrorKind::InvalidConfig, message);
        let bucket = BucketName::new(&self.container).map_err(&mut note).ok();
        let url = match (self.endpoint, &self.account) {
            (Some(url), _) => Some(url),
            (None, Some(account)) => Some(format!("https://{account}.blob.core.windows.net")),
            (None, None) => {
                let message = "no Azure storage account is set (AZURE_STORAGE_ACCOUNT_NAME)";
                note(invalid(message.to_owned()));
                None
            }
        };
        let endpoint = bucket
            .as_ref()
            .zip(url.as_deref())
            .and_then(|(bucket, url)| Endpoint::parse(url, bucket, Style::Path).map_err(&mut note).ok());
        let account = self.account.or_else(|| account_of(url.as_deref()?)).unwrap_or_default();
        if !account.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            note(invalid(format!("{account:?} is not the name of an Azure storage account")));
        }
        let can_sign =
            matches!(self.credentials, Some(AzureCredentials::AccessKey(_))) && self.source.is_none();
        let source = match (self.anonymous, self.source, self.credentials) {
            (true, ..) => None,
            (_, Some(source), _) => Some(source),
            (_, _, Some(credentials)) => {
                credentials.for_signing().map_err(&mut note).ok();
                Some(Source::new(credentials))
            }
            (_, _, None) => {
                let source = match self.services {
                    Some(services) => setup::token_transport(&self.builder, &self.config)
                        .and_then(|transport| from_services(transport, services, &account)),
                    None => Err(invalid(NO_KEY.to_owned())),
                };
                source.map_err(&mut note).ok()
            }
        };
        let signer = source.clone().map(|source| Signer { source, account: account.clone() });
        let transport = setup::transport(self.builder, self.config, signer).map_err(&mut note).ok();
        let (Some(bucket), Some(endpoint), Some(transport), true) =
            (bucket, endpoint, transport, faults.is_empty())
        else {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        let errors =
            Errors { read: error::from_response, in_success: |_, _, _| None, stale: error::is_stale };
        let client = Client::new(transport, endpoint, source.as_ref(), errors);
        let can_sign = can_sign && source.is_some();
        Ok(AzureStore::new(client, source, account, bucket, can_sign))
    }
}

/// The account of an endpoint: the first label of a host name, the first part of an emulator's path.
fn account_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let label = authority.split_once(".blob.").map(|(label, _)| label);
    let account = label.or_else(|| path.split('/').next().filter(|part| !part.is_empty()));
    account.map(str::to_owned)
}

/// The services that give tokens, if there may be one.
fn services(get: impl Fn(&str) -> Option<String>, machine: bool) -> Option<Vec<(AzureConfigKey, String)>> {
    const NAMES: [(&str, &str); 8] = [
        ("AZURE_CLIENT_ID", "azure_client_id"),
        ("AZURE_CLIENT_SECRET", "azure_client_secret"),
        ("AZURE_TENANT_ID", "azure_tenant_id"),
        ("AZURE_FEDERATED_TOKEN_FILE", "azure_federated_token_file"),
        ("AZURE_AUTHORITY_HOST", "azure_authority_host"),
        ("AZURE_USE_AZURE_CLI", "azure_use_azure_cli"),
        ("IDENTITY_ENDPOINT", "azure_msi_endpoint"),
        ("AZURE_MSI_ENDPOINT", "azure_msi_endpoint"),
    ];
    let has = |name: &str| get(name).is_some();
    let principal = has("AZURE_CLIENT_ID")
        && has("AZURE_TENANT_ID")
        && (has("AZURE_CLIENT_SECRET") || has("AZURE_FEDERATED_TOKEN_FILE"));
    let named = principal || has("AZURE_USE_AZURE_CLI");
    let found = NAMES.into_iter().filter_map(|(name, key)| Some((key.parse().ok()?, get(name)?)));
    (named || machine).then(|| found.collect())
}

fn from_services(
    transport: Transport,
    services: Vec<(AzureConfigKey, String)>,
    account: &str,
) -> Result<Source<AzureCredentials>> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name("unused")
        .with_http_connector(TransportConnector::new(transport))
        .with_retry(TransportConnector::retry_config());
    for (key, value) in services {
        builder = builder.with_config(key, value);
    }
    let store = builder.build().map_err(|error| {
        Error::new(ErrorKind::InvalidConfig, "the settings of the services that issue Azure tokens are wrong")
            .with_source(error)
    })?;
    let provider = Arc::clone(store.credentials());
    Ok(Source::new(Library::new(provider, AzureCredentials::from_library, NO_KEY_ANYWHERE)))
}

impl fmt::Debug for AzureBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureBuilder")
            .field("container", &self.container)
            .field("account", &self.account)
            .field("endpoint", &self.endpoint)
            .field("credentials", &self.credentials)
            .field("source", &self.source)
            .field("anonymous", &self.anonymous)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use longshore_blob_api::{BlobStore, HeadOptions};
    use longshore_core_types::ObjectKey;
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> AzureBuilder {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        AzureBuilder::from_lookup("c", move |name| {
            pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
        })
    }

    fn shown(builder: AzureBuilder) -> String {
        assert!(!format!("{builder:?}").contains("c2VudGluZWw"));
        format!("{:?}", builder.build().unwrap())
    }

    #[test]
    fn environments() {
        let key = [("AZURE_STORAGE_ACCOUNT_NAME", "acct"), ("AZURE_STORAGE_ACCOUNT_KEY", "c2VudGluZWw=")];
        assert!(shown(env(&key)).contains("https://acct.blob.core.windows.net/c"));
        let emulator =
            env(&[("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURITE_BLOB_STORAGE_URL", "http://h:1/")]);
        assert!(shown(emulator).contains("http://h:1/devstoreaccount1/c"));
        let text = "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=c2VudGluZWw=;EndpointSuffix=example.net";
        let store = env(&[("AZURE_STORAGE_CONNECTION_STRING", text)]);
        assert!(shown(store).contains("https://acct.blob.example.net/c"));
        let public = env(&[key[0], ("AZURE_SKIP_SIGNATURE", "true")]).build().unwrap();
        assert!(!public.capability().sign_get);
        assert_eq!(account_of("https://a.blob.core.windows.net").as_deref(), Some("a"));
        assert_eq!(
            account_of("http://127.0.0.1:10000/devstoreaccount1").as_deref(),
            Some("devstoreaccount1")
        );
    }

    #[test]
    fn what_is_wrong_is_said_at_once() {
        let error = env(&[("AZURE_TOKEN_CREDENTIALS", "dev")]).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        for part in ["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let bad = [("AZURE_STORAGE_ACCOUNT_NAME", "acct"), ("AZURE_STORAGE_ACCOUNT_KEY", "sentinel!")];
        let error = env(&bad).build().unwrap_err();
        assert!(error.to_string().contains("base64") && !error.to_string().contains("sentinel"), "{error}");
    }

    #[tokio::test]
    async fn services_give_tokens_which_are_kept() {
        let server = ScriptedService::new(|seen| match seen.uri.path() {
            "/t/oauth2/v2.0/token" => Reply::ok(r#"{"access_token": "issued", "expires_in": 3600}"#),
            _ => Reply::ok("").header("content-length", "7"),
        });
        let store = env(&[
            ("AZURE_STORAGE_ACCOUNT_NAME", "acct"),
            ("AZURE_STORAGE_ENDPOINT", "http://h:1/acct"),
            ("AZURE_CLIENT_ID", "id"),
            ("AZURE_CLIENT_SECRET", "s"),
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_AUTHORITY_HOST", "http://login:1"),
        ]);
        let store = store.service(server.clone()).build().unwrap();
        for _ in 0..2 {
            store.head(&ObjectKey::new("k").unwrap(), HeadOptions::default()).await.unwrap();
        }
        let seen = server.requests();
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[2].header("authorization"), Some("Bearer issued"));
    }

    /// Whoever sends requests learns that the service had enough of them, although a later one was answered.
    #[tokio::test]
    async fn refusals_are_noted() {
        let replies =
            [Reply::status(503).header("retry-after", "0"), Reply::ok("").header("content-length", "7")];
        let store = env(&[("AZURE_STORAGE_ACCOUNT_NAME", "acct"), ("AZURE_SKIP_SIGNATURE", "true")])
            .service(ScriptedService::replies(replies))
            .build()
            .unwrap();
        store.head(&ObjectKey::new("k").unwrap(), HeadOptions::default()).await.unwrap();
        assert_eq!(store.pressure().unwrap().refusals(), 1);
    }
}
