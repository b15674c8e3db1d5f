//! Writing an object.

use std::{collections::BTreeMap, future::IntoFuture, path::PathBuf};

use futures_core::future::BoxFuture;
use longshore_core_types::{CallInfo, Checksum, ChecksumKind, Error, ErrorKind, Payload, Result};

use super::{Object, options::ObjectAt, props::ObjectProps, source};
use crate::{
    client::Client,
    verify::{Sent, check_stored, checksum_of, guard_error, guarded},
    wire::object as wire,
};

/// What goes with the bytes of an object.
#[derive(Clone, Debug, Default)]
pub(crate) struct PutParams {
    pub(crate) custom: BTreeMap<String, String>,
    /// Drop custom metadata of the object that was there; the server would keep it.
    pub(crate) replace_custom: bool,
    pub(crate) fresh: bool,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) verify: bool,
}

/// Stores an object and makes sure that the server stored the bytes that were sent.
pub(crate) async fn put(
    client: &Client,
    at: &ObjectAt,
    body: Payload,
    params: &PutParams,
) -> Result<ObjectProps> {
    let body = match &params.checksum {
        Some(expected) => guarded(body, expected.clone()),
        None => body,
    };
    // Kept to compute a checksum of another kind afterwards, should the server state one.
    let template = body.try_clone();
    let kind = match (client.facts().checksum(at.bucket()), &template) {
        _ if !params.verify => None,
        (Some(kind), _) => kind,
        (None, Some(_)) => Some(ChecksumKind::XxHash64),
        (None, None) => client.facts().ask_checksum(client, at.bucket()).await,
    };
    let (body, sent) = Sent::watch(body, kind.as_slice());
    let request = wire::put(at, body, &params.custom, params.fresh)?;
    let call = request.call.clone();
    let answer = client.upload(at, request).await.map_err(|error| guard_error(error, &call))?;
    let mut props = wire::parse_put(&answer.done().await?).of(at);
    props.size = sent.length();
    if let (Some(stated), true) = (&props.checksum, params.verify) {
        client.facts().learn_checksum(at.bucket(), stated.kind());
        if let Some(ours) = own_checksum(&sent, template, stated.kind(), &call).await? {
            check_stored(&ours, stated, &call)?;
        }
    }
    // The cluster keeps the backend's own keys among those of a remote object; they must stay.
    if params.replace_custom && !at.bucket().is_remote() && props.custom != params.custom {
        client.call(wire::patch_custom(at, &params.custom, true)?).await?.done().await?;
        props.custom.clone_from(&params.custom);
    }
    Ok(props)
}

/// Our checksum of this kind: computed on the way, or by reading the body again if it can be.
async fn own_checksum(
    sent: &Sent,
    template: Option<Payload>,
    kind: ChecksumKind,
    call: &CallInfo,
) -> Result<Option<Checksum>> {
    if let Some(ours) = sent.checksum(kind) {
        return Ok(Some(ours));
    }
    let Some(body) = template else { return Ok(None) };
    let ours = checksum_of(body, kind).await.map_err(|error| {
        Error::new(ErrorKind::LocalIo, "the body could not be read again for its checksum")
            .with_call(call)
            .with_source(error)
    })?;
    Ok(Some(ours))
}

/// A write of an object; see [`Object::put`].
#[derive(Debug)]
#[must_use = "nothing is written until it is awaited"]
pub struct PutObject {
    object: Object,
    body: Body,
    params: PutParams,
}

#[derive(Debug)]
enum Body {
    Payload(Payload),
    File(PathBuf),
}

impl PutObject {
    pub(crate) fn new(object: Object, body: Payload) -> Self {
        Self::with(object, Body::Payload(body))
    }

    pub(crate) fn from_file(object: Object, path: PathBuf) -> Self {
        Self::with(object, Body::File(path))
    }

    fn with(object: Object, body: Body) -> Self {
        Self { object, body, params: PutParams { verify: true, ..PutParams::default() } }
    }

    /// Adds one pair of custom metadata. All keys and values together have at most 2 KiB.
    pub fn custom(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.custom.insert(key.into(), value.into());
        self
    }

    /// Drops the custom metadata of an object that is overwritten. The server keeps it otherwise, together
    /// with what is set here.
    pub fn replace_custom(mut self, replace: bool) -> Self {
        self.params.replace_custom = replace;
        self
    }

    /// Stores it as if no object had been there: without its custom metadata, and with versions from 1 again.
    /// A reader that compares versions cannot tell the two apart, so this is for objects that nobody reads.
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.params.fresh = fresh;
        self
    }

    /// The checksum that the content must have. If it has another, nothing is stored.
    pub fn checksum(mut self, expected: Checksum) -> Self {
        self.params.checksum = Some(expected);
        self
    }

    /// Whether the checksum that the server states is compared with what was sent; on by default.
    pub fn verify(mut self, verify: bool) -> Self {
        self.params.verify = verify;
        self
    }
}

impl IntoFuture for PutObject {
    type Output = Result<ObjectProps>;
    type IntoFuture = BoxFuture<'static, Result<ObjectProps>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { object, body, params } = self;
        Box::pin(async move {
            object.at().check_new()?;
            let body = match body {
                Body::Payload(body) => body,
                Body::File(path) => source::open(path).await?,
            };
            put(object.client(), object.at(), body, &params).await
        })
    }
}
