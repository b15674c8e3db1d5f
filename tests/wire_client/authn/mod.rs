//! The AuthN client against recorded exchanges of a real service.
//!
//! As with AIStore: each recorded request is read as the call that would make it, the call is made, and what was sent
//! and what was made of the answer are compared with the recording. Several calls look something up first or read
//! back what they have stored; those requests, which were not recorded, get the simplest answer that lets the call go
//! on.

mod calls;
mod wanted;

use libtest_mimic::Trial;
use longshore::authn::AuthnClient;
use longshore_core_types::{Error, ErrorKind};
use longshore_transport::{
    RetryConfig, Transport, TransportConfig, TransportError, TransportErrorKind,
    testing::{Reply, ScriptedService, Seen},
};
use serde_json::{Value, json};

use crate::{
    coverage::Coverage,
    recorded::{self, Exchange, Request, Response},
    replay::{Actual, RUNTIME},
};

const SERVICE: &str = "http://authn:52001";

/// Whether the exchanges of a file were made with the service.
pub(crate) fn is_ours(file: &str) -> bool {
    file.starts_with("authn-")
}

/// The trials of all files that have classes.
pub(crate) fn trials(coverage: &Coverage) -> Vec<Trial> {
    let mut trials = Vec::new();
    for file in coverage.authn_files() {
        let exchanges = recorded::exchanges(&file);
        let names = exchanges.iter().map(|exchange| exchange.name.clone()).collect();
        trials.push(coverage.check_names(&file, names));
        for exchange in exchanges {
            let class = coverage.class(&file, &exchange.name);
            let name = format!("{file}/{}", exchange.name);
            trials.push(Trial::test(name, move || trial(&exchange, class.as_ref()).map_err(Into::into)));
        }
    }
    trials
}

fn trial(exchange: &Exchange, class: Option<&String>) -> Result<(), String> {
    let actual = replay(exchange)?;
    match class {
        None => Err(format!("it has no class; it is {}", actual.name())),
        Some(class) if class == actual.name() => Ok(()),
        Some(class) => Err(format!("it is classed {class} but is {}", actual.name())),
    }
}

/// Prints what every exchange is, for the writer of `coverage.toml`.
pub(crate) fn print_actual(coverage: &Coverage) {
    for file in coverage.authn_files() {
        for exchange in recorded::exchanges(&file) {
            let actual = match replay(&exchange) {
                Ok(actual) => actual.name().to_owned(),
                Err(error) => format!("FAILED {}", error.replace('\n', " ")),
            };
            println!("{file}\t{}\t{actual}", exchange.name);
        }
    }
}

/// Makes the call, if there is one, and compares both ways.
fn replay(exchange: &Exchange) -> Result<Actual, String> {
    if exchange.node != "authn" {
        // What clusters are asked is in files of their own.
        return Ok(Actual::ServerOnly);
    }
    let Some(call) = calls::read(&exchange.request) else { return Ok(Actual::ServerOnly) };
    let service = service(exchange.clone());
    let result = RUNTIME.with_borrow(|runtime| runtime.block_on((call.run)(client(&service))));
    let asked = service.requests();
    if asked.is_empty() {
        return match result {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(Actual::Refused),
            other => Err(format!("nothing was sent, and the outcome is {other:?}")),
        };
    }
    let Some(sent) = asked.iter().find(|seen| is_recorded(seen, &exchange.request)) else {
        return Ok(Actual::ServerOnly);
    };
    if !same_body(sent, &exchange.request) {
        return Ok(Actual::ServerOnly);
    }
    let Some(response) = &exchange.response else {
        return match result {
            Err(error) if error.kind() == ErrorKind::Transport => Ok(Actual::Built),
            other => Err(format!("the service closed the connection, and the outcome is {other:?}")),
        };
    };
    match result {
        Ok(value) if response.status == 200 => {
            let want = (call.want)(response);
            if value == want { Ok(Actual::Built) } else { Err(format!("read as {value}, not as {want}")) }
        }
        Err(error) if response.status >= 400 => same_error(&error, response).map(|()| Actual::Built),
        other => Err(format!("the answer was {}, and the outcome is {other:?}", response.status)),
    }
}

fn client(service: &ScriptedService) -> AuthnClient {
    let config = TransportConfig::default().retry(RetryConfig::off());
    let transport = Transport::builder().config(config).service(service.clone()).build().unwrap();
    AuthnClient::builder(SERVICE).transport(transport).token("a-token").build().unwrap()
}

fn is_recorded(seen: &Seen, request: &Request) -> bool {
    let target = seen.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    seen.method == request.method.as_str() && target == request.path
}

/// Answers the recorded request as it was answered, and others so that the call goes on.
fn service(exchange: Exchange) -> ScriptedService {
    let answered = std::sync::atomic::AtomicBool::new(false);
    ScriptedService::new(move |seen| {
        let first = || !answered.swap(true, std::sync::atomic::Ordering::Relaxed);
        if is_recorded(seen, &exchange.request) && first() {
            return match &exchange.response {
                Some(response) => recorded_reply(response),
                None => Reply::error(TransportError::new(TransportErrorKind::Closed, "no answer")),
            };
        }
        let body = exchange.request.json();
        let names = body["roles"].as_array().into_iter().flatten().filter_map(|role| role["name"].as_str());
        let roles: Vec<_> = names.map(|name| json!({ "name": name })).collect();
        let answer = match seen.uri.path().rsplit_once('/') {
            Some((path, "daemon")) if path.ends_with("/v1") => json!({ "uuid": body["id"] }),
            Some(("/v1/roles", name)) => json!({ "name": name }),
            Some(("/v1/users", name)) => json!({ "id": name, "roles": roles }),
            Some(("/v1/clusters", id)) => json!({ "clusters": { id: { "id": id } } }),
            _ => return Reply::status(500),
        };
        Reply::ok(answer.to_string())
    })
}

fn recorded_reply(response: &Response) -> Reply {
    let reply = Reply::status(response.status).body(response.body().bytes());
    match response.header("hdr-error") {
        Some(text) => reply.header("hdr-error", text),
        None => reply,
    }
}

/// Whether a body means what the recorded one means.
fn same_body(sent: &Seen, request: &Request) -> bool {
    let sent = sent.body.clone().unwrap_or_default();
    let recorded = request.body().bytes();
    if sent.is_empty() || recorded.is_empty() {
        return sent.is_empty() && recorded.is_empty();
    }
    // The name in the path of a change decides.
    let by_path = ["/v1/users/", "/v1/roles/"].iter().any(|path| request.path.starts_with(path));
    let read = |bytes: &[u8]| {
        let mut value = serde_json::from_slice::<Value>(bytes).ok()?;
        if let Some(members) = value.as_object_mut().filter(|_| by_path && request.method == "PUT") {
            members.remove("id");
            members.remove("name");
        }
        Some(canonical(value))
    };
    read(&sent).is_some_and(|value| Some(value) == read(&recorded))
}

/// The service does not tell `null` and what is left out apart, nor an empty text or list; of the roles of a user
/// it reads the names alone. Zero is a value: it is the longest life of a token.
fn canonical(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let is_user = members.contains_key("pass") || members.contains_key("roles");
    let kept = members.into_iter().filter_map(|(name, value)| match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) if is_user && name == "roles" => {
            let role = |item: Value| if item.is_object() { item["name"].clone() } else { item };
            Some((name, items.into_iter().map(role).collect()))
        }
        Value::Array(items) => Some((name, items.into_iter().map(canonical).collect())),
        other => Some((name, canonical(other))),
    });
    Value::Object(kept.collect())
}

/// Compares an error with the answer that it was made of.
fn same_error(error: &Error, response: &Response) -> Result<(), String> {
    let bytes = match response.header("hdr-error") {
        Some(text) => text.as_bytes().to_vec(),
        None => response.body().bytes(),
    };
    let text = String::from_utf8_lossy(&bytes);
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let message = match document["message"].as_str() {
        Some(message) => message,
        None => text.lines().next().unwrap_or_default().trim(),
    };
    let kind = match response.status {
        401 if message.contains("requires admin") || message.contains("not authorized: (user") => {
            ErrorKind::PermissionDenied
        }
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        405 => ErrorKind::Unsupported,
        409 => ErrorKind::AlreadyExists,
        400 => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    let code = document["tcode"].as_str().unwrap_or_default();
    let found = (error.kind(), error.status().map(|s| s.as_u16()), error.code().unwrap_or_default());
    if found != (kind, Some(response.status), code) {
        return Err(format!("the error is {found:?}, not {kind:?}, {}, {code:?}", response.status));
    }
    // Tokens in messages are masked.
    if message.contains("eyJ") {
        let leaks = format!("{error} {error:?}").contains("eyJ");
        return if leaks { Err("the error shows a token".to_owned()) } else { Ok(()) };
    }
    if error.message() == message {
        Ok(())
    } else {
        Err(format!("the error says {:?}, the service {message:?}", error.message()))
    }
}
