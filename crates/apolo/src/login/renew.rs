//! New tokens for a login, once for all processes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use http::{HeaderValue, header};
use longshore_core_types::{CallInfo, Error, ErrorKind, Idempotency, Payload, Result, Secret};
use longshore_object_store::credentials::{Issued, Issuer};
use longshore_transport::{Attempts, BaseUrl, Query, Transport, body};
use serde::Deserialize;
use tracing::warn;

use super::{
    file::{File, Renewed, Saved},
    token,
};

const OPERATION: &str = "apolo.login.renew";

/// Part of a token's life after which the platform's client renews it.
const RATIO: f64 = 0.75;

/// Longest answer of a token service that is read.
const ANSWER: usize = 1 << 20;

/// Gives the token of a login, and renews it.
pub(super) struct Login {
    file: File,
    transport: Transport,
    /// The token that was given last; if somebody asks again in its time, it was refused.
    last: Mutex<Option<Secret>>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("file", &self.file).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: f64,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl Login {
    pub(super) fn new(file: File, transport: Transport) -> Self {
        Self { file, transport, last: Mutex::new(None) }
    }

    /// Whether the token of the file will do.
    fn is_good(&self, saved: &Saved) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = last.as_ref().is_some_and(|last| last.expose() == saved.token.expose());
        !refused && saved.renew_from > SystemTime::now()
    }

    fn give(&self, token: Secret, renew_from: SystemTime, end: Option<SystemTime>) -> Issued<Secret> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Issued::new(token).until(end.unwrap_or(renew_from)).renewed_from(renew_from)
    }

    fn give_saved(&self, saved: Saved) -> Issued<Secret> {
        let end = token::end(saved.token.expose());
        self.give(saved.token, saved.renew_from, end)
    }

    fn ended(&self, why: &str) -> Error {
        let message = format!(
            "the Apolo login in {} {why}: log in anew with `apolo login`",
            self.file.folder().display()
        );
        Error::new(ErrorKind::Unauthenticated, message).with_operation(OPERATION)
    }

    /// Asks the platform's token service.
    async fn ask(&self, saved: &Saved, refresh_token: &Secret) -> Result<Renewed> {
        let base = BaseUrl::parse(&saved.token_url, "Apolo's token service")?;
        let mut form = Query::new();
        form.push("grant_type", "refresh_token");
        form.push("refresh_token", refresh_token.expose());
        form.push("client_id", &saved.client_id);
        // Services may take a refresh token only once.
        let call = CallInfo::new(OPERATION, Idempotency::NotIdempotent);
        let mut request = http::Request::new(Payload::from(form.as_str().to_owned()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = base.uri("", "")?;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.extensions_mut().insert(call.clone());
        let asked = SystemTime::now();
        let response = self.transport.send(request).await.map_err(|error| error.into_error(&call))?;
        let (parts, stream) = response.into_parts();
        let status = parts.status;
        // A refresh token that is not good any more; anything else, such as too many requests, says nothing of the login.
        if matches!(status.as_u16(), 400 | 401 | 403) {
            let why = format!("is not renewed any more (status {})", status.as_u16());
            return Err(self.ended(&why).with_status(status));
        }
        if !status.is_success() {
            let kind = match ErrorKind::from_status(status) {
                kind @ (ErrorKind::RateLimited | ErrorKind::Timeout) => kind,
                _ => ErrorKind::Unavailable,
            };
            let error = Error::new(kind, "the token service of the platform gave no token");
            return Err(Attempts::annotate(&parts, error.with_call(&call)));
        }
        let bytes = body::collect(stream, ANSWER).await.map_err(|error| error.into_error(&call))?;
        // What is wrong with it is not said: it holds tokens.
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| {
            Error::new(ErrorKind::Protocol, "the answer of the token service is no token").with_call(&call)
        })?;
        let after = |seconds: f64| {
            let life = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
            asked.checked_add(life).unwrap_or(asked)
        };
        Ok(Renewed {
            token: Secret::from(answer.access_token),
            renew_from: after(answer.expires_in * RATIO),
            end: after(answer.expires_in),
            refresh_token: answer.refresh_token.filter(|token| !token.is_empty()).map(Secret::from),
        })
    }
}

impl Issuer for Login {
    type Credentials = Secret;

    async fn issue(&self) -> Result<Issued<Secret>> {
        let saved = self.file.load().await?;
        if self.is_good(&saved) {
            return Ok(self.give_saved(saved));
        }
        if saved.refresh_token.is_none() {
            return Err(self.ended("has ended"));
        }
        let _lock = self.file.lock().await?;
        // Whoever had the lock before has renewed it.
        let saved = self.file.load().await?;
        if self.is_good(&saved) {
            return Ok(self.give_saved(saved));
        }
        let refresh_token = saved.refresh_token.as_ref().ok_or_else(|| self.ended("has ended"))?;
        let renewed = self.ask(&saved, refresh_token).await?;
        match self.file.replace(saved.token, renewed.clone()).await {
            Ok(true) => {}
            Ok(false) => {
                // Somebody has logged in meanwhile, perhaps as another user.
                let other = self.file.load().await?;
                if self.is_good(&other) {
                    return Ok(self.give_saved(other));
                }
            }
            Err(error) => {
                warn!(error = %error.chain(), "the renewed Apolo login was not saved; it serves on here");
            }
        }
        Ok(self.give(renewed.token, renewed.renew_from, Some(renewed.end)))
    }
}

#[cfg(test)]
mod tests {
    use longshore_object_store::credentials::{CredentialSource, Renewing};
    use longshore_transport::{
        RetryConfig, TransportConfig,
        testing::{Reply, ScriptedService},
    };

    use super::{super::file::tests::write, *};

    fn ago() -> SystemTime {
        SystemTime::now() - Duration::from_secs(1)
    }

    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_mins(10)
    }

    fn login(folder: &std::path::Path, service: &ScriptedService) -> Renewing<Login> {
        let mut config = TransportConfig::default();
        config.retry = RetryConfig::off();
        let transport = Transport::builder().config(config).service(service.clone()).build().unwrap();
        Renewing::new(Login::new(File::new(folder.to_owned()), transport))
    }

    fn tokens() -> ScriptedService {
        ScriptedService::new(|_| {
            let reply = r#"{"access_token": "sentinel-new", "expires_in": 3600, "token_type": "Bearer"}"#;
            Reply::ok(reply).after(Duration::from_millis(20))
        })
    }

    #[tokio::test]
    async fn a_token_that_is_due_is_renewed_once_for_all() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "old", ago(), "sentinel&refresh", "http://h");
        let service = tokens();
        // Each of them stands for a process: they share nothing but the file.
        let (one, two, three) =
            (login(dir.path(), &service), login(dir.path(), &service), login(dir.path(), &service));
        let found =
            tokio::join!(one.credentials(), two.credentials(), three.credentials(), one.credentials());
        for token in [found.0, found.1, found.2, found.3] {
            assert_eq!(token.unwrap().expose(), "sentinel-new");
        }
        let seen = service.requests();
        assert_eq!(seen.len(), 1);
        assert_eq!(
            (seen[0].method.as_str(), seen[0].uri.to_string().as_str()),
            ("POST", "http://h/oauth/token")
        );
        assert_eq!(seen[0].header("content-type"), Some("application/x-www-form-urlencoded"));
        let form = "grant_type=refresh_token&refresh_token=sentinel%26refresh&client_id=id";
        assert_eq!(seen[0].body.as_deref(), Some(form.as_bytes()));
        let saved = File::new(dir.path().to_owned()).load().await.unwrap();
        let left = saved.renew_from.duration_since(SystemTime::now()).unwrap().as_secs();
        assert!(saved.token.expose() == "sentinel-new" && (2600..=2700).contains(&left), "{left}");
        assert_eq!(saved.refresh_token.unwrap().expose(), "sentinel&refresh");
        assert!(!format!("{one:?}").contains("sentinel"));
    }

    #[tokio::test]
    async fn a_token_that_is_refused_is_renewed_or_found_renewed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "old", later(), "r", "http://h");
        let service = tokens();
        let (one, other) = (login(dir.path(), &service), login(dir.path(), &service));
        assert_eq!(one.credentials().await.unwrap().expose(), "old");
        assert_eq!(other.credentials().await.unwrap().expose(), "old");
        assert!(service.requests().is_empty());
        for login in [&one, &other] {
            login.invalidate();
            assert_eq!(login.credentials().await.unwrap().expose(), "sentinel-new");
        }
        assert_eq!(service.requests().len(), 1);
    }

    #[tokio::test]
    async fn what_cannot_be_renewed_says_how_to_log_in() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "old", ago(), "", "http://h");
        let service = ScriptedService::new(|_| Reply::status(403).body(r#"{"error": "sentinel"}"#));
        let error = login(dir.path(), &service).credentials().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.to_string().contains("`apolo login`") && service.requests().is_empty(), "{error}");
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "old", ago(), "sentinel", "http://h");
        let error = login(dir.path(), &service).credentials().await.unwrap_err();
        assert_eq!((error.kind(), service.requests().len()), (ErrorKind::Unauthenticated, 1));
        assert!(
            error.to_string().contains("`apolo login`") && !error.chain().contains("sentinel"),
            "{error}"
        );
        for (status, kind) in
            [(503, ErrorKind::Unavailable), (404, ErrorKind::Unavailable), (429, ErrorKind::RateLimited)]
        {
            let broken = ScriptedService::new(move |_| Reply::status(status));
            let error = login(dir.path(), &broken).credentials().await.unwrap_err();
            assert!(error.kind() == kind && !error.to_string().contains("log in anew"), "{error}");
        }
        // Nothing was written.
        assert_eq!(File::new(dir.path().to_owned()).load().await.unwrap().token.expose(), "old");
    }

    #[tokio::test]
    async fn a_refresh_token_that_changes_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "old", ago(), "r1", "http://h");
        let service = ScriptedService::new(|_| {
            Reply::ok(r#"{"access_token": "new", "expires_in": 60, "refresh_token": "r2"}"#)
        });
        login(dir.path(), &service).credentials().await.unwrap();
        let saved = File::new(dir.path().to_owned()).load().await.unwrap();
        assert_eq!(saved.refresh_token.unwrap().expose(), "r2");
    }
}
