//! Uploads in pieces, which can go on where they broke off (tus).

use longshore_core_types::{Error, ErrorKind, Payload, Result, Secret};
use serde_json::{Map, Value};

use crate::{
    client::{Client, skip},
    names::invalid,
    wire::{
        object::{At, FileOptions},
        tus::{self as wire, Permit, Progress, Upload},
    },
};

/// How often one piece is sent without any of it arriving.
const FRUITLESS: u32 = 3;

/// A resumable upload that is to be begun, or gone on with; see [`Bucket::resumable`](crate::Bucket::resumable).
///
/// The transfer engine does all of this over [`Bucket::store`](crate::Bucket::store); these calls are for callers who
/// cut their data themselves.
#[derive(Debug)]
#[must_use = "nothing is begun until it is created"]
pub struct Resumable {
    client: Client,
    at: Result<At>,
    permit: Permit,
    options: FileOptions,
}

impl Resumable {
    pub(crate) fn new(client: &Client, at: Result<At>) -> Self {
        let permit = Permit::Caller { upsert: false };
        Self { client: client.clone(), at, permit, options: FileOptions::default() }
    }

    /// Whether an object of this name is replaced. Off by default.
    pub fn upsert(mut self, upsert: bool) -> Self {
        if let Permit::Caller { upsert: over } = &mut self.permit {
            *over = upsert;
        }
        self
    }

    /// Asks without credentials, by the token of a signed upload, which also says whether an object is replaced.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.permit = Permit::Token(token.into());
        self
    }

    /// Content type; `application/octet-stream` by default, to which the rules of the bucket are then not applied.
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.options.content_type = Some(value.into());
        self
    }

    /// `Cache-Control` of later downloads: `no-cache`, which is the default, or `max-age=SECONDS`. `Unsupported` for
    /// anything else.
    pub fn cache_control(mut self, value: impl Into<String>) -> Self {
        self.options.cache_control = Some(value.into());
        self
    }

    /// The user's own metadata: any JSON object of 8 KiB at most.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.options.metadata = Some(metadata);
        self
    }

    /// Begins an upload of so many bytes; `None` if nobody knows how many, which [`ResumableUpload::finish`] then says.
    ///
    /// With a length, a bucket that takes no such object refuses it now. An upload of no bytes is complete at once.
    pub async fn create(self, length: Option<u64>) -> Result<ResumableUpload> {
        let at = self.at?;
        let id = create(&self.client, &at, &self.permit, length, &self.options).await?;
        Ok(ResumableUpload { client: self.client, upload: Upload { at, id, permit: self.permit } })
    }

    /// Goes on with an upload that was begun before, by its [`id`](ResumableUpload::id). Asks nobody.
    ///
    /// It must be asked for with the same [`upsert`](Self::upsert) or token as it was begun. `NotFound` for an id that is
    /// not one of an upload of this object.
    pub fn resume(self, id: impl Into<String>) -> Result<ResumableUpload> {
        let upload = Upload { at: self.at?, id: id.into(), permit: self.permit };
        if !upload.is_of_its_object() {
            return Err(not_its_upload(&upload));
        }
        Ok(ResumableUpload { client: self.client, upload })
    }
}

/// How far a resumable upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadProgress {
    /// Bytes that the server has.
    pub offset: u64,
    /// Bytes of the whole, if that was said.
    pub length: Option<u64>,
}

impl UploadProgress {
    /// Whether the object is there.
    pub fn is_complete(&self) -> bool {
        self.length == Some(self.offset)
    }
}

/// A resumable upload that was begun. Dropping it leaves it at the server, where it expires some time.
#[derive(Clone, Debug)]
pub struct ResumableUpload {
    client: Client,
    upload: Upload,
}

impl ResumableUpload {
    /// By which it can be gone on with later. Grants nothing to anybody else.
    pub fn id(&self) -> &str {
        &self.upload.id
    }

    /// How far it is. `NotFound` if there is no such upload any more.
    pub async fn progress(&self) -> Result<UploadProgress> {
        let Progress { offset, length } = offset(&self.client, &self.upload).await?;
        Ok(UploadProgress { offset, length })
    }

    /// Sends the bytes that start at `start`, and answers where they end.
    ///
    /// If some of them arrived before the connection broke, only the rest is sent again. Bytes that the server has
    /// already are not sent at all. The length of the body must be known.
    pub async fn send(&self, start: u64, body: impl Into<Payload>) -> Result<u64> {
        send(&self.client, &self.upload, start, body.into()).await
    }

    /// Says that an upload of unknown length has all of its bytes: `length`. The object is then there.
    pub async fn finish(&self, length: u64) -> Result<()> {
        finish(&self.client, &self.upload, length).await
    }

    /// Gives it up. `Ok` if it is gone already, or complete.
    pub async fn abort(&self) -> Result<()> {
        abort(&self.client, &self.upload).await
    }
}

pub(crate) fn not_its_upload(upload: &Upload) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("{:?} is not the id of an upload of {}", upload.id, upload.at.key),
    )
    .with_resource(crate::names::object_resource(&upload.at.bucket, &upload.at.key))
}

pub(crate) async fn create(
    client: &Client,
    at: &At,
    permit: &Permit,
    length: Option<u64>,
    options: &FileOptions,
) -> Result<String> {
    let answer = client.call(wire::create(at, permit, length, options)?).await?;
    let call = answer.call.clone();
    wire::parse_create(&answer.done().await?).map_err(|error| error.with_call(&call))
}

pub(crate) async fn offset(client: &Client, upload: &Upload) -> Result<Progress> {
    let answer = client.call(wire::head(upload)?).await?;
    let call = answer.call.clone();
    wire::parse_head(&answer.done().await?).map_err(|error| error.with_call(&call))
}

/// Sends a piece; what arrived of it before a failure is not sent again.
pub(crate) async fn send(client: &Client, upload: &Upload, start: u64, body: Payload) -> Result<u64> {
    let Some(length) = body.len() else {
        return Err(invalid("a piece of a resumable upload has no known length"));
    };
    let Some(end) = start.checked_add(length) else {
        return Err(invalid(format!("no upload has {length} bytes behind byte {start}")));
    };
    let (mut body, mut at, mut fruitless) = (Some(body), start, 0);
    loop {
        let Some(piece) = body.take() else { return Err(used_up(at)) };
        body = piece.try_clone();
        let request = wire::patch(upload, at, skip(piece, at - start), None)?;
        let call = request.call.clone();
        let (reached, failure) = match patch(client, request).await {
            Ok(reached) => (reached, None),
            Err(error) if may_have_arrived(&error) => {
                let progress = match offset(client, upload).await {
                    Ok(progress) => progress,
                    Err(unknown) => return Err(error.with_related(unknown)),
                };
                if progress.offset < end && progress.is_complete() {
                    let gone = "the upload is complete and takes no more bytes";
                    return Err(Error::new(ErrorKind::NotFound, gone).with_call(&call).with_source(error));
                }
                (progress.offset, Some(error))
            }
            Err(error) => return Err(error),
        };
        if reached >= end {
            return Ok(end);
        }
        if reached < start {
            let message = format!(
                "the server has {reached} bytes: those from {start} on cannot be sent before the rest"
            );
            let gap = invalid(message).with_call(&call);
            return Err(match failure {
                Some(failure) => gap.with_source(failure),
                None => gap,
            });
        }
        fruitless = if reached > at { 0 } else { fruitless + 1 };
        // The transport has repeated what it may: a server that is overloaded is not asked thrice as often.
        let refused = failure.as_ref().is_some_and(|error| error.attempts() > 1 && error.status().is_some());
        if fruitless >= FRUITLESS || body.is_none() || reached == at && refused {
            return Err(failure.unwrap_or_else(|| used_up(reached)));
        }
        tracing::debug!(upload = %upload.id, at = reached, "a piece goes on where it broke off");
        at = reached;
    }
}

async fn patch(client: &Client, request: crate::wire::Request) -> Result<u64> {
    let answer = client.call(request).await?;
    let call = answer.call.clone();
    wire::parse_patch(&answer.done().await?).map_err(|error| error.with_call(&call))
}

fn used_up(at: u64) -> Error {
    Error::new(
        ErrorKind::Transport,
        format!("the piece broke off at {at}, and its body cannot be read again"),
    )
}

/// Whether bytes of a request that failed this way may be at the server, or were there before.
fn may_have_arrived(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict
            | ErrorKind::Transport
            | ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::Busy
            | ErrorKind::RateLimited
            // More bytes than the whole has: those of a piece that is complete already, for instance.
            | ErrorKind::QuotaExceeded
    )
}

/// Makes the object of what was sent, unless the last piece has done so.
pub(crate) async fn finish(client: &Client, upload: &Upload, length: u64) -> Result<()> {
    let progress = offset(client, upload).await?;
    if progress.offset != length || progress.length.is_some_and(|whole| whole != length) {
        let call = wire::head(upload)?.call;
        let message = match progress.length {
            Some(whole) => format!("the server has {} of {whole} bytes, not {length}", progress.offset),
            None => format!("the server has {} bytes, not {length}", progress.offset),
        };
        return Err(Error::new(ErrorKind::Conflict, message).with_call(&call));
    }
    if progress.is_complete() {
        // To say it twice would put this version over one that was stored since.
        return Ok(());
    }
    match patch(client, wire::patch(upload, length, Payload::empty(), Some(length))?).await {
        Ok(_) => Ok(()),
        // Its answer may have been lost, and a repetition is refused.
        Err(error) => match offset(client, upload).await {
            Ok(progress) if progress.is_complete() => Ok(()),
            Ok(_) => Err(error),
            Err(unknown) => Err(error.with_related(unknown)),
        },
    }
}

pub(crate) async fn abort(client: &Client, upload: &Upload) -> Result<()> {
    let delete = async |upload: &Upload| client.call(wire::delete(upload)?).await?.done().await.map(drop);
    let done = match delete(upload).await {
        // An object that was stored meanwhile is in the way of everything that may not replace it, even of this.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            delete(&Upload { permit: Permit::Caller { upsert: true }, ..upload.clone() }).await
        }
        done => done,
    };
    match done {
        Err(error)
            if error.kind() == ErrorKind::NotFound || error.message().contains("already completed") =>
        {
            Ok(())
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use bytes::Bytes;
    use futures_util::stream;
    use http::request::Parts;
    use longshore_transport::{RetryConfig, Token, TokenCache, TokenSource};

    use super::*;
    use crate::testing::{Reply, reply, server};

    /// What becomes of a PATCH.
    #[derive(Clone, Copy)]
    enum Fate {
        /// So many bytes arrive, then the connection breaks.
        Breaks(usize),
        /// All arrives and is answered.
        Good,
        /// All arrives, and the answer is lost.
        Deaf,
    }

    /// A request: method, `x-upsert`, host and path.
    type Seen = (String, String, String);

    /// A server of one upload that follows a script.
    #[derive(Default)]
    struct Script {
        stored: Vec<u8>,
        length: Option<usize>,
        patches: Vec<Fate>,
        seen: Vec<Seen>,
        /// The one token that counts; empty: all do.
        valid: String,
    }

    impl Script {
        fn answer(&mut self, parts: &Parts, body: &Bytes) -> Reply {
            let header = |name: &str| parts.headers.get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
            self.seen.push((parts.method.to_string(), header("x-upsert"), parts.uri.to_string()));
            let offset = self.stored.len().to_string();
            if !self.valid.is_empty() && header("authorization") != format!("Bearer {}", self.valid) {
                let text = r#"{"statusCode":"403","message":"\"exp\" claim timestamp check failed","code":"AccessDenied"}"#;
                return reply(400, &[], if parts.method == "HEAD" { "" } else { text });
            }
            match (parts.method.as_str(), self.length) {
                ("POST", _) => {
                    let id = URL_SAFE_NO_PAD.encode("b/dir/k/v1");
                    reply(201, &[("location", &format!("http://inside:1/wrong/upload/resumable/{id}"))], "")
                }
                ("HEAD", Some(length)) => {
                    reply(200, &[("upload-offset", &offset), ("upload-length", &length.to_string())], "")
                }
                ("HEAD", None) => reply(200, &[("upload-offset", &offset), ("upload-defer-length", "1")], ""),
                ("PATCH", _) if header("upload-offset") != offset => {
                    reply(409, &[], "Upload-Offset conflict\n")
                }
                ("PATCH", said) => {
                    if let Ok(length) = header("upload-length").parse() {
                        if said.is_some() {
                            return reply(400, &[], "Invalid upload-length\n");
                        }
                        self.length = Some(length);
                    }
                    let fate = if self.patches.is_empty() { Fate::Good } else { self.patches.remove(0) };
                    let arrived = if let Fate::Breaks(bytes) = fate { &body[..bytes] } else { &body[..] };
                    self.stored.extend_from_slice(arrived);
                    let good = matches!(fate, Fate::Good);
                    if good {
                        reply(204, &[("upload-offset", &self.stored.len().to_string())], "")
                    } else {
                        None
                    }
                }
                _ => reply(204, &[], ""),
            }
        }
    }

    type Shared = Arc<Mutex<Script>>;

    fn script(patches: &[Fate]) -> Shared {
        Arc::new(Mutex::new(Script { patches: patches.to_vec(), ..Script::default() }))
    }

    fn client(script: &Shared) -> crate::ClientBuilder {
        let script = Arc::clone(script);
        let server = server(move |parts: &Parts, body: &Bytes| script.lock().unwrap().answer(parts, body));
        Client::builder("http://h").service(server).retry(RetryConfig::off()).key("key")
    }

    async fn begin(script: &Shared) -> ResumableUpload {
        let client = client(script).build().unwrap();
        client.bucket("b").unwrap().resumable("dir/k").upsert(true).create(None).await.unwrap()
    }

    fn count(script: &Shared, method: &str) -> usize {
        script.lock().unwrap().seen.iter().filter(|(seen, ..)| seen == method).count()
    }

    #[tokio::test]
    async fn what_arrived_is_not_sent_again() {
        let script = script(&[Fate::Breaks(4), Fate::Breaks(0), Fate::Good, Fate::Deaf]);
        let upload = begin(&script).await;
        assert_eq!(upload.send(0, "0123456789").await.unwrap(), 10);
        assert_eq!(upload.send(10, "abc").await.unwrap(), 13);
        // It is there already, and is not doubled.
        assert_eq!(upload.send(10, "abc").await.unwrap(), 13);
        upload.finish(13).await.unwrap();
        let done = script.lock().unwrap();
        assert_eq!(done.stored, b"0123456789abc");
        // Wherever the server says that it is, and with every request.
        for (method, upsert, uri) in &done.seen {
            assert_eq!(upsert, "true", "{method}");
            assert!(uri.starts_with("http://h/storage/v1/upload/resumable"), "{uri}");
        }
    }

    #[tokio::test]
    async fn a_piece_that_never_arrives_fails_with_its_reason() {
        let script = script(&[Fate::Breaks(0); 9]);
        let error = begin(&script).await.send(0, "0123").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert_eq!(count(&script, "PATCH"), FRUITLESS as usize);
    }

    #[tokio::test]
    async fn a_body_that_can_be_read_once_is_not_replaced_by_nothing() {
        let script = script(&[Fate::Breaks(2)]);
        let body = Payload::once(Some(4), stream::iter([Ok(Bytes::from_static(b"0123"))]));
        let error = begin(&script).await.send(0, body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert_eq!(script.lock().unwrap().stored, b"01");
    }

    #[tokio::test]
    async fn pieces_out_of_order_and_after_the_end() {
        let script = script(&[]);
        let upload = begin(&script).await;
        assert_eq!(upload.send(5, "x").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(upload.send(u64::MAX, "x").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        upload.send(0, "abc").await.unwrap();
        assert_eq!(upload.finish(5).await.unwrap_err().kind(), ErrorKind::Conflict);
        upload.finish(3).await.unwrap();
        // Once more changes nothing: it would put the old content over what was stored since.
        let patches = count(&script, "PATCH");
        upload.finish(3).await.unwrap();
        assert_eq!(count(&script, "PATCH"), patches);
    }

    #[tokio::test]
    async fn a_completion_whose_answer_is_lost_has_worked() {
        let script = script(&[Fate::Good, Fate::Deaf]);
        let upload = begin(&script).await;
        upload.send(0, "abc").await.unwrap();
        upload.finish(3).await.unwrap();
        assert_eq!(script.lock().unwrap().length, Some(3));
    }

    #[tokio::test]
    async fn an_upload_goes_on_by_its_id() {
        let script = script(&[]);
        let first = begin(&script).await;
        first.send(0, "abc").await.unwrap();
        let bucket = client(&script).build().unwrap().bucket("b").unwrap();
        let again = bucket.resumable("dir/k").upsert(true).resume(first.id()).unwrap();
        assert_eq!(again.progress().await.unwrap(), UploadProgress { offset: 3, length: None });
        assert_eq!(bucket.resumable("other").resume(first.id()).unwrap_err().kind(), ErrorKind::NotFound);
    }

    /// Another token each time.
    #[derive(Debug, Default)]
    struct Sessions(AtomicUsize);

    impl TokenSource for Sessions {
        async fn fetch(&self) -> Result<Token> {
            Ok(Token::new(format!("session-{}", self.0.fetch_add(1, SeqCst))))
        }
    }

    #[tokio::test]
    async fn a_session_may_end_in_the_middle() {
        let script = script(&[]);
        let valid = |session: &str| session.clone_into(&mut script.lock().unwrap().valid);
        let client = client(&script).user(TokenCache::new(Sessions::default())).build().unwrap();
        let upload = client.bucket("b").unwrap().resumable("dir/k").upsert(true);
        valid("session-0");
        let upload = upload.create(None).await.unwrap();
        upload.send(0, "abc").await.unwrap();
        // From now on only the next token counts. To a HEAD the service says 400 and nothing more.
        valid("session-1");
        assert_eq!(upload.progress().await.unwrap().offset, 3);
        valid("session-2");
        upload.send(3, "def").await.unwrap();
        upload.finish(6).await.unwrap();
        assert_eq!(script.lock().unwrap().stored, b"abcdef");
        // A refusal that no new token mends is told as what it is.
        valid("another");
        assert_eq!(upload.send(6, "x").await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
}
