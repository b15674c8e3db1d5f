//! A request that may have to be sent again.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::{Stream, stream::BoxStream};
use http::request::Parts;
use longshore_core_types::Payload;

use crate::{HttpRequest, RequestOptions};

/// The head of a request and the source of its body.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) parts: Parts,
    body: Replay,
    lean: bool,
}

impl Template {
    pub(crate) fn new(request: HttpRequest) -> Self {
        let (parts, body) = request.into_parts();
        Self { parts, body: Replay::new(body), lean: false }
    }

    /// A template whose requests come without extensions, but for the options of sending them. To copy
    /// extensions costs more than all the rest of a head.
    pub(crate) fn lean(request: HttpRequest) -> Self {
        Self { lean: true, ..Self::new(request) }
    }

    /// The request once more, or `None` if its body is gone. The first time it is always there.
    pub(crate) fn request(&mut self) -> Option<HttpRequest> {
        let body = self.body.next()?;
        if !self.lean {
            return Some(HttpRequest::from_parts(self.parts.clone(), body));
        }
        let mut request = HttpRequest::new(body);
        request.method_mut().clone_from(&self.parts.method);
        *request.uri_mut() = self.parts.uri.clone();
        *request.version_mut() = self.parts.version;
        *request.headers_mut() = self.parts.headers.clone();
        if let Some(options) = self.parts.extensions.get::<RequestOptions>() {
            request.extensions_mut().insert(*options);
        }
        Some(request)
    }

    /// The same request, whose head can be changed and this one's stays as it is. The body is the same: a
    /// stream that one of them reads is gone for both.
    pub(crate) fn fork(&self) -> Self {
        Self { parts: self.parts.clone(), body: self.body.fork(), lean: self.lean }
    }

    /// Whether [`request`](Self::request) has another one to give.
    pub(crate) fn can_repeat(&self) -> bool {
        self.body.can_repeat()
    }

    pub(crate) fn drop_body(&mut self) {
        self.body = Replay::new(Payload::empty());
    }
}

/// Gives the same body again and again, as long as that is possible.
///
/// A one-shot stream is lent out in a way that it comes back if nobody started to read it: a refused
/// connection or a redirect in answer to `Expect: 100-continue` does not use it up.
#[derive(Debug)]
enum Replay {
    Shared(Payload),
    Once { len: Option<u64>, slot: Slot },
}

type Slot = Arc<Mutex<Option<Payload>>>;

impl Replay {
    fn new(body: Payload) -> Self {
        if body.try_clone().is_some() {
            return Self::Shared(body);
        }
        Self::Once { len: body.len(), slot: Arc::new(Mutex::new(Some(body))) }
    }

    fn fork(&self) -> Self {
        match self {
            // What is shared can be cloned.
            Self::Shared(body) => Self::Shared(body.try_clone().unwrap_or_default()),
            Self::Once { len, slot } => Self::Once { len: *len, slot: Arc::clone(slot) },
        }
    }

    fn next(&mut self) -> Option<Payload> {
        match self {
            Self::Shared(body) => body.try_clone(),
            Self::Once { len, slot } => {
                let there = slot.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                there.then(|| Payload::once(*len, Lent::Unread(Arc::clone(slot))))
            }
        }
    }

    fn can_repeat(&self) -> bool {
        match self {
            Self::Shared(_) => true,
            Self::Once { slot, .. } => slot.lock().unwrap_or_else(PoisonError::into_inner).is_some(),
        }
    }
}

/// A one-shot body that leaves its slot when it is first read.
enum Lent {
    Unread(Slot),
    Reading(BoxStream<'static, io::Result<Bytes>>),
}

impl Stream for Lent {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Self::Unread(slot) = &*self {
            let body = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            // An attempt that outlived the next one finds nothing; the server never sees half a body.
            let Some(body) = body else {
                return Poll::Ready(Some(Err(io::Error::other("the body is read by another attempt"))));
            };
            *self = Self::Reading(body.into_stream());
        }
        match &mut *self {
            Self::Reading(stream) => stream.as_mut().poll_next(cx),
            Self::Unread(_) => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{StreamExt, stream};

    use super::*;

    fn once() -> Template {
        let body = Payload::once(Some(2), stream::iter([Ok(Bytes::from("ab"))]));
        Template::new(http::Request::put("http://h/").body(body).unwrap())
    }

    #[tokio::test]
    async fn an_unread_stream_comes_back() {
        let mut template = once();
        drop(template.request().unwrap());
        let request = template.request().unwrap();
        assert_eq!(request.body().len(), Some(2));
        let chunks: Vec<_> = request.into_body().into_stream().collect().await;
        assert_eq!(chunks[0].as_ref().unwrap(), "ab");
        assert!(!template.can_repeat());
        assert!(template.request().is_none());
    }

    #[tokio::test]
    async fn so_it_does_through_two_levels() {
        let mut outer = once();
        let mut inner = Template::new(outer.request().unwrap());
        drop(inner.request().unwrap());
        drop(inner);
        let mut inner = Template::new(outer.request().unwrap());
        let mut stream = inner.request().unwrap().into_body().into_stream();
        assert_eq!(stream.next().await.unwrap().unwrap(), "ab");
        assert!(!outer.can_repeat());
    }

    #[tokio::test]
    async fn and_through_a_fork() {
        let template = once();
        drop(template.fork().request().unwrap());
        let mut fork = template.fork();
        let mut stream = fork.request().unwrap().into_body().into_stream();
        assert_eq!(stream.next().await.unwrap().unwrap(), "ab");
        assert!(!template.can_repeat() && !fork.can_repeat());
    }

    #[test]
    fn a_lean_request_has_all_but_foreign_extensions() {
        let mut request = http::Request::put("http://h/x?y").header("a", "b").body("ab".into()).unwrap();
        request.extensions_mut().insert(RequestOptions::default().expect_continue(Duration::from_secs(1)));
        request.extensions_mut().insert("foreign");
        let mut template = Template::lean(request);
        let request = template.request().unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            ("PUT", "http://h/x?y".to_owned())
        );
        assert_eq!((request.headers()["a"].as_bytes(), request.body().len()), (&b"b"[..], Some(2)));
        assert!(request.extensions().get::<RequestOptions>().unwrap().expect_continue.is_some());
        assert!(request.extensions().get::<&str>().is_none());
        assert!(template.parts.extensions.get::<&str>().is_some());
    }

    #[tokio::test]
    async fn two_readers_never_share_a_stream() {
        let mut template = once();
        let (first, second) = (template.request().unwrap(), template.request().unwrap());
        let mut first = first.into_body().into_stream();
        let mut second = second.into_body().into_stream();
        assert!(first.next().await.unwrap().is_ok());
        assert!(second.next().await.unwrap().is_err());
    }
}
