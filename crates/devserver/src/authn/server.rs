//! The service's listener: paths, methods, the forms of answers.

use std::sync::Arc;

use http::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::{Call, Service, clusters, config, need_admin, roles, tokens, users};
use crate::aistore::error::{Fail, Result};
use crate::aistore::query::decode_path;
use crate::aistore::reply::{Html, Reply};
use crate::fault::{Candidate, Plan};
use crate::http::{Abort, Conn, Handler, JournalRef, ReqBody, ResBody, Source, misbehave};
use crate::journal::{JournalEntry, NodeKind};
use crate::raw;

/// Longest body that is accepted.
const MAX_BODY: usize = 16 << 20;

/// The service as a handler of requests.
#[derive(Debug)]
pub(crate) struct Server(pub(crate) Arc<Service>);

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    Users,
    Roles,
    Clusters,
    Tokens,
    Daemon,
    Discovery,
    Keys,
    PublicKey,
    RotateKey,
}

const RESOURCES: [(&str, Resource); 9] = [
    ("/v1/users", Resource::Users),
    ("/v1/roles", Resource::Roles),
    ("/v1/clusters", Resource::Clusters),
    ("/v1/tokens", Resource::Tokens),
    ("/v1/daemon", Resource::Daemon),
    ("/.well-known/openid-configuration", Resource::Discovery),
    ("/.well-known/jwks.json", Resource::Keys),
    ("/v1/public-key", Resource::PublicKey),
    ("/v1/rotate-key", Resource::RotateKey),
];

impl Resource {
    /// The resource, and the items that follow it.
    fn find(path: &str) -> Option<(Self, Vec<String>)> {
        RESOURCES.iter().find_map(|(prefix, resource)| {
            let rest = path.strip_prefix(prefix)?;
            let items = match rest.strip_prefix('/') {
                Some(items) => items.trim_end_matches('/'),
                None if rest.is_empty() => "",
                None => return None,
            };
            let items = items.split('/').filter(|item| !item.is_empty()).map(str::to_owned);
            Some((*resource, items.collect()))
        })
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Users | Self::Roles | Self::Clusters => "DELETE, GET, POST, PUT",
            Self::Tokens => "DELETE",
            Self::Daemon => "PUT, GET",
            Self::Discovery | Self::Keys | Self::PublicKey => "GET",
            Self::RotateKey => "POST",
        }
    }

    /// Name of the operation, to select faults by.
    fn operation(self, method: &Method, items: &[String]) -> &'static str {
        match self {
            Self::Users if *method == Method::POST && !items.is_empty() => "login",
            Self::Users => "users",
            Self::Roles => "roles",
            Self::Clusters => "clusters",
            Self::Tokens => "revoke",
            _ => "authn",
        }
    }
}

/// The path without empty and dotted segments.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let slash = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

/// True if every percent sign begins an escape.
fn well_escaped(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    Reply::new(status)
        .with(CONTENT_TYPE, "text/plain; charset=utf-8")
        .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(text)
}

async fn answer(service: &Arc<Service>, call: &Call, resource: Resource) -> Result<Reply> {
    let allow = resource.allow();
    if call.method == Method::OPTIONS {
        return Ok(Reply::ok().with(ALLOW, allow));
    }
    if !allow.split(", ").any(|method| method == call.method.as_str()) {
        return Ok(Reply::method_not_allowed(allow));
    }
    match resource {
        Resource::Users => users::handle(service, call).await,
        Resource::Roles => roles::handle(service, call).await,
        Resource::Clusters => clusters::handle(service, call).await,
        Resource::Tokens => tokens::revoke(service, call).await,
        Resource::Daemon => config::handle(service, call).await,
        Resource::Discovery => config::discovery(service),
        // Tokens are signed with a shared secret: there are no keys to tell or to change.
        Resource::Keys => Err(Fail::bad("JWKS not available for current signing method")),
        Resource::PublicKey => Err(Fail::bad("current signing method does not have a public key")),
        Resource::RotateKey => {
            need_admin(service, call)?;
            Err(Fail::bad("rotation not supported for current signing method"))
        }
    }
}

impl Server {
    fn choose(&self, operation: &str, method: &Method) -> Plan {
        let candidate = Candidate {
            node: NodeKind::Authn,
            redirected: false,
            operation,
            method: method.as_str(),
            bucket: None,
            key: None,
        };
        Plan::new(self.0.faults.choose(&candidate), false)
    }

    async fn respond(&self, call: &Call, raw_path: &str, query: &str) -> Result<Reply> {
        if !well_escaped(raw_path) {
            let refused = Reply::new(StatusCode::BAD_REQUEST)
                .with(CONTENT_TYPE, "text/plain; charset=utf-8")
                .with(CONNECTION, "close")
                .body("400 Bad Request");
            return Ok(refused);
        }
        let cleaned = clean(&call.path);
        if cleaned != call.path {
            let location = if query.is_empty() { cleaned } else { format!("{cleaned}?{query}") };
            let html = if call.method == Method::GET { Html::Body } else { Html::None };
            return Ok(Reply::redirect(StatusCode::TEMPORARY_REDIRECT, &location, html));
        }
        match Resource::find(&call.path) {
            Some((resource, _)) => answer(&self.0, call, resource).await,
            None => Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n")),
        }
    }
}

impl Handler for Server {
    async fn handle(
        self: Arc<Self>,
        conn: Conn,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<ResBody>, Abort> {
        let (parts, incoming) = request.into_parts();
        let uri = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let (raw_path, query) = uri.split_once('?').unwrap_or((&uri, ""));
        let path = decode_path(raw_path);
        let (operation, items) = match Resource::find(&path) {
            Some((resource, items)) => (resource.operation(&parts.method, &items), items),
            None => ("authn", Vec::new()),
        };
        let plan = self.choose(operation, &parts.method);
        let entry = JournalEntry {
            method: parts.method.to_string(),
            path: uri.clone(),
            operation,
            authorized: parts.headers.contains_key(AUTHORIZATION),
            fault: plan.text(),
            ..JournalEntry::new(NodeKind::Authn, "authn")
        };
        let journal = JournalRef { journal: Arc::clone(&self.0.journal), seq: self.0.journal.push(entry) };
        let mut body = ReqBody::new(incoming, &plan, false, Arc::clone(&conn.control), journal.clone());
        let read = body.collect(MAX_BODY).await?;
        let too_long = read.is_none();
        let call = Call {
            method: parts.method,
            path,
            items,
            headers: parts.headers,
            body: read.unwrap_or_default(),
        };
        let result = match misbehave(&plan, &conn, &self.0.restarts).await? {
            Some((code, retry_after)) => Err(Fail::injected(code, retry_after)),
            None if too_long => Err(Fail::bad(format!("request body is longer than {MAX_BODY} bytes"))),
            None => self.respond(&call, raw_path, query).await,
        };
        let mut reply = match result {
            Ok(reply) => reply,
            Err(fail) if fail.abort => return Err(Abort),
            Err(fail) => {
                fail.reply(&call.method, &raw::escape(call.path.as_bytes()), &conn.peer.to_string(), "")
            }
        };
        if body.settle().await? {
            reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let head = call.method == Method::HEAD;
        let length = reply.source.left();
        if head {
            reply.source = Source::empty();
        }
        let status = reply.status;
        journal.journal.update(journal.seq, |e| e.status = Some(status.as_u16()));
        let body = ResBody::new(reply.source, &plan, Arc::clone(&conn.control), Some(journal));
        if let Some(length) = if head { length } else { body.len() } {
            reply.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let find = |path: &str| Resource::find(path).map(|(r, items)| (r, items.join("|")));
        assert_eq!(find("/v1/users"), Some((Resource::Users, String::new())));
        assert_eq!(find("/v1/users/bob/extra/"), Some((Resource::Users, "bob|extra".into())));
        assert_eq!(find("/v1/usersx"), None);
        assert_eq!(find("/v1"), None);
    }

    #[test]
    fn cleaned_paths() {
        assert_eq!(clean("/v1/users//admin"), "/v1/users/admin");
        assert_eq!(clean("/v1/roles/../users"), "/v1/users");
        assert_eq!(clean("/v1/users/"), "/v1/users/");
        assert_eq!(clean("/"), "/");
        assert!(well_escaped("/a%20b") && !well_escaped("/%zz") && !well_escaped("/%2"));
    }
}
