//! Settings of a store.

use std::{fmt, sync::Arc};

use longshore_core_types::{BucketName, Error, ErrorKind, Result, Secret};
use longshore_transport::{Transport, TransportBuilder, TransportConfig};
use object_store_0_14::gcp::{GcpSigningCredentialProvider, GoogleCloudStorageBuilder};
use serde::Deserialize;

use super::{
    credentials::{Bearer, GcsCredentials},
    sign::UrlSigner,
    store::GcsStore,
};
use crate::{
    TransportConnector,
    credentials::{CredentialSource, Library, Source},
    s3::google,
    setup,
    wire::endpoint::{Endpoint, Style},
};

const ENDPOINT: &str = "https://storage.googleapis.com";

const NO_KEY: &str = "no credentials for Google Cloud are set (GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT or \
                      GOOGLE_BEARER_TOKEN); public buckets are read anonymously (GOOGLE_SKIP_SIGNATURE=true)";

const NO_KEY_ANYWHERE: &str = "no credentials for Google Cloud are set (GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT or \
     GOOGLE_BEARER_TOKEN), or they give no token, and this machine has no service that does; public buckets are read \
     anonymously (GOOGLE_SKIP_SIGNATURE=true)";

/// Where the JSON of a service account or of a user's login is.
#[derive(Clone, Debug)]
enum Account {
    /// A file with the key of a service account.
    KeyFile(String),
    /// The key of a service account itself.
    Key(Secret),
    /// A file of application default credentials: a service account, or a user's login.
    Default(String),
    /// The machine's metadata service.
    Machine,
}

impl Account {
    /// The project that a service account is of. What cannot be read here is found by those who make tokens of it.
    fn project(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Key {
            project_id: Option<String>,
        }
        let key: Key = match self {
            Self::KeyFile(path) | Self::Default(path) => {
                serde_json::from_slice(&std::fs::read(path).ok()?).ok()?
            }
            Self::Key(json) => serde_json::from_str(json.expose()).ok()?,
            Self::Machine => return None,
        };
        key.project_id
    }
}

/// Assembles a [`GcsStore`]. [`build`](Self::build) asks nobody, reads the file that the settings name, and reports
/// every setting that is wrong.
#[must_use]
pub struct GcsBuilder {
    bucket: String,
    endpoint: Option<String>,
    project: Option<String>,
    source: Option<Source<GcsCredentials>>,
    account: Option<Account>,
    anonymous: bool,
    config: TransportConfig,
    builder: TransportBuilder,
}

impl GcsBuilder {
    /// A bucket; nothing is read from the environment.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            endpoint: None,
            project: None,
            source: None,
            account: None,
            anonymous: false,
            config: TransportConfig::default(),
            builder: Transport::builder(),
        }
    }

    /// Starts from the environment; what is set on the builder afterwards wins.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `GOOGLE_BASE_URL`, else `STORAGE_EMULATOR_HOST` | address of the service, if not Google's; an emulator is asked without a token, unless one or the key of a service account is set |
    /// | `GOOGLE_BEARER_TOKEN` | access token |
    /// | `GOOGLE_SERVICE_ACCOUNT_KEY` | key of a service account, as JSON |
    /// | `GOOGLE_SERVICE_ACCOUNT`, else `GOOGLE_SERVICE_ACCOUNT_PATH`, `SERVICE_ACCOUNT` | a file with that key |
    /// | `GOOGLE_APPLICATION_CREDENTIALS` | a file with that key, or with a user's login; not for an emulator |
    /// | `GOOGLE_CLOUD_PROJECT`, else `CLOUDSDK_CORE_PROJECT` | the project whose buckets are listed, and that has those which are made; by default the service account's own |
    /// | `GOOGLE_SKIP_SIGNATURE` | `true`: ask anonymously |
    /// | `NO_GCE_CHECK` | `true`: never ask the machine's metadata service, which is asked if nothing else gives a token |
    ///
    /// Without any of these, and not for an emulator, the login of the `gcloud` command is used: `gcloud/application_default_credentials.json`
    /// below `CLOUDSDK_CONFIG`'s folder or `~/.config`.
    ///
    /// Tokens that a service issues are kept, and renewed before they expire. Nothing is asked before the first request.
    pub fn from_env(bucket: impl Into<String>) -> Self {
        Self::from_lookup(bucket, |name| std::env::var(name).ok())
    }

    fn from_lookup(bucket: impl Into<String>, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|value| !value.is_empty());
        let yes = |name: &str| get(name).is_some_and(|v| v.eq_ignore_ascii_case("true") || v == "1");
        let mut this = Self::new(bucket);
        let base = get("GOOGLE_BASE_URL");
        let emulator = get("STORAGE_EMULATOR_HOST").filter(|_| base.is_none()).map(|host| {
            // Others write it without a scheme too.
            if host.contains("://") { host } else { format!("http://{host}") }
        });
        let login = || {
            get("GOOGLE_APPLICATION_CREDENTIALS").or_else(|| {
                let own = get("CLOUDSDK_CONFIG");
                let folder = own.or_else(|| get("HOME").map(|home| format!("{home}/.config/gcloud")))?;
                let file = format!("{folder}/application_default_credentials.json");
                std::path::Path::new(&file).is_file().then_some(file)
            })
        };
        // What is meant for Google is not shown to an emulator.
        let default = if emulator.is_none() { login() } else { None };
        let files = ["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "SERVICE_ACCOUNT"];
        let machine = || (!yes("NO_GCE_CHECK") && emulator.is_none()).then_some(Account::Machine);
        this.account = get("GOOGLE_SERVICE_ACCOUNT_KEY")
            .map(|key| Account::Key(Secret::from(key)))
            .or_else(|| files.into_iter().find_map(get).map(Account::KeyFile))
            .or_else(|| default.map(Account::Default))
            .or_else(machine);
        this.anonymous = yes("GOOGLE_SKIP_SIGNATURE") || (emulator.is_some() && this.account.is_none());
        if let Some(token) = get("GOOGLE_BEARER_TOKEN") {
            this = this.credentials(GcsCredentials::new(token));
        }
        this.endpoint = base.or(emulator);
        this.project = get("GOOGLE_CLOUD_PROJECT").or_else(|| get("CLOUDSDK_CORE_PROJECT"));
        this
    }

    /// Address of the service, if it is not Google's: `http://host[:port]` or `https://...`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// The project whose buckets are listed, and that has those which are made. Default: that of the service account, if
    /// its key is given.
    pub fn project(mut self, id: impl Into<String>) -> Self {
        self.project = Some(id.into());
        self
    }

    /// A token that does not change.
    pub fn credentials(self, credentials: GcsCredentials) -> Self {
        self.credential_source(credentials)
    }

    /// Where tokens come from. It is asked for each attempt, so they can change in the middle of a transfer.
    pub fn credential_source(mut self, source: impl CredentialSource<GcsCredentials>) -> Self {
        self.source = Some(Source::new(source));
        self.anonymous = false;
        self
    }

    /// The key of a service account, as JSON. Tokens are made of it, and URLs are signed with it.
    pub fn service_account_key(mut self, json: impl Into<Secret>) -> Self {
        self.account = Some(Account::Key(json.into()));
        self.source = None;
        self.anonymous = false;
        self
    }

    /// Asks without a token: for public buckets, and for emulators.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    longshore_transport::client_settings!();

    /// The store. Fails ([`ErrorKind::InvalidConfig`]) naming every setting that is wrong.
    pub fn build(self) -> Result<GcsStore> {
        let mut faults = Vec::new();
        let mut note = |error: Error| faults.push(error.chain());
        let bucket = BucketName::new(&self.bucket).map_err(&mut note).ok();
        let url = self.endpoint.as_deref().unwrap_or(ENDPOINT);
        let endpoint = bucket
            .as_ref()
            .and_then(|bucket| Endpoint::parse(url, bucket, Style::Path).map_err(&mut note).ok());
        let project = self.project.or_else(|| self.account.as_ref().and_then(Account::project));
        let (source, signer) = match (self.anonymous, self.source, self.account) {
            (true, ..) => (None, None),
            (_, Some(source), _) => (Some(source), None),
            (_, _, Some(account)) => {
                let found = setup::token_transport(&self.builder, &self.config)
                    .and_then(|transport| from_library(transport, account));
                let found = found.map_err(&mut note).ok();
                found.map_or((None, None), |(source, signer)| (Some(source), signer))
            }
            (_, _, None) => {
                note(Error::new(ErrorKind::InvalidConfig, NO_KEY));
                (None, None)
            }
        };
        let bearer = source.clone().map(Bearer);
        let transport = setup::transport(self.builder, self.config, bearer).map_err(&mut note).ok();
        let (Some(bucket), Some(endpoint), Some(transport), true) =
            (bucket, endpoint, transport, faults.is_empty())
        else {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        Ok(GcsStore { store: google(transport, endpoint, source.as_ref(), signer, bucket), project })
    }
}

/// Tokens of an account, and what signs URLs for it if that is here.
fn from_library(
    transport: Transport,
    account: Account,
) -> Result<(Source<GcsCredentials>, Option<UrlSigner>)> {
    let connector = TransportConnector::new(transport);
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name("unused")
        .with_http_connector(connector.clone())
        .with_retry(TransportConnector::retry_config());
    let may_sign = !matches!(account, Account::Machine);
    let builder = match account {
        Account::KeyFile(path) => builder.with_service_account_path(path),
        Account::Key(json) => builder.with_service_account_key(json.expose()),
        Account::Default(path) => builder.with_application_credentials(path),
        Account::Machine => builder,
    };
    let store = builder.build().map_err(|error| {
        Error::new(ErrorKind::InvalidConfig, "the credentials for Google Cloud cannot be used")
            .with_source(error)
    })?;
    let provider = Arc::clone(store.credentials());
    let source = Source::new(Library::new(provider, GcsCredentials::from_library, NO_KEY_ANYWHERE));
    let account: GcpSigningCredentialProvider = Arc::clone(store.signing_credentials());
    Ok((source, may_sign.then_some(UrlSigner { account, connector })))
}

impl fmt::Debug for GcsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcsBuilder")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .field("project", &self.project)
            .field("source", &self.source)
            .field("account", &self.account)
            .field("anonymous", &self.anonymous)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use longshore_blob_api::{
        BlobStore, BlobStoreExt, CopyOptions, DeleteOptions, HeadOptions, PutOptions, SignMethod, SignRequest,
    };
    use longshore_core_types::{Attributes, ObjectKey};
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> GcsBuilder {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        GcsBuilder::from_lookup("b", move |name| {
            pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
        })
    }

    fn key() -> ObjectKey {
        ObjectKey::new("dir/a b").unwrap()
    }

    #[test]
    fn environments() {
        let shown = |builder: GcsBuilder| {
            let settings = format!("{builder:?}");
            settings + &format!("{:?}", builder.build().unwrap())
        };
        let token = env(&[("GOOGLE_BEARER_TOKEN", "sentinel")]);
        let text = shown(token);
        assert!(text.contains("https://storage.googleapis.com/b") && !text.contains("sentinel"), "{text}");
        let emulator = env(&[("STORAGE_EMULATOR_HOST", "127.0.0.1:9"), ("NO_GCE_CHECK", "true")]);
        assert!(shown(emulator).contains("http://127.0.0.1:9/b"));
        let none = env(&[("NO_GCE_CHECK", "true")]).build().unwrap_err();
        assert!(none.to_string().contains("GOOGLE_APPLICATION_CREDENTIALS"), "{none}");
        let bad = env(&[("GOOGLE_SERVICE_ACCOUNT_KEY", "{sentinel")]).build().unwrap_err();
        assert!(bad.kind() == ErrorKind::InvalidConfig && !bad.chain().contains("sentinel"), "{bad}");
    }

    #[tokio::test]
    async fn an_emulator_is_not_shown_what_is_meant_for_google() {
        let folder = tempfile::tempdir().unwrap();
        let login =
            r#"{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}"#;
        let file = folder.path().join("application_default_credentials.json");
        std::fs::write(&file, login).unwrap();
        let (folder, file) = (folder.path().to_str().unwrap(), file.to_str().unwrap());
        for found in [("CLOUDSDK_CONFIG", folder), ("GOOGLE_APPLICATION_CREDENTIALS", file)] {
            let server = ScriptedService::new(|_| Reply::ok("").header("content-length", "7"));
            let store =
                env(&[("STORAGE_EMULATOR_HOST", "127.0.0.1:9"), found]).service(server.clone()).build();
            store.unwrap().head(&key(), HeadOptions::default()).await.unwrap();
            let seen = server.requests();
            assert_eq!((seen.len(), seen[0].header("authorization")), (1, None), "{found:?}");
        }
        // The address of Google's own service, or of a way to it, wins and is asked as always.
        let own = env(&[
            ("STORAGE_EMULATOR_HOST", "127.0.0.1:9"),
            ("GOOGLE_BASE_URL", "http://h:1"),
            ("GOOGLE_APPLICATION_CREDENTIALS", file),
        ]);
        let text = format!("{own:?}");
        assert!(text.contains("anonymous: false") && text.contains("http://h:1"), "{text}");
    }

    #[test]
    fn the_project_is_the_one_that_is_set_or_that_of_the_account() {
        let project = |pairs: &[(&str, &str)]| {
            let account = ("GOOGLE_SERVICE_ACCOUNT_KEY", r#"{"project_id": "accounts"}"#);
            let builder = env(&[&[account, ("GOOGLE_SKIP_SIGNATURE", "true")], pairs].concat());
            builder.build().unwrap().project
        };
        assert_eq!(project(&[]).as_deref(), Some("accounts"));
        assert_eq!(project(&[("CLOUDSDK_CORE_PROJECT", "gcloud")]).as_deref(), Some("gcloud"));
        let both = [("CLOUDSDK_CORE_PROJECT", "gcloud"), ("GOOGLE_CLOUD_PROJECT", "own")];
        assert_eq!(project(&both).as_deref(), Some("own"));
    }

    /// Parts are not copied there: a part would hold the whole of its source, or nothing.
    #[tokio::test]
    async fn a_copy_that_is_refused_is_not_tried_in_parts() {
        let refused = "<Error><Code>InvalidRequest</Code><Message>no</Message></Error>";
        let server = ScriptedService::new(move |seen| match seen.method.as_str() {
            "HEAD" => Reply::ok("").header("content-length", (6_u64 << 30).to_string().as_str()),
            "PUT" => Reply::status(400).body(refused),
            _ => Reply::status(500),
        });
        let store = GcsBuilder::new("b").anonymous().service(server.clone()).build().unwrap();
        let from = ObjectKey::new("from").unwrap();
        let error = store.copy(&from, &key(), CopyOptions::default()).await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidRequest"));
        assert!(server.requests().iter().all(|seen| seen.method != "POST"), "{:?}", server.requests());
    }

    #[tokio::test]
    async fn a_copy_onto_itself_creates_nothing() {
        let server = ScriptedService::new(|seen| match seen.method.as_str() {
            "HEAD" => Reply::ok("").header("content-length", "7"),
            _ => Reply::status(500),
        });
        let store = GcsBuilder::new("b").anonymous().service(server.clone()).build().unwrap();
        store.copy(&key(), &key(), CopyOptions::default()).await.unwrap();
        let mut opts = CopyOptions::default();
        opts.create_only = true;
        let error = store.copy(&key(), &key(), opts).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().starts_with("gs.object.copy gs://b/dir/a b"), "{error}");
    }

    #[tokio::test]
    async fn calls_speak_the_language_of_the_service() {
        let server = ScriptedService::new(|seen| match (seen.method.as_str(), seen.uri.path()) {
            ("PUT", "/b/dir/a%20b") if seen.header("x-goog-copy-source").is_some() => {
                Reply::ok("<CopyObjectResult><ETag>\"t2\"</ETag></CopyObjectResult>")
            }
            ("PUT", _) => Reply::ok("").header("etag", "\"t\"").header("x-goog-generation", "7"),
            ("HEAD", _) => Reply::ok("")
                .header("content-length", "5")
                .header("x-goog-generation", "7")
                .header("x-goog-meta-colour", "red")
                .header("x-goog-hash", "crc32c=AAAAAQ==,md5=AAAA"),
            ("DELETE", _) => Reply::status(404).body("<Error><Code>NoSuchKey</Code></Error>"),
            _ => Reply::status(412).body("<Error><Code>PreconditionFailed</Code></Error>"),
        });
        let store = env(&[("GOOGLE_BEARER_TOKEN", "token"), ("GOOGLE_BASE_URL", "http://h:1")]);
        let store = store.service(server.clone()).build().unwrap();
        let attributes = Attributes::default().with_metadata("colour", "red").with_content_type("a/b");
        let opts = PutOptions::default().with_create_only().with_attributes(attributes);
        let put = store.put(&key(), "hello".into(), opts.clone()).await.unwrap();
        assert_eq!(put.version.as_deref(), Some("7"));
        let head = store.head(&key(), HeadOptions::default()).await.unwrap();
        assert_eq!(
            (head.version.as_deref(), head.attributes.metadata["colour"].as_str()),
            (Some("7"), "red")
        );
        assert_eq!(head.checksums[0].as_bytes(), [0, 0, 0, 1]);
        let mut copy = CopyOptions::default();
        copy.create_only = true;
        store.copy(&ObjectKey::new("from").unwrap(), &key(), copy).await.unwrap();
        store.delete(&key(), DeleteOptions::default()).await.unwrap();
        store.delete_many(vec![key()]).await.unwrap().remove(0).result.unwrap();
        let error = store.read(&key()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
        assert!(error.to_string().starts_with("gs.object.get gs://b/dir/a b"), "{error}");
        let refused = store.create_multipart(&key(), opts).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        let seen = server.requests();
        assert!(seen.iter().all(|seen| seen.header("authorization") == Some("Bearer token")));
        assert!(seen.iter().all(|seen| seen.headers.keys().all(|name| !name.as_str().starts_with("x-amz-"))));
        assert_eq!(seen[0].header("x-goog-if-generation-match"), Some("0"));
        assert_eq!(seen[0].header("x-goog-meta-colour"), Some("red"));
        assert_eq!(seen[2].header("x-goog-copy-source"), Some("b/from"));
        assert_eq!(seen[2].header("x-goog-if-generation-match"), Some("0"));
    }

    #[tokio::test]
    async fn uploads_in_parts_and_listings() {
        let page = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a//b</Key><Size>3</Size>\
                    <Generation>7</Generation>\
                    <LastModified>2026-11-21T12:07:09.576Z</LastModified><ETag>\"t\"</ETag></Contents>\
                    <CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes></ListBucketResult>";
        let server = ScriptedService::new(move |seen| {
            let query = seen.uri.query().unwrap_or_default();
            match seen.method.as_str() {
                "GET" if query.starts_with("list-type=2") => Reply::ok(page),
                "POST" if query == "uploads=" => Reply::ok(
                    "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>",
                ),
                "PUT" => Reply::ok("").header("etag", "\"p\""),
                "POST" => Reply::ok(
                    "<CompleteMultipartUploadResult><ETag>\"w\"</ETag></CompleteMultipartUploadResult>",
                ),
                _ => Reply::status(500),
            }
        });
        let store = GcsBuilder::new("b").anonymous().service(server.clone()).build().unwrap();
        let id = store.create_multipart(&key(), PutOptions::default()).await.unwrap();
        let upload = longshore_blob_api::MultipartRef { key: key(), id };
        let number = longshore_blob_api::PartNumber::from_index(0);
        let receipt = store.upload_part(&upload, number, "abc".into()).await.unwrap();
        let done = store.complete_multipart(&upload, vec![receipt]).await.unwrap();
        assert_eq!(done.etag.as_deref(), Some("\"w\""));
        let page = store.list_page(&longshore_blob_api::ListOptions::default().with_delimiter(), None).await;
        let page = page.unwrap();
        let names: Vec<_> = page.entries.iter().map(|entry| entry.name().to_owned()).collect();
        assert_eq!(names, ["a//b", "dir/"]);
        let longshore_blob_api::Entry::Object(meta) = &page.entries[0] else { panic!("{page:?}") };
        assert!(meta.created.is_some() && meta.created == meta.last_modified);
        assert_eq!(meta.version.as_deref(), Some("7"));
        assert!(server.requests().iter().all(|seen| seen.header("authorization").is_none()));
        assert_eq!(server.requests()[0].uri.host(), Some("storage.googleapis.com"));
    }

    #[tokio::test]
    async fn only_accounts_sign_urls() {
        let store = env(&[("GOOGLE_BEARER_TOKEN", "token")]).build().unwrap();
        let request = SignRequest::new(SignMethod::Get, key(), std::time::Duration::from_secs(60));
        assert!(!store.capability().sign_get);
        assert_eq!(store.sign(request).await.unwrap_err().kind(), ErrorKind::Unsupported);
    }

    /// Whoever sends requests learns that the service had enough of them, although a later one was answered.
    #[tokio::test]
    async fn refusals_are_noted() {
        let replies =
            [Reply::status(503).header("retry-after", "0"), Reply::ok("").header("content-length", "7")];
        let store =
            GcsBuilder::new("b").anonymous().service(ScriptedService::replies(replies)).build().unwrap();
        store.head(&ObjectKey::new("k").unwrap(), HeadOptions::default()).await.unwrap();
        assert_eq!(store.pressure().unwrap().refusals(), 1);
    }
}
