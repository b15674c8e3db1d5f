//! One node's handler: reads a request, lets faults have their way, has it carried out, writes the journal.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;

use super::actmsg::Action;
use super::error::{Fail, Result};
use super::names::{BucketName, Namespace, Provider};
use super::query::{Query, decode_path};
use super::reply::{CHECKSUM_VALUE, Reply};
use super::{Cluster, NodeInfo, gateway, target};
use crate::fault::{Candidate, FaultKind, Plan};
use crate::http::{Abort, Conn, Handler, JournalRef, ReqBody, ResBody, Source, misbehave};
use crate::journal::JournalEntry;

/// Longest JSON body that is accepted.
const MAX_JSON: usize = 64 << 20;

/// One node of the cluster.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) cluster: Arc<Cluster>,
    /// `None` for the gateway, else the index of the target.
    pub(crate) target: Option<usize>,
}

impl Node {
    fn info(&self) -> &NodeInfo {
        info(&self.cluster, self.target)
    }
}

fn info(cluster: &Cluster, target: Option<usize>) -> &NodeInfo {
    target.map_or(&cluster.gateway, |t| &cluster.targets[t])
}

/// A request on its way through the handlers.
#[derive(Debug)]
pub(crate) struct Cx {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) target: Option<usize>,
    pub(crate) method: Method,
    /// Path and query as received.
    pub(crate) uri: String,
    /// Decoded path.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: String,
    pub(crate) plan: Plan,
    /// The whole body, where it was read up front; see [`reads_body_first`].
    pub(crate) json: Bytes,
    pub(crate) body: ReqBody,
}

impl Cx {
    pub(crate) fn node(&self) -> &NodeInfo {
        info(&self.cluster, self.target)
    }

    /// `p[id]` or `t[id]`.
    pub(crate) fn node_name(&self) -> String {
        self.node().name()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// The action message; without a body, or with a bad one, the server's 400.
    pub(crate) fn action(&self) -> Result<Action> {
        Action::required(&self.json, self.method.as_str(), &self.node_name())
    }

    /// 400 for a path that leads nowhere.
    pub(crate) fn invalid_uri(&self) -> Fail {
        Fail::bad(format!("invalid request URI: '{} {}' from {}", self.method, self.uri, self.peer))
    }

    /// 400 for a path with too few items.
    pub(crate) fn too_short(&self, expected: usize) -> Fail {
        let path = self.path.trim_start_matches('/');
        let got = path.trim_end_matches('/').split('/').count();
        Fail::bad(format!("URL '{path}' is too short: expected {expected} items, got {got}"))
    }

    /// The bucket that path item and query name; the name is checked.
    pub(crate) fn bucket_name(&self, name: &str) -> Result<BucketName> {
        let bucket = BucketName {
            provider: Provider::parse(self.query.value("provider"))?,
            namespace: Namespace::parse(self.query.value("namespace")),
            name: name.to_owned(),
        };
        bucket.check()?;
        Ok(bucket)
    }
}

/// What a request asks for, before anything is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    /// A gateway passes it on to a target.
    pub(crate) redirected: bool,
    /// The body that counts is the request's.
    pub(crate) upload: bool,
}

/// True if the body is a short document that decides what is asked for; false if it is an object's bytes.
fn reads_body_first(method: &Method, path: &str) -> bool {
    let bytes = ["/v1/objects", "/s3", "/ais/", "/gs/", "/az/"];
    !(method == Method::PUT && bytes.iter().any(|start| path.starts_with(start)))
}

fn classify(method: &Method, path: &str, query: &Query, json: &Bytes) -> Operation {
    let op = |name, bucket: &str, key: Option<&str>| Operation {
        name,
        bucket: (!bucket.is_empty()).then(|| bucket.to_owned()),
        key: key.filter(|k| !k.is_empty()).map(str::to_owned),
        redirected: false,
        upload: false,
    };
    let action = || Action::decode(json).map(|a| a.action).unwrap_or_default();
    let path = path.trim_start_matches('/');
    if let Some(rest) = path.strip_prefix("v1/objects/").or_else(|| path.strip_prefix("s3/")) {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let key = key.trim_start_matches('/');
        if key.is_empty() {
            let name = if method == Method::GET && path.starts_with("s3") { "list" } else { "bucket" };
            return op(name, bucket, None);
        }
        let multipart = query.has("uploadId");
        let name = match *method {
            Method::GET => "get",
            Method::HEAD => "head",
            Method::PUT if query.has("object_to") => "copy",
            Method::PUT if multipart => "mpt-part",
            Method::PUT if query.has("append_type") || !query.value("archpath").is_empty() => "append",
            Method::PUT => "put",
            Method::DELETE if multipart => "mpt-abort",
            Method::DELETE => "delete",
            Method::PATCH => "patch",
            Method::POST => match action().as_str() {
                "mpt-upload" => "mpt-create",
                "mpt-complete" => "mpt-complete",
                _ if query.has("uploads") => "mpt-create",
                _ if multipart => "mpt-complete",
                _ => "post",
            },
            _ => "post",
        };
        let upload = matches!(name, "put" | "mpt-part" | "append");
        return Operation { redirected: true, upload, ..op(name, bucket, Some(key)) };
    }
    if let Some(rest) = path.strip_prefix("v1/buckets") {
        let bucket = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
        let listing = method == Method::GET && !bucket.is_empty() && matches!(action().as_str(), "list" | "");
        return op(if listing { "list" } else { "bucket" }, bucket, None);
    }
    if let Some(rest) = path.strip_prefix("v1/ml/") {
        let bucket = rest.split('/').nth(1).unwrap_or_default();
        return Operation { redirected: true, ..op("batch", bucket, None) };
    }
    op("cluster", "", None)
}

impl Handler for Node {
    async fn handle(
        self: Arc<Self>,
        conn: Conn,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<ResBody>, Abort> {
        let (parts, incoming) = request.into_parts();
        let uri = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let (raw_path, raw_query) = uri.split_once('?').unwrap_or((&uri, ""));
        let path = decode_path(raw_path);
        let entry = self.journal_entry(&parts.method, &uri, &parts.headers);
        let expects_continue = entry.expects_continue;
        let journal =
            JournalRef { journal: Arc::clone(&self.cluster.journal), seq: self.cluster.journal.push(entry) };
        let mut body = ReqBody::new(
            incoming,
            &Plan::default(),
            expects_continue,
            Arc::clone(&conn.control),
            journal.clone(),
        );
        let query = Query::parse(raw_query);
        let first = reads_body_first(&parts.method, &path);
        let json = if first { body.collect(MAX_JSON).await? } else { Some(Bytes::new()) };
        let too_long = json.is_none();
        let json = json.unwrap_or_default();

        let no_query = Query::default();
        let operation = classify(&parts.method, &path, query.as_ref().unwrap_or(&no_query), &json);
        let plan = self.choose(&operation, &parts.method);
        body.reshape(&plan);
        journal.journal.update(journal.seq, |e| {
            e.operation = operation.name;
            e.key.clone_from(&operation.key);
            e.fault = plan.text();
        });
        let mut cx = Cx {
            cluster: Arc::clone(&self.cluster),
            target: self.target,
            method: parts.method,
            path,
            query: Query::default(),
            headers: parts.headers,
            peer: conn.peer.to_string(),
            plan,
            json,
            body,
            uri: uri.clone(),
        };
        let result = match (query, too_long) {
            (Err(fail), _) => Err(fail),
            (Ok(_), true) => Err(Fail::bad(format!("request body is longer than {MAX_JSON} bytes"))),
            (Ok(query), false) => {
                cx.query = query;
                match self.misbehave(&cx, &conn, &operation).await? {
                    Some(fail) => Err(fail),
                    None => self.carry_out(&mut cx).await,
                }
            }
        };
        self.respond(cx, &conn, operation.name, journal, result).await
    }
}

impl Node {
    fn journal_entry(&self, method: &Method, uri: &str, headers: &HeaderMap) -> JournalEntry {
        let node = self.info();
        let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
        JournalEntry {
            method: method.to_string(),
            path: uri.to_owned(),
            range: text(RANGE).map(str::to_owned),
            content_length: text(CONTENT_LENGTH).and_then(|v| v.parse().ok()),
            expects_continue: text(EXPECT).is_some_and(|v| v.eq_ignore_ascii_case("100-continue")),
            authorized: headers.contains_key(AUTHORIZATION),
            ..JournalEntry::new(node.kind, node.id)
        }
    }

    fn choose(&self, operation: &Operation, method: &Method) -> Plan {
        let candidate = Candidate {
            node: self.info().kind,
            redirected: operation.redirected,
            operation: operation.name,
            method: method.as_str(),
            bucket: operation.bucket.as_deref(),
            key: operation.key.as_deref(),
        };
        Plan::new(self.cluster.faults.choose(&candidate), operation.upload)
    }

    /// Faults that act before, or instead of, carrying the request out.
    async fn misbehave(
        &self,
        cx: &Cx,
        conn: &Conn,
        operation: &Operation,
    ) -> std::result::Result<Option<Fail>, Abort> {
        if let (Some(FaultKind::Replace), Some(bucket), Some(key)) =
            (cx.plan.kind(), &operation.bucket, &operation.key)
        {
            target::replace(cx, bucket, key).await.map_err(|_| Abort)?;
        }
        let refused = misbehave(&cx.plan, conn, &self.info().restarts).await?;
        Ok(refused.map(|(code, retry_after)| Fail::injected(code, retry_after)))
    }

    async fn carry_out(&self, cx: &mut Cx) -> Result<Reply> {
        match self.target {
            None => gateway::handle(cx).await,
            Some(index) => target::handle(cx, index).await,
        }
    }

    /// Turns the outcome into what goes out, and deals with what was left unread.
    async fn respond(
        &self,
        mut cx: Cx,
        conn: &Conn,
        operation: &'static str,
        journal: JournalRef,
        result: Result<Reply>,
    ) -> std::result::Result<Response<ResBody>, Abort> {
        let head = cx.method == Method::HEAD;
        let mut reply = match result {
            Ok(reply) => reply,
            Err(fail) if fail.abort => return Err(Abort),
            Err(fail) => fail.reply(&cx.method, &cx.path, &cx.peer, &cx.node_name()),
        };
        if matches!(cx.plan.kind(), Some(FaultKind::WrongChecksum)) {
            spoil_checksum(&mut reply.headers);
        }
        if head {
            // A body that cannot be sent still has its length.
            if let Some(length @ 1..) = reply.source.left() {
                reply.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            reply.source = Source::empty();
        }
        if cx.body.settle().await? {
            reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let status = reply.status;
        if !status.is_redirection() {
            let bytes = reply.source.left().unwrap_or(0).max(cx.body.received());
            cx.cluster.counters[self.target.map_or(0, |t| t + 1)].count(operation, status.as_u16(), bytes);
        }
        journal.journal.update(journal.seq, |e| e.status = Some(status.as_u16()));
        let body = ResBody::new(reply.source, &cx.plan, Arc::clone(&conn.control), Some(journal));
        if !head && let Some(len) = body.len() {
            reply.headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}

/// Exchanges the first digit of a checksum header.
fn spoil_checksum(headers: &mut HeaderMap) {
    let Some(value) = headers.get(CHECKSUM_VALUE).and_then(|v| v.to_str().ok()) else { return };
    let first = if value.starts_with('0') { "1" } else { "0" };
    if let Ok(value) = HeaderValue::from_str(&(first.to_owned() + &value[1..])) {
        headers.insert(CHECKSUM_VALUE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(method: &Method, path: &str, query: &str, json: &'static str) -> &'static str {
        let query = Query::parse(query).expect("a query");
        classify(method, path, &query, &Bytes::from_static(json.as_bytes())).name
    }

    #[test]
    fn operations() {
        let object = "/v1/objects/b/dir/o";
        assert_eq!(name(&Method::GET, object, "", ""), "get");
        assert_eq!(name(&Method::PUT, object, "uploadId=x&partNumber=1", ""), "mpt-part");
        assert_eq!(name(&Method::PUT, object, "object_to=ais/@%23/b/c", ""), "copy");
        assert_eq!(name(&Method::PUT, object, "append_type=flush", ""), "append");
        assert_eq!(name(&Method::POST, object, "", r#"{"action":"mpt-upload"}"#), "mpt-create");
        assert_eq!(name(&Method::DELETE, object, "uploadId=x", ""), "mpt-abort");
        assert_eq!(name(&Method::GET, "/v1/buckets/b", "", r#"{"action":"list","value":{}}"#), "list");
        assert_eq!(name(&Method::GET, "/v1/buckets", "", r#"{"action":"list"}"#), "bucket");
        assert_eq!(name(&Method::GET, "/v1/daemon", "what=smap", ""), "cluster");
        let key = classify(&Method::GET, "/v1/objects/b//a//b", &Query::default(), &Bytes::new()).key;
        assert_eq!(key.as_deref(), Some("a//b"));
    }

    #[test]
    fn spoilt_checksums_keep_their_form() {
        let mut headers = HeaderMap::new();
        headers.insert(CHECKSUM_VALUE, HeaderValue::from_static("0123"));
        spoil_checksum(&mut headers);
        assert_eq!(headers[CHECKSUM_VALUE], "1123");
    }
}
