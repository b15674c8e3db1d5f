use std::{
    sync::atomic::{AtomicBool, AtomicU32},
    time::Duration,
};

use futures_util::{future::join_all, stream};
use http::HeaderValue;
use longshore_core_types::{Error, ErrorKind, Payload, Result};
use tower::ServiceExt;

use super::*;
use crate::testing::{Reply, ScriptedService};

/// Hands out `token-N`; getting the next one takes a second.
#[derive(Clone, Debug, Default)]
struct Login(Arc<LoginState>);

#[derive(Debug, Default)]
struct LoginState {
    valid: AtomicU32,
    stale: AtomicBool,
    invalidated: AtomicU32,
    renewals: AtomicU32,
    broken: AtomicBool,
}

impl CredentialProvider for Login {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        let state = &*self.0;
        if state.stale.load(SeqCst) {
            state.renewals.fetch_add(1, SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if state.broken.load(SeqCst) {
                return Err(Error::new(ErrorKind::PermissionDenied, "wrong password"));
            }
            state.valid.fetch_add(1, SeqCst);
            state.stale.store(false, SeqCst);
        }
        let token = format!("token-{}", state.valid.load(SeqCst));
        parts.headers.insert("authorization", HeaderValue::try_from(token).unwrap());
        Ok(())
    }

    fn invalidate(&self) {
        self.0.invalidated.fetch_add(1, SeqCst);
        self.0.stale.store(true, SeqCst);
    }
}

/// Accepts one token only.
fn server(token: &'static str) -> ScriptedService {
    ScriptedService::new(move |seen| {
        let right = seen.header("authorization") == Some(token);
        (if right { Reply::ok("") } else { Reply::status(401) }).after(Duration::from_millis(100))
    })
}

fn put(body: impl Into<Payload>) -> HttpRequest {
    http::Request::put("http://gw/x").body(body.into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_credentials_that_debug_hides() {
    let (login, server) = (Login::default(), server("token-0"));
    let stack = AuthLayer::new(login.clone()).layer(server.clone());
    assert_eq!(stack.oneshot(put("x")).await.unwrap().status(), 200);
    assert_eq!(login.0.invalidated.load(SeqCst), 0);
    assert!(!format!("{:?}", server.requests()).contains("token-0"));
}

#[tokio::test(start_paused = true)]
async fn one_renewal_and_one_replay() {
    let (login, server) = (Login::default(), server("token-1"));
    let stack = AuthLayer::new(login.clone()).layer(server.clone());
    assert_eq!(stack.oneshot(put("body")).await.unwrap().status(), 200);
    assert_eq!((login.0.invalidated.load(SeqCst), login.0.renewals.load(SeqCst)), (1, 1));
    assert_eq!(server.requests()[1].body.as_ref().unwrap(), "body");
}

#[tokio::test(start_paused = true)]
async fn a_second_refusal_is_final() {
    let (login, server) = (Login::default(), server("token-9"));
    let stack = AuthLayer::new(login.clone()).layer(server.clone());
    assert_eq!(stack.oneshot(put("x")).await.unwrap().status(), 401);
    assert_eq!((server.requests().len(), login.0.invalidated.load(SeqCst)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn concurrent_refusals_share_one_renewal() {
    let (login, server) = (Login::default(), server("token-1"));
    let layer = AuthLayer::new(login.clone());
    let stack = || layer.layer(server.clone());
    let all = join_all((0..50).map(|n| {
        let stack = stack();
        async move {
            // Some arrive while the renewal runs, and wait for it instead of starting their own.
            tokio::time::sleep(Duration::from_millis(n * 10)).await;
            stack.oneshot(put("x")).await.unwrap().status()
        }
    }));
    assert!(all.await.into_iter().all(|status| status == 200));
    assert_eq!((login.0.invalidated.load(SeqCst), login.0.renewals.load(SeqCst)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_fails_those_who_waited() {
    let (login, server) = (Login::default(), server("token-1"));
    login.0.broken.store(true, SeqCst);
    let layer = AuthLayer::new(login.clone());
    let all = join_all((0..20).map(|_| layer.layer(server.clone()).oneshot(put("x")))).await;
    for outcome in all {
        assert_eq!(outcome.unwrap_err().kind(), TransportErrorKind::Credentials);
    }
    assert_eq!(login.0.renewals.load(SeqCst), 1);
    // The next request may try anew.
    login.0.broken.store(false, SeqCst);
    assert_eq!(layer.layer(server).oneshot(put("x")).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_replayed_is_not() {
    let (login, server) = (Login::default(), server("token-1"));
    let layer = AuthLayer::new(login.clone());
    let once = Payload::once(None, stream::iter([Ok(Bytes::from("x"))]));
    assert_eq!(layer.layer(server.clone()).oneshot(put(once)).await.unwrap().status(), 401);
    assert_eq!((server.requests().len(), login.0.invalidated.load(SeqCst)), (1, 1));
    assert_eq!(layer.layer(server).oneshot(put("x")).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn without_credentials_nothing_is_sent() {
    let (login, server) = (Login::default(), server("token-1"));
    login.0.stale.store(true, SeqCst);
    login.0.broken.store(true, SeqCst);
    let error = AuthLayer::new(login).layer(server.clone()).oneshot(put("x")).await.unwrap_err();
    assert_eq!(error.to_string(), "http://gw: no credentials for the request");
    assert!(server.requests().is_empty());
    let call = longshore_core_types::CallInfo::new("a.b", longshore_core_types::Idempotency::Idempotent);
    assert_eq!(error.into_error(&call).kind(), ErrorKind::PermissionDenied);
}
