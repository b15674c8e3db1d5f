//! Appending to an object.

use longshore_core_types::{Checksum, Error, ErrorKind, Payload, Result};

use super::Object;
use crate::wire::append as wire;

/// A session of appends to one object; see [`Object::append_session`].
///
/// Nothing is visible before [`flush`](Self::flush). If a session is dropped, the cluster removes what was
/// appended some time later. An append whose outcome is unknown ends the session: the bytes may or may not be
/// there.
#[derive(Debug)]
pub struct AppendSession {
    object: Object,
    state: State,
}

#[derive(Debug)]
enum State {
    Fresh,
    Open(String),
    /// An append failed, so the handle is not known any more.
    Broken,
}

impl AppendSession {
    pub(crate) fn new(object: Object) -> Self {
        Self { object, state: State::Fresh }
    }

    /// Goes on where another session stopped; an empty handle begins anew.
    pub(crate) fn resume(object: Object, handle: &str) -> Result<Self> {
        if handle.is_empty() {
            return Ok(Self::new(object));
        }
        wire::check(handle)?;
        Ok(Self { object, state: State::Open(handle.to_owned()) })
    }

    /// The handle to go on with, by [`Object::resume_append`]; `None` if nothing is open.
    ///
    /// Only the latest one counts: appending with an older one breaks the object's checksum.
    pub fn handle(&self) -> Option<&str> {
        match &self.state {
            State::Open(handle) => Some(handle),
            State::Fresh | State::Broken => None,
        }
    }

    /// Whether something was appended that is not flushed yet.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Appends bytes: behind what the object holds, or what was appended before.
    #[doc(alias = "append_content")]
    pub async fn append(&mut self, body: impl Into<Payload>) -> Result<()> {
        self.object.at().check_new()?;
        let handle = match std::mem::replace(&mut self.state, State::Broken) {
            State::Fresh => None,
            State::Open(handle) => Some(handle),
            State::Broken => return Err(self.broken()),
        };
        let body = body.into();
        let request = wire::append(self.object.at(), handle.as_deref(), body)?;
        let call = request.call.clone();
        let answer = self.object.client().upload_through_gateway(request).await?;
        let handle = wire::parse_handle(&answer.done().await?).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "the answer has no handle to go on with").with_call(&call)
        })?;
        self.state = State::Open(handle);
        Ok(())
    }

    /// Makes the object of what was appended. Does nothing if there is nothing.
    ///
    /// The session can be used further; it then appends to the object's new end.
    pub async fn flush(&mut self) -> Result<()> {
        self.finish(None).await
    }

    /// Makes the object of what was appended if all of it has this checksum; else the object stays as it was
    /// (`ChecksumMismatch`).
    pub async fn flush_with_checksum(&mut self, checksum: &Checksum) -> Result<()> {
        self.finish(Some(checksum)).await
    }

    async fn finish(&mut self, checksum: Option<&Checksum>) -> Result<()> {
        let handle = match &self.state {
            State::Fresh => return Ok(()),
            State::Open(handle) => handle.clone(),
            State::Broken => return Err(self.broken()),
        };
        let request = wire::flush(self.object.at(), &handle, checksum)?;
        self.object.client().call(request).await?.done().await?;
        self.state = State::Fresh;
        Ok(())
    }

    fn broken(&self) -> Error {
        let message = "an append failed, so what the object would hold is not known; begin a new session";
        let resource = self.object.bucket().object_resource(self.object.key());
        Error::new(ErrorKind::Conflict, message)
            .with_operation("aistore.object.append")
            .with_resource(resource)
    }
}
