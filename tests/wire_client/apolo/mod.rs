//! The Apolo client against recorded exchanges of a real buckets service, and the stores behind it against what the
//! platform's own client asked of S3 and of Azure.

mod azure;
mod control;
mod objects;

use libtest_mimic::Trial;
use longshore_core_types::{Error, ErrorKind, Result as CoreResult};
use serde_json::Value;

use crate::{
    coverage::Coverage,
    network::{Asked, Network},
    recorded::{Exchange, Request, Response, directory, split_target},
    replay::Actual,
};

/// What a call came to: its result, what the answer should have been read as, and what was asked of the network.
pub(crate) struct Made {
    pub(crate) result: CoreResult<Value>,
    pub(crate) want: Value,
    pub(crate) asked: Vec<Asked>,
}

pub(crate) fn load(file: &str) -> Vec<Exchange> {
    let path = directory().join("apolo").join(format!("{file}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The trials of all files.
pub(crate) fn trials(coverage: &Coverage) -> Vec<Trial> {
    let mut trials = Vec::new();
    for file in coverage.apolo_files() {
        let exchanges = load(&file);
        let names = exchanges.iter().map(|exchange| exchange.name.clone()).collect();
        trials.push(coverage.check_apolo(&file, names));
        for exchange in exchanges {
            let class = coverage.apolo_class(&file, &exchange.name);
            let name = format!("apolo/{file}/{}", exchange.name);
            let file = file.clone();
            trials
                .push(Trial::test(name, move || trial(&file, &exchange, class.as_ref()).map_err(Into::into)));
        }
    }
    trials
}

fn trial(file: &str, exchange: &Exchange, class: Option<&String>) -> Result<(), String> {
    let actual = replay(file, exchange)?;
    match class {
        None => Err(format!("it has no class; it is {}", actual.name())),
        Some(class) if class == actual.name() => Ok(()),
        Some(class) => Err(format!("it is classed {class} but is {}", actual.name())),
    }
}

/// Prints what every exchange is, for the writer of `coverage.toml`.
pub(crate) fn print_actual(coverage: &Coverage) {
    for file in coverage.apolo_files() {
        for exchange in load(&file) {
            let actual = match replay(&file, &exchange) {
                Ok(actual) => actual.name().to_owned(),
                Err(error) => format!("FAILED {}", error.replace('\n', " ")),
            };
            println!("apolo/{file}\t{}\t{actual}", exchange.name);
        }
    }
}

fn replay(file: &str, exchange: &Exchange) -> Result<Actual, String> {
    let (request, Some(response)) = (&exchange.request, &exchange.response) else {
        return Ok(Actual::ServerOnly);
    };
    // After a 401 a request is sent once more, for the credentials may have been renewed.
    let times = if response.status == 401 { 2 } else { 1 };
    let network = Network::new(vec![Some(response.clone()); times]);
    let made = match file {
        "s3-from-apolo-sdk" => objects::call(request, response, &network),
        "azure-from-apolo-sdk" => azure::call(request, response, &network),
        file if file.starts_with("control-plane") || file == "platform-stub" => {
            control::call(request, response, &network)
        }
        // What is asked of stores that the client does not reach, or by the service.
        _ => None,
    };
    let Some(made) = made else { return Ok(Actual::ServerOnly) };
    if made.asked.is_empty() {
        return match made.result {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(Actual::Refused),
            other => Err(format!("nothing was sent, and the outcome is {other:?}")),
        };
    }
    if made.asked.len() != times {
        return Err(format!("{} requests were sent, not {times}", made.asked.len()));
    }
    for asked in &made.asked {
        same_request(request, asked)?;
        match file {
            "s3-from-apolo-sdk" => plain_headers(asked)?,
            "azure-from-apolo-sdk" => azure::same_headers(request, asked)?,
            _ => same_headers(request, asked)?,
        }
    }
    match made.result {
        Ok(value) if value == made.want => Ok(Actual::Built),
        Ok(value) => Err(format!("the answer was read as\n  {value}\nnot as\n  {}", made.want)),
        // Zeros stand for a body of which only the length was kept, and they are no document.
        Err(error) if error.kind() == ErrorKind::Protocol && !response.body().is_complete() => {
            Ok(Actual::Built)
        }
        Err(error) => check(&error, response).map(|()| Actual::Built),
    }
}

fn differs(what: &str, found: &dyn std::fmt::Debug, want: &dyn std::fmt::Debug) -> Result<(), String> {
    Err(format!("the {what} is\n  {found:?}\nnot\n  {want:?}"))
}

fn same_request(recorded: &Request, asked: &Asked) -> Result<(), String> {
    if asked.method != recorded.method {
        return differs("method", &asked.method, &recorded.method);
    }
    let (found, want) =
        (azure::comparable(split_target(&asked.target)), azure::comparable(recorded.target()));
    if found != want {
        return differs("URL", &found, &want);
    }
    // An empty range is none.
    let want = recorded.header("range").or_else(|| recorded.header("x-ms-range"));
    let (found, want) = (header(asked, "range"), want.unwrap_or_default());
    if found != want {
        return differs("range", &found, &want);
    }
    let want = recorded.body().bytes();
    if asked.body == want {
        return Ok(());
    }
    match (meaning(&asked.body), meaning(&want)) {
        (Some(found), Some(want)) if found == want => Ok(()),
        _ => differs("body", &String::from_utf8_lossy(&asked.body), &String::from_utf8_lossy(&want)),
    }
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The token, the type of a body that there is, and whether the answer is wanted line by line.
fn same_headers(recorded: &Request, asked: &Asked) -> Result<(), String> {
    for name in ["authorization", "content-type", "accept"] {
        let (found, want) = (header(asked, name), recorded.header(name).unwrap_or_default());
        let same = match name {
            "content-type" => asked.body.is_empty() || found == want,
            "accept" => (found == LINES) == (want == LINES),
            _ => found == want,
        };
        if !same {
            return differs(name, &found, &want);
        }
    }
    Ok(())
}

const LINES: &str = "application/x-ndjson";

/// The platform's client sends objects without conditions and without attributes.
fn plain_headers(asked: &Asked) -> Result<(), String> {
    let says = |name: &str| {
        let starts = ["if-", "x-amz-meta-", "x-amz-copy-", "x-amz-acl", "x-amz-storage-", "x-amz-tagging"];
        starts.iter().any(|start| name.starts_with(start))
    };
    match asked.headers.keys().find(|name| says(name.as_str())) {
        Some(name) => Err(format!("the header {name} is sent, which was not recorded")),
        None => Ok(()),
    }
}

/// What a document says: JSON, or a list of parts or blocks.
fn meaning(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.contains("<CompleteMultipartUpload") {
        let parts = objects::parts(text).into_iter();
        return Some(parts.map(|(number, tag)| serde_json::json!([number, tag])).collect());
    }
    if text.contains("<BlockList>") {
        // Their ids are the client's own.
        return Some(text.matches("<Latest>").count().into());
    }
    let mut document: Value = serde_json::from_str(text).ok()?;
    if let Some(map) = document.as_object_mut() {
        // No name and a name of null are the same.
        map.retain(|name, value| name != "name" || !value.is_null());
    }
    Some(document)
}

/// What each refusal has to become: status, a part of the answer, kind. The first that fits counts.
const KINDS: &[(u16, &str, ErrorKind)] = &[
    (400, "", ErrorKind::InvalidInput),
    (401, "", ErrorKind::Unauthenticated),
    (403, "", ErrorKind::PermissionDenied),
    (404, "", ErrorKind::NotFound),
    (409, "unique", ErrorKind::AlreadyExists),
    (409, "BlobAlreadyExists", ErrorKind::AlreadyExists),
    (416, "", ErrorKind::RangeNotSatisfiable),
    (422, "disabled", ErrorKind::Unsupported),
    (500, "already exists", ErrorKind::AlreadyExists),
    (500, "Bucket for path ", ErrorKind::NotFound),
    (500, "doesn't exist", ErrorKind::NotFound),
    (500, "BucketNotEmpty", ErrorKind::Conflict),
    (500, "(NoSuchBucket)", ErrorKind::NotFound),
    (500, "exception: {'", ErrorKind::InvalidInput),
    (500, "exception: metadata=V1ListMeta", ErrorKind::InvalidInput),
    (500, "", ErrorKind::Unavailable),
    // A part that begins where the object ends.
    (206, "", ErrorKind::RangeNotSatisfiable),
    // The list that broke in its middle.
    (200, "HTTP/1.1 500", ErrorKind::Protocol),
];

fn check(error: &Error, response: &Response) -> Result<(), String> {
    let text = String::from_utf8_lossy(&response.body().bytes()).into_owned();
    let kind = KINDS.iter().find(|(status, part, _)| *status == response.status && text.contains(part));
    let Some((_, _, kind)) = kind else {
        return Err(format!("the answer was {}, and the client says {error:?}", response.status));
    };
    // A line that is an error has no status of its own.
    let status = error.status().map(|status| status.as_u16());
    if *kind == error.kind() && (response.status < 300 || status == Some(response.status)) {
        return Ok(());
    }
    Err(format!("{error:?} with status {status:?} is not {kind:?} with {}", response.status))
}
