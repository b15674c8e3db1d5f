//! The service's listener: journal, faults, and what goes out.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, RANGE};
use http::{HeaderMap, HeaderName, Method, Request, Response};
use hyper::body::Incoming;

use super::cx::{Cx, NoHeader, split};
use super::error::{Fail, Result};
use super::route::Route;
use super::{
    Service, bucket_api, change, gateway, list, list_v2, query, read, render, s3, sign, tus, upload,
};
use crate::aistore::reply::Reply;
use crate::fault::{Candidate, Plan};
use crate::http::{Abort, Conn, Handler, JournalRef, ReqBody, ResBody, misbehave};
use crate::journal::{JournalEntry, NodeKind};

/// Longest head of a request.
const MAX_HEAD: usize = 16 << 10;

/// The service as a handler of requests.
#[derive(Debug)]
pub(crate) struct Server(pub(crate) Arc<Service>);

impl Handler for Server {
    async fn handle(
        self: Arc<Self>,
        conn: Conn,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<ResBody>, Abort> {
        let service = &self.0;
        let (parts, incoming) = request.into_parts();
        let full = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let (url, prefix) = match gateway::strip(&full) {
            Some(rest) => (rest.to_owned(), gateway::PREFIX),
            None => (full.clone(), ""),
        };
        let (path, query) = split(&url);
        let found = Route::find(&parts.method, path);
        let route = found.as_ref().ok().and_then(Option::as_ref);
        let s3 =
            (route == Some(&Route::S3)).then(|| s3::Operation::find(&parts.method, &url, &parts.headers));
        let (operation, upload) = match (&s3, route) {
            (Some(operation), _) => (operation.name, operation.upload),
            (None, Some(route)) => route.operation(&parts.method),
            (None, None) => ("cluster", false),
        };
        let (bucket, key) = match &s3 {
            Some(operation) => (operation.bucket.as_deref(), operation.key.as_deref()),
            None => route.map_or((None, None), Route::names),
        };
        let candidate = Candidate {
            node: NodeKind::Supabase,
            redirected: false,
            operation,
            method: parts.method.as_str(),
            bucket,
            key,
        };
        let plan = Plan::new(service.faults.choose(&candidate), upload);
        let entry = JournalEntry {
            operation,
            key: key.map(str::to_owned),
            fault: plan.text(),
            ..entry(&parts.method, &full, &parts.headers)
        };
        let expects_continue = entry.expects_continue;
        let journal = JournalRef { journal: Arc::clone(&service.journal), seq: service.journal.push(entry) };
        let control = Arc::clone(&conn.control);
        let body = ReqBody::new(incoming, &plan, expects_continue, control, journal.clone());
        let mut cx = Cx {
            service: Arc::clone(service),
            method: parts.method,
            query,
            prefix,
            headers: parts.headers,
            plan,
            body,
            url: url.clone(),
        };
        let replaced = match (bucket, key) {
            (Some(bucket), Some(key)) => read::replace(&cx, bucket, key).await,
            _ => Ok(()),
        };
        let result = match (misbehave(&cx.plan, &conn, &service.restarts).await?, found) {
            (None, _) if replaced.is_err() => replaced.map(|()| Reply::ok()),
            (Some((code, retry_after)), _) => Err(Fail::injected(code, retry_after)),
            (None, Err(_)) => Err(Fail::bad_url(&url)),
            (None, Ok(route)) => answer(&mut cx, route).await,
        };
        respond(cx, &conn, journal, result).await
    }
}

fn entry(method: &Method, url: &str, headers: &HeaderMap) -> JournalEntry {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    JournalEntry {
        method: method.to_string(),
        path: query::redact(url),
        range: text(RANGE).map(str::to_owned),
        content_length: text(CONTENT_LENGTH).and_then(|v| v.parse().ok()),
        expects_continue: text(EXPECT).is_some_and(|v| v.eq_ignore_ascii_case("100-continue")),
        authorized: headers.contains_key(AUTHORIZATION),
        ..JournalEntry::new(NodeKind::Supabase, "supabase")
    }
}

async fn answer(cx: &mut Cx, route: Option<Route>) -> Result<Reply> {
    if head_length(cx) > MAX_HEAD {
        return Err(Fail::head_too_large());
    }
    let Some(route) = route else {
        return Err(Fail::no_route(cx.method.as_str(), &cx.url, Route::is_tree(&cx.url)));
    };
    // A signature covers what was sent, and is no token.
    if !cx.prefix.is_empty() && route != Route::S3 {
        gateway::translate(&mut cx.headers, &cx.service.settings)?;
    }
    match route {
        Route::Status => Ok(Reply::ok()),
        Route::Version => Ok(Reply::text(env!("CARGO_PKG_VERSION"))),
        Route::Health => match cx.caller(NoHeader::BadToken) {
            Ok(_) => Ok(Reply::json(r#"{"healthy":true}"#)),
            Err(fail) => Err(fail.unordered()),
        },
        Route::Buckets => bucket_api::all(cx).await,
        Route::Bucket(id) => bucket_api::one(cx, &id).await,
        Route::Empty(id) => bucket_api::empty(cx, &id).await,
        Route::Read(access, place) => read::read(cx, access, &place),
        Route::Info(access, place) => read::info(cx, access, &place),
        Route::ReadSigned(place) => read::read_signed(cx, &place),
        Route::Render(access, place) => render::render(cx, access, &place),
        Route::RenderSigned(place) => render::render_signed(cx, &place),
        Route::Upload(place) => upload::upload(cx, &place).await,
        Route::UploadSigned(place) => upload::upload_signed(cx, &place).await,
        Route::Delete(place) => change::delete(cx, &place).await,
        Route::DeleteMany(bucket) => change::delete_many(cx, &bucket).await,
        Route::Copy => change::copy(cx).await,
        Route::Move => change::rename(cx).await,
        Route::List(bucket) => list::list(cx, &bucket).await,
        Route::ListV2(bucket) => list_v2::list(cx, &bucket).await,
        Route::Sign(place) => sign::sign(cx, &place).await,
        Route::SignMany(bucket) => sign::sign_many(cx, &bucket).await,
        Route::SignUpload(place) => sign::sign_upload(cx, &place).await,
        Route::Purge => purge(cx).await,
        Route::Tus { signed, id } => tus::handle(cx, signed, id).await,
        Route::S3 => s3::handle(cx).await,
    }
}

/// No CDN stands in front of this service.
async fn purge(cx: &mut Cx) -> Result<Reply> {
    cx.json(super::cx::NoBody::Refused).await?;
    cx.caller(NoHeader::Missing)?.need_service()?;
    let message = "Missing Required Parameter CDN_PURGE_ENDPOINT_URL is not set";
    Err(Fail::new(400, "MissingParameter", message, "MissingParameter"))
}

fn head_length(cx: &Cx) -> usize {
    let headers = cx.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    cx.url.len() + headers.sum::<usize>()
}

/// Turns the outcome into what goes out, and deals with what was left unread.
async fn respond(
    cx: Cx,
    conn: &Conn,
    journal: JournalRef,
    result: Result<Reply>,
) -> std::result::Result<Response<ResBody>, Abort> {
    let mut close = false;
    let reply = match result {
        Ok(reply) => reply,
        Err(fail) if fail.abort => return Err(Abort),
        Err(fail) => {
            close = fail.close;
            fail.reply()
        }
    };
    reply.send(cx.method == Method::HEAD, close, cx.body, &cx.plan, conn, journal).await
}
