//! What the service asks of registered clusters: whether they trust its tokens, and to refuse revoked ones.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use super::password::hex;
use super::{Service, tokens};
use crate::access::ClusterAcl;
use crate::aistore::error::{Fail, Result};

/// How long a cluster may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read.
const MAX_ANSWER: usize = 64 << 10;

type Outcome = std::result::Result<(), String>;

/// Makes sure that a cluster trusts this service, and tells it what was revoked. Unlike the original, a cluster that
/// cannot be reached is not tried again and again.
pub(super) async fn introduce(service: &Service, cluster: &ClusterAcl) -> Result<()> {
    let digest = Sha256::digest(service.state().config.secret.as_bytes());
    let secret = hex(&digest);
    let body = format!(
        "{{\"secret\":\"{secret}\",\"expiration_time\":\"0s\",\"max_token_age\":\"0s\",\"public_key\":null,\
         \"signing_key\":{{}},\"db\":{{\"type\":\"\",\"filepath\":\"\"}}}}"
    );
    let revoked: Vec<String> = {
        let mut state = service.state().clone();
        state.prune();
        state.revoked.into_keys().collect()
    };
    let told = async {
        first_of(service, cluster, &Method::POST, &body).await?;
        if revoked.is_empty() || cluster.urls.is_empty() {
            return Ok(());
        }
        revoke(service, cluster, &revoked).await
    };
    told.await.map_err(|reason: String| {
        let (alias, id) = (&cluster.alias, &cluster.id);
        Fail::bad(format!("failed to validate-signer with {alias}[{id}]: {reason}"))
    })
}

/// Tells a cluster which tokens are revoked.
pub(super) async fn revoke(service: &Service, cluster: &ClusterAcl, tokens: &[String]) -> Outcome {
    let body = json!({"tokens": tokens, "version": "0"}).to_string();
    first_of(service, cluster, &Method::DELETE, &body).await
}

/// Asks the URLs of a cluster in turn until one of them agrees; without any, nobody objects.
async fn first_of(service: &Service, cluster: &ClusterAcl, method: &Method, body: &str) -> Outcome {
    let token = tokens::own(service, &cluster.id);
    let mut outcome = Ok(());
    for url in &cluster.urls {
        let url = format!("{}/v1/tokens", url.trim_end_matches('/'));
        let asked = tokio::time::timeout(TIMEOUT, ask(&url, method, &token, body)).await;
        outcome = asked
            .unwrap_or_else(|_| Err(Refusal::Transport("context deadline exceeded".into())))
            .map_err(|e| match e {
                Refusal::Answer(text) => text,
                Refusal::Transport(text) => {
                    let verb = if *method == Method::POST { "Post" } else { "Delete" };
                    format!("{verb} \"{url}\": {text}")
                }
            });
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Why a URL did not agree.
enum Refusal {
    Answer(String),
    Transport(String),
}

async fn ask(url: &str, method: &Method, token: &str, body: &str) -> std::result::Result<(), Refusal> {
    let transport = |e: &dyn std::fmt::Display| Refusal::Transport(e.to_string());
    let Some(rest) = url.strip_prefix("http://") else {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        return Err(transport(&format!("unsupported protocol scheme \"{scheme}\"")));
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let stream = TcpStream::connect(&authority).await.map_err(|e| {
        let reason = match e.kind() {
            std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            _ => e.to_string(),
        };
        transport(&format!("dial tcp {authority}: connect: {reason}"))
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| transport(&e))?;
    let request = Request::builder()
        .method(method)
        .uri(format!("/{path}"))
        .header(HOST, host)
        .header(USER_AGENT, "Go-http-client/1.1")
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONNECTION, "close")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|e| transport(&e))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        Ok::<_, String>((status, body.map_err(|e| e.to_string())?.to_bytes()))
    };
    let (answer, _) = join(exchange, connection).await;
    let (status, body) = answer.map_err(|e| transport(&e))?;
    if status.as_u16() < 400 {
        return Ok(());
    }
    Err(Refusal::Answer(reason(&body, method)))
}

/// What a refusal says: the message of an error document, else its text.
fn reason(body: &[u8], method: &Method) -> String {
    let text = String::from_utf8_lossy(body);
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    match (document["message"].as_str(), document["tcode"].as_str()) {
        (Some(message), Some(tcode)) => format!("{tcode}: {message}"),
        (Some(message), None) => message.to_owned(),
        _ if text.trim().is_empty() => format!("failed to execute {method} request"),
        _ => text.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let reason = |text: &str| reason(text.as_bytes(), &Method::POST);
        assert_eq!(reason(r#"{"message":"invalid token"}"#), "invalid token");
        assert_eq!(reason(r#"{"tcode":"wrapError","message":"x"}"#), "wrapError: x");
        assert_eq!(reason("not here\n"), "not here");
        assert_eq!(reason(""), "failed to execute POST request");
    }
}
