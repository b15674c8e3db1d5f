//! The Supabase client against recorded exchanges of a real server.
//!
//! As with AIStore: each recorded request is read as the call that would make it, the call is made over a network that
//! answers what was recorded, and what was sent and what was made of the answer are compared with the recording.

mod bucket_calls;
mod calls;
mod errors;
mod object_calls;
mod tus_calls;
mod vector_calls;
mod wanted;

use libtest_mimic::Trial;
use longshore_core_types::ErrorKind;
use longshore_supabase::Client;
use longshore_transport::RetryConfig;
use serde_json::{Value, json};

use crate::{
    coverage::Coverage,
    network::{Asked, Network},
    recorded::{Exchange, Request, directory, split_target},
    replay::{Actual, RUNTIME},
};

pub(crate) fn load(file: &str) -> Vec<Exchange> {
    let path = directory().join("supabase").join(format!("{file}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The trials of all files that have classes.
pub(crate) fn trials(coverage: &Coverage) -> Vec<Trial> {
    let mut trials = Vec::new();
    for file in coverage.supabase_files() {
        let exchanges = load(&file);
        let names: Vec<String> = exchanges.iter().map(|exchange| exchange.name.clone()).collect();
        trials.push(coverage.check_supabase(&file, names));
        for exchange in exchanges {
            let class = coverage.supabase_class(&file, &exchange.name);
            let name = format!("supabase/{file}/{}", exchange.name);
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
    for file in coverage.supabase_files() {
        for exchange in load(&file) {
            let actual = match replay(&exchange) {
                Ok(actual) => actual.name().to_owned(),
                Err(error) => format!("FAILED {}", error.replace('\n', " ")),
            };
            println!("supabase/{file}\t{}\t{actual}", exchange.name);
        }
    }
}

/// Makes the call, if there is one, and compares both ways.
fn replay(exchange: &Exchange) -> Result<Actual, String> {
    let (request, Some(response)) = (&exchange.request, &exchange.response) else {
        return Ok(Actual::ServerOnly);
    };
    let Some(call) = calls::read(request) else { return Ok(Actual::ServerOnly) };
    let mut answers = vec![Some(response.clone())];
    answers.extend(call.afterwards.iter().cloned().map(Some));
    let network = Network::new(answers);
    let mut builder = Client::builder("")
        .service_url("http://localhost")
        .service(network.service())
        .retry(RetryConfig::off());
    if let Some(token) = calls::token(request) {
        builder = builder.key(token);
    }
    let client = builder.build().map_err(|error| error.to_string())?;
    let result = RUNTIME.with_borrow(|runtime| runtime.block_on((call.run)(client)));
    let asked = network.asked();
    let Some(first) = asked.first() else {
        return match result {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::NotFound
                ) =>
            {
                Ok(Actual::Refused)
            }
            other => Err(format!("nothing was sent, and the outcome is {other:?}")),
        };
    };
    same_request(request, first)?;
    match result {
        Ok(value) => {
            let want = (call.want)(request, response);
            if value == want {
                return Ok(Actual::Built);
            }
            Err(format!("the answer was read as\n  {value}\nnot as\n  {want}"))
        }
        Err(error) if response.status >= 300 => {
            errors::check(&error, request, response)?;
            Ok(Actual::Built)
        }
        Err(error) => Err(format!("the answer was {}, and the client says {error:?}", response.status)),
    }
}

/// Headers that say what is meant; the others differ between HTTP clients.
const HEADERS: &[&str] = &[
    "cache-control",
    "content-type",
    "if-none-match",
    "range",
    "tus-resumable",
    "upload-defer-length",
    "upload-length",
    "upload-metadata",
    "upload-offset",
    "x-metadata",
    "x-robots-tag",
    "x-signature",
    "x-upsert",
];

fn same_request(recorded: &Request, asked: &Asked) -> Result<(), String> {
    let differs = |what: &str, found: &dyn std::fmt::Debug, want: &dyn std::fmt::Debug| {
        Err(format!("the {what} is\n  {found:?}\nnot\n  {want:?}"))
    };
    if asked.method != recorded.method {
        return differs("method", &asked.method, &recorded.method);
    }
    let (found, want) = (split_target(&asked.target), recorded.target());
    if found != want {
        return differs("URL", &found, &want);
    }
    for name in HEADERS {
        let found =
            asked.headers.get(*name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let (found, want) = (said(name, found), said(name, recorded.header(name).map(str::to_owned)));
        // What has no content needs no type.
        let empty = *name == "content-type" && (asked.body.is_empty() || asked.body == "{}"[..]);
        if found != want && !empty {
            return differs(name, &found, &want);
        }
    }
    match (asked.headers.get("authorization"), recorded.header("authorization")) {
        (Some(found), Some(want)) if found.as_bytes() != want.as_bytes() => {
            differs("token", &"another", &"it")
        }
        (Some(_), None) => differs("token", &"one", &"none"),
        (None, Some(_)) if !calls::needs_no_token(recorded) => differs("token", &"none", &"one"),
        _ => same_body(recorded, asked),
    }
}

/// What a header says, whatever its form.
fn said(name: &str, value: Option<String>) -> Option<String> {
    match name {
        // Anything but `true` is `false`, and so is nothing.
        "x-upsert" => value.filter(|value| value == "true"),
        // JSON in base64.
        "x-metadata" => value.map(|value| calls::from_base64(&value).map_or(value, |json| json.to_string())),
        "upload-metadata" => value.map(|value| {
            let mut pairs: Vec<&str> = value.split(',').collect();
            pairs.sort_unstable();
            pairs.join(",")
        }),
        _ => value,
    }
}

fn same_body(recorded: &Request, asked: &Asked) -> Result<(), String> {
    let want = recorded.body().bytes();
    if asked.body == want {
        return Ok(());
    }
    let path = split_target(&recorded.path).0;
    let read = |bytes: &[u8]| -> Option<Value> {
        let value = if bytes.is_empty() { json!({}) } else { serde_json::from_slice(bytes).ok()? };
        Some(calls::meaning(&recorded.method, &path, value))
    };
    if let (Some(found), Some(want)) = (read(&asked.body), read(&want))
        && found == want
    {
        return Ok(());
    }
    Err(format!(
        "the body is\n  {}\nnot\n  {}",
        String::from_utf8_lossy(&asked.body),
        String::from_utf8_lossy(&want)
    ))
}
