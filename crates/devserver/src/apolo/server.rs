//! The service's listener: routes, journal, faults, and what goes out.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, SERVER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value};

use super::Service;
use super::bucket_api::Where;
use super::caller::Presented;
use super::error::{Fail, JSON, Result, TEXT, answer};
use crate::aistore::reply::Reply;
use crate::fault::{Candidate, Plan};
use crate::http::{Abort, Conn, Handler, JournalRef, ReqBody, ResBody, Source, misbehave};
use crate::journal::{JournalEntry, NodeKind};
use crate::supabase::query;

/// Longest document that is accepted.
const MAX_BODY: usize = 1 << 20;

const VERSION: HeaderName = HeaderName::from_static("x-service-version");
const LINES: &str = "application/x-ndjson";

/// The service as a handler of requests.
#[derive(Debug)]
pub(crate) struct Server(pub(crate) Arc<Service>);

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Ping,
    SecuredPing,
    Config,
    Token,
    Buckets,
    Import,
    ByPath,
    Bucket(String),
    Temporary(String),
    Sign(String),
    AllCredentials,
    Credentials(String),
}

impl Route {
    fn find(path: &str) -> Option<Self> {
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let name = |raw: &str| query::decode(raw).filter(|name| !name.is_empty());
        Some(match parts.as_slice() {
            ["ping"] | ["api", "v1", "ping"] => Self::Ping,
            ["api", "v1", "secured-ping"] => Self::SecuredPing,
            ["api", "v1", "config"] => Self::Config,
            ["oauth", "token"] => Self::Token,
            ["api", "v1", "buckets", rest @ ..] => match rest {
                ["buckets"] => Self::Buckets,
                ["buckets", "import", "external"] => Self::Import,
                ["buckets", "find", "by_path"] => Self::ByPath,
                ["buckets", one] => Self::Bucket(name(one)?),
                ["buckets", one, "make_tmp_credentials"] => Self::Temporary(name(one)?),
                ["buckets", one, "sign_blob_url"] => Self::Sign(name(one)?),
                ["persistent_credentials"] => Self::AllCredentials,
                ["persistent_credentials", one] => Self::Credentials(name(one)?),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn allowed(&self) -> &'static str {
        match self {
            Self::Ping | Self::SecuredPing | Self::Config | Self::ByPath => "GET,HEAD",
            Self::Token | Self::Import | Self::Temporary(_) | Self::Sign(_) => "POST",
            Self::Buckets | Self::AllCredentials => "GET,HEAD,POST",
            Self::Bucket(_) => "DELETE,GET,HEAD,PATCH",
            Self::Credentials(_) => "DELETE,GET,HEAD",
        }
    }

    /// Name of the operation, to select faults by.
    fn operation(&self, method: &Method) -> &'static str {
        match self {
            Self::Buckets | Self::AllCredentials if *method == Method::GET => "list",
            Self::Ping | Self::SecuredPing | Self::Config | Self::Token => "cluster",
            Self::Temporary(_) => "post",
            Self::Sign(_) => "sign",
            _ => "bucket",
        }
    }

    fn bucket(&self) -> Option<&str> {
        match self {
            Self::Bucket(name) | Self::Temporary(name) | Self::Sign(name) => Some(name),
            _ => None,
        }
    }
}

/// A request that is to be answered.
struct Call<'a> {
    service: &'a Service,
    method: Method,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    plan: Plan,
}

impl Handler for Server {
    async fn handle(
        self: Arc<Self>,
        conn: Conn,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<ResBody>, Abort> {
        let service = &self.0;
        let (parts, incoming) = request.into_parts();
        let url = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let route = Route::find(parts.uri.path());
        let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
        let platform = matches!(route, Some(Route::Config | Route::Token));
        let operation = route.as_ref().map_or("cluster", |route| route.operation(&method));
        let candidate = Candidate {
            node: NodeKind::Apolo,
            redirected: false,
            operation,
            method: parts.method.as_str(),
            bucket: route.as_ref().and_then(Route::bucket),
            key: None,
        };
        let plan = Plan::new(service.place.faults.choose(&candidate), false);
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let entry = JournalEntry {
            method: parts.method.to_string(),
            path: query::redact(&url),
            operation,
            content_length: length,
            authorized: parts.headers.contains_key(AUTHORIZATION),
            fault: plan.text(),
            ..JournalEntry::new(NodeKind::Apolo, "apolo")
        };
        let seq = service.place.journal.push(entry);
        let journal = JournalRef { journal: Arc::clone(&service.place.journal), seq };
        let mut body = ReqBody::new(incoming, &plan, false, Arc::clone(&conn.control), journal.clone());
        let query = query::pairs(parts.uri.query().unwrap_or_default());
        let call = Call { service, method, headers: parts.headers, query, plan };
        let result = match misbehave(&call.plan, &conn, &service.place.restarts).await? {
            Some((code, after)) => Err(Fail::Injected(code, after)),
            None => call.answer(route, &mut body).await,
        };
        let reply = match result {
            Ok(reply) => reply,
            Err(fail) => fail.reply(&url).ok_or(Abort)?,
        };
        let mut reply = reply.with(SERVER, "longshore");
        if !platform {
            reply.set(VERSION, concat!("platform-buckets-api/", env!("CARGO_PKG_VERSION")));
        }
        reply.send(parts.method == Method::HEAD, false, body, &call.plan, &conn, journal).await
    }
}

impl Call<'_> {
    async fn answer(&self, route: Option<Route>, body: &mut ReqBody) -> Result<Reply> {
        let route = route.ok_or_else(Fail::no_route)?;
        let allowed = route.allowed();
        if !allowed.split(',').any(|method| method == self.method.as_str()) {
            return Err(Fail::Method(allowed));
        }
        let too_long = || Fail::Text(413, "Maximum request body size 1048576 exceeded".into());
        let bytes = body.collect(MAX_BODY).await?.ok_or_else(too_long)?;
        let (service, place) = (self.service, Where::new(&self.query));
        let presented = || Presented::find(&self.headers, &self.query);
        match (route, self.method.as_str()) {
            (Route::Ping, _) => Ok(answer(200, TEXT, "Pong".into())),
            (Route::SecuredPing, _) => {
                service.confirm(&presented()?)?;
                Ok(answer(200, TEXT, "Secured Pong".into()))
            }
            (Route::Config, _) => Ok(document(200, &service.config(presented())?)),
            (Route::Token, _) => Ok(document(200, &service.renew(&bytes)?)),
            (Route::Buckets, "POST") => Ok(document(201, &service.create(presented(), &bytes).await?.into())),
            (Route::Buckets, _) => self.list(service.list(presented(), &self.query)?),
            (Route::Import, _) => Ok(document(201, &service.import(presented(), &bytes).await?.into())),
            (Route::ByPath, _) => Ok(document(200, &service.by_path(presented(), &self.query)?.into())),
            (Route::Bucket(name), "DELETE") => {
                service.remove(presented(), &name, &place).await?;
                Ok(Reply::new(StatusCode::NO_CONTENT))
            }
            (Route::Bucket(name), "PATCH") => {
                let bucket = service.publish(presented(), &name, &place, &bytes).await?;
                Ok(document(200, &bucket.into()))
            }
            (Route::Bucket(name), _) => Ok(document(200, &service.get(presented(), &name, &place)?.into())),
            (Route::Temporary(name), _) => Ok(document(200, &service.temporary(presented(), &name, &place)?)),
            (Route::Sign(name), _) => Ok(document(200, &service.sign(presented(), &name, &place, &bytes)?)),
            (Route::AllCredentials, "POST") => {
                Ok(document(201, &service.create_credentials(presented(), &bytes).await?.into()))
            }
            (Route::AllCredentials, _) => self.list(service.list_credentials(presented())?),
            (Route::Credentials(name), "DELETE") => {
                service.remove_credentials(presented(), &name).await?;
                Ok(Reply::new(StatusCode::NO_CONTENT))
            }
            (Route::Credentials(name), _) => {
                Ok(document(200, &service.get_credentials(presented(), &name)?.into()))
            }
        }
    }

    /// A list, line by line where that is accepted.
    fn list(&self, items: Vec<Map<String, Value>>) -> Result<Reply> {
        let lines = self.headers.get_all(ACCEPT).iter().any(|v| v.to_str().is_ok_and(|v| v.contains(LINES)));
        let broken = self.plan.fail_after();
        if !lines {
            if broken.is_some() {
                return Err(Fail::Unexpected("injected fault".into()));
            }
            return Ok(document(200, &items.into_iter().map(Value::Object).collect()));
        }
        let kept = broken.unwrap_or(usize::MAX);
        let mut all: Vec<_> =
            items.into_iter().take(kept).map(|item| format!("{}\n", Value::Object(item))).collect();
        if broken.is_some() {
            all.push(r#"{"error": "Unexpected exception Fault: injected fault."}"#.to_owned());
        }
        // Its length is not known beforehand: it goes out in chunks.
        let stream = stream::iter(all).map(|line| Ok(line.into()));
        Ok(Reply::ok().with(CONTENT_TYPE, LINES).source(Source::stream(None, stream.boxed())))
    }
}

fn document(code: u16, value: &Value) -> Reply {
    answer(code, JSON, value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let base = "/api/v1/buckets";
        let find = |path: &str| Route::find(&format!("{base}{path}"));
        assert_eq!(find("/buckets"), Some(Route::Buckets));
        assert_eq!(find("/buckets/a%2Fb"), Some(Route::Bucket("a/b".into())));
        assert_eq!(find("/buckets/x/sign_blob_url"), Some(Route::Sign("x".into())));
        assert_eq!(find("/persistent_credentials/c"), Some(Route::Credentials("c".into())));
        for none in ["/buckets/x/", "/buckets/a/b", "/nothing", ""] {
            assert_eq!(find(none), None, "{none}");
        }
        assert_eq!(Route::find("/ping"), Some(Route::Ping));
    }
}
