//! Where the clients of a guarded cluster get their tokens from.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use http::request::Parts;
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use longshore_transport::{BearerToken, CredentialProvider, TokenCache, TokenSource, read_token_file};
use tokio::sync::Mutex;

use crate::{AuthnClient, Token, TokenLifetime};

/// Logs in when a token is needed, and again before it expires or once the cluster has refused it.
///
/// Requests that come meanwhile wait for the one login. If a login ahead of time fails, the token that is still
/// good serves on. Give it to `ClientBuilder::credentials` of a cluster's client.
#[derive(Debug)]
pub struct LoginCredentials(TokenCache<Login>);

/// The login itself, as a source of tokens.
#[derive(Debug)]
struct Login {
    client: AuthnClient,
    user: String,
    password: Secret,
    lifetime: TokenLifetime,
}

impl LoginCredentials {
    /// Logs in as this user. `client` should have no other use: it keeps the token too.
    pub fn new(client: AuthnClient, user: impl Into<String>, password: Secret) -> Self {
        let lifetime = TokenLifetime::default();
        Self(TokenCache::new(Login { client, user: user.into(), password, lifetime }))
    }

    /// Asks for tokens that live so long.
    #[must_use]
    pub fn with_lifetime(self, lifetime: TokenLifetime) -> Self {
        Self(TokenCache::new(Login { lifetime, ..self.0.into_source() }))
    }
}

impl TokenSource for Login {
    async fn fetch(&self) -> Result<longshore_transport::Token> {
        tracing::debug!(user = self.user, "logging in");
        let token = self.client.login(self.user.as_str(), &self.password).lifetime(self.lifetime).await?;
        let fetched = longshore_transport::Token::new(token.secret().clone());
        Ok(match token.lifetime() {
            Some(time) => fetched.valid_for(time),
            None => fetched,
        })
    }
}

impl CredentialProvider for LoginCredentials {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        self.0.authorize(parts).await
    }

    fn invalidate(&self) {
        self.0.invalidate();
    }
}

/// The token in a file, as `ais auth login` and `longshore authn login` write it: `{"token":"..."}`, or the
/// bare token.
///
/// The file is read again when it has changed, and after the cluster has refused the token.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    current: Mutex<Option<(SystemTime, BearerToken)>>,
    refused: std::sync::atomic::AtomicBool,
}

impl TokenFile {
    /// Reads the token from this file, when it is needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), current: Mutex::default(), refused: false.into() }
    }

    /// The place where the command lines of AIStore and longshore keep the token:
    /// `.config/ais/cli/auth.token` in the home directory.
    pub fn default_path() -> Option<PathBuf> {
        let home = env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(Path::new(&home).join(".config/ais/cli/auth.token"))
    }

    /// The token that stands in a file; see [`read_token_file`].
    pub fn read(path: &Path) -> Result<Token> {
        read_token_file(path).map(Token::new)
    }

    /// Stores a token: written beside the file with mode 0600, then renamed over it.
    pub fn write(path: &Path, token: &Secret) -> Result<()> {
        let failed = |error: io::Error| {
            let message = format!("the token file {} cannot be written", path.display());
            Error::new(ErrorKind::LocalIo, message).with_source(error)
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = write_private(&temporary, &serde_json::json!({"token": token.expose()}).to_string())
            .and_then(|()| fs::rename(&temporary, path));
        written.map_err(|error| {
            // The rest of a failed attempt; that it cannot be removed changes nothing about the failure.
            let _ = fs::remove_file(&temporary);
            failed(error)
        })
    }
}

#[cfg(unix)]
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(not(unix))]
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

impl CredentialProvider for TokenFile {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        let mut current = self.current.lock().await;
        let refused = self.refused.swap(false, std::sync::atomic::Ordering::AcqRel);
        let modified = fs::metadata(&self.path).and_then(|meta| meta.modified());
        let bearer = match (current.as_ref(), &modified) {
            (Some((read, bearer)), Ok(modified)) if read == modified && !refused => bearer.clone(),
            _ => {
                let bearer = BearerToken::new(&read_token_file(&self.path)?)?;
                *current = modified.ok().map(|modified| (modified, bearer.clone()));
                bearer
            }
        };
        bearer.authorize(parts).await
    }

    fn invalidate(&self) {
        self.refused.store(true, std::sync::atomic::Ordering::Release);
    }
}

/// The token that the environment names.
#[derive(Debug)]
#[non_exhaustive]
pub enum EnvToken {
    /// The value of `AIS_AUTHN_TOKEN`.
    Value(Token),
    /// The file that `AIS_AUTHN_TOKEN_FILE` names, or the default one if it exists.
    File(TokenFile),
}

impl EnvToken {
    /// Looks at `AIS_AUTHN_TOKEN`, then `AIS_AUTHN_TOKEN_FILE`, then for the file of
    /// [`TokenFile::default_path`]. `None` if there is no token anywhere.
    pub fn find() -> Option<Self> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        if let Some(token) = set("AIS_AUTHN_TOKEN") {
            return Some(Self::Value(Token::new(token.trim().into())));
        }
        if let Some(path) = set("AIS_AUTHN_TOKEN_FILE") {
            return Some(Self::File(TokenFile::new(path)));
        }
        let path = TokenFile::default_path().filter(|path| path.exists())?;
        Some(Self::File(TokenFile::new(path)))
    }
}

impl CredentialProvider for EnvToken {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        match self {
            Self::Value(token) => BearerToken::new(token.secret())?.authorize(parts).await,
            Self::File(file) => file.authorize(parts).await,
        }
    }

    fn invalidate(&self) {
        if let Self::File(file) = self {
            file.invalidate();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use http::header::AUTHORIZATION;
    use longshore_transport::{
        Transport,
        testing::{Reply, ScriptedService},
    };
    use serde_json::json;

    use super::*;
    use crate::token::tests::forged;

    /// A service that gives out tokens with this life, each with its number as issuer.
    fn service(life: Duration) -> ScriptedService {
        switched(life, Arc::new(true.into()))
    }

    /// The same, which answers only as long as it is up.
    fn switched(life: Duration, up: Arc<std::sync::atomic::AtomicBool>) -> ScriptedService {
        let count = std::sync::atomic::AtomicU64::new(0);
        ScriptedService::new(move |_| {
            if !up.load(std::sync::atomic::Ordering::Relaxed) {
                return Reply::status(503);
            }
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let claims = json!({"sub": "bob", "iss": number.to_string(), "exp": (now + life).as_secs()});
            let body = json!({"token": forged(&claims).expose()}).to_string();
            Reply::ok(body).after(Duration::from_millis(5))
        })
    }

    fn credentials(service: &ScriptedService) -> Arc<LoginCredentials> {
        let transport = Transport::builder().service(service.clone()).build().unwrap();
        let client = AuthnClient::builder("http://authn").transport(transport).build().unwrap();
        Arc::new(LoginCredentials::new(client, "bob", "sesame".into()))
    }

    async fn header(provider: &impl CredentialProvider) -> String {
        let mut parts = http::Request::new(()).into_parts().0;
        provider.authorize(&mut parts).await.unwrap();
        assert!(parts.headers[AUTHORIZATION].is_sensitive());
        parts.headers[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_wait_for_one_login() {
        let service = service(Duration::from_secs(3600));
        let provider = credentials(&service);
        let (a, b, c) = tokio::join!(header(&*provider), header(&*provider), header(&*provider));
        assert!(a == b && b == c);
        assert_eq!(service.requests().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_leads_to_one_new_login() {
        let service = service(Duration::from_secs(3600));
        let provider = credentials(&service);
        let first = header(&*provider).await;
        provider.invalidate();
        let (second, third) = tokio::join!(header(&*provider), header(&*provider));
        assert_ne!(first, second);
        assert_eq!(second, third);
        assert_eq!(service.requests().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_it_expires() {
        let service = service(Duration::from_secs(600));
        let provider = credentials(&service);
        let first = header(&*provider).await;
        tokio::time::advance(Duration::from_secs(530)).await;
        assert_eq!(header(&*provider).await, first);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_ne!(header(&*provider).await, first);
        assert_eq!(service.requests().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_token_serves_on_while_the_service_is_down() {
        let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let service = switched(Duration::from_secs(600), Arc::clone(&up));
        let provider = credentials(&service);
        let first = header(&*provider).await;
        up.store(false, std::sync::atomic::Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(580)).await;
        assert_eq!(header(&*provider).await, first);
        tokio::time::advance(Duration::from_secs(30)).await;
        let mut parts = http::Request::new(()).into_parts().0;
        assert!(provider.authorize(&mut parts).await.is_err(), "it has expired");
    }

    #[test]
    fn no_password_in_debug() {
        let provider = credentials(&service(Duration::ZERO));
        assert!(!format!("{provider:?}").contains("sesame"));
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cli/auth.token");
        let provider = TokenFile::new(&path);
        let mut parts = http::Request::new(()).into_parts().0;
        let missing = provider.authorize(&mut parts).await.unwrap_err();
        assert!(missing.to_string().contains("log in"), "{missing}");

        TokenFile::write(&path, &"one".into()).unwrap();
        assert_eq!(header(&provider).await, "Bearer one");
        TokenFile::write(&path, &"two".into()).unwrap();
        provider.invalidate();
        assert_eq!(header(&provider).await, "Bearer two");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
