//! Many objects in one request.

mod described;
mod sizes;

use std::{collections::VecDeque, fmt, future::IntoFuture, sync::Arc};

use bytes::Bytes;
use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{StreamExt, stream};
use longshore_blob_api::{ByteStream, GetManyItem, GetManyOptions, GetManyStream, GetResult};
use longshore_core_types::{CallInfo, Error, ErrorKind, ObjectKey, ObjectMeta, Result};
use longshore_transport::body;
use tokio::sync::Mutex;

use crate::{
    client::Client,
    names::BucketRef,
    object::{ArchiveFormat, Object},
    tar::read::TarReader,
    wire::batch::{self as wire, BatchParams, Described, Input},
};

use sizes::Wanted;

/// Stands in front of the name of an entry that is missing.
const MISSING: &str = "__404__/";

impl Client {
    /// Reads many small objects in one request, in the order asked for.
    pub fn batch(&self) -> BatchBuilder {
        BatchBuilder {
            client: self.clone(),
            bucket: None,
            inputs: Vec::new(),
            params: BatchParams::default(),
        }
    }
}

/// A read of many objects; see [`Client::batch`]. Awaiting it sends the request.
#[derive(Clone, Debug)]
#[must_use = "nothing is read until it is awaited"]
pub struct BatchBuilder {
    client: Client,
    bucket: Option<BucketRef>,
    inputs: Vec<Input>,
    params: BatchParams,
}

impl BatchBuilder {
    fn push(mut self, object: &Object, change: impl FnOnce(&mut Input)) -> Self {
        let mut input = Input::new(object.bucket().clone(), object.key().clone());
        change(&mut input);
        self.inputs.push(input);
        self
    }

    /// Adds an object.
    #[doc(alias = "add")]
    pub fn object(self, object: &Object) -> Self {
        self.push(object, |_| {})
    }

    /// Adds a member of the archive that an object is.
    pub fn member(self, object: &Object, path: impl Into<String>) -> Self {
        self.push(object, |input| input.member = Some(path.into()))
    }

    /// Adds a part of an object, from `start` on, to its end if no `length` is given.
    ///
    /// A cluster may fail the whole request if the object does not have these bytes, or deliver all of it instead. So an
    /// object of which a part behind its start is wanted is asked for its size first, 16 objects at a time; an item that
    /// it does not have is `RangeNotSatisfiable`. [`range_of`](Self::range_of) saves that question.
    pub fn range(self, object: &Object, start: u64, length: Option<u64>) -> Self {
        self.push(object, |input| (input.start, input.length) = (start, length))
    }

    /// The same as [`range`](Self::range) for an object whose size is known, such as from a listing: nothing is asked.
    /// If the object has become smaller since, the item may be other bytes of it.
    pub fn range_of(self, object: &Object, size: u64, start: u64, length: Option<u64>) -> Self {
        self.push(object, |input| (input.start, input.length, input.size) = (start, length, Some(size)))
    }

    /// Attaches bytes to what was added last, which come back with its item ([`BatchItem::opaque`]). Nothing if nothing
    /// was added yet.
    ///
    /// The cluster gets them too, and returns them where it [describes](Self::described) its answer.
    pub fn opaque(mut self, bytes: impl Into<Bytes>) -> Self {
        if let Some(input) = self.inputs.last_mut() {
            input.opaque = Some(bytes.into());
        }
        self
    }

    /// The bucket that the request names; needed by servers that check access by it.
    pub fn bucket(mut self, bucket: &BucketRef) -> Self {
        self.bucket = Some(bucket.clone());
        self
    }

    /// Goes on after an object that is missing, which is then an item of its own; so by default.
    #[doc(alias = "cont_on_err")]
    pub fn continue_on_error(mut self, go_on: bool) -> Self {
        self.params.continue_on_error = go_on;
        self
    }

    /// Lets the cluster choose the serving target by where most of the objects are (1), or their members too (2).
    pub fn colocation(mut self, level: u8) -> Self {
        self.params.colocation = level.min(2);
        self
    }

    /// Leaves the buckets out of the names in the archive.
    #[doc(alias = "only_obj_name")]
    pub fn names_only(mut self, names_only: bool) -> Self {
        self.params.names_only = names_only;
        self
    }

    /// Lets the cluster gather everything before it answers, and describe it in front of the archive; off by default.
    ///
    /// The request then fails as a whole where a streamed answer would stop short, sizes are compared with the
    /// description, and a missing item says in the cluster's words why. The first byte comes later.
    #[doc(alias = "streaming_get")]
    pub fn described(mut self, described: bool) -> Self {
        self.params.streaming = !described;
        self
    }

    /// The archive itself, in any format, as the cluster sends it. Its content is not compared with what was asked for:
    /// it may end early with a valid end. Ranges that an object does not have fail before it is asked for.
    pub async fn raw(mut self, format: ArchiveFormat) -> Result<ByteStream> {
        self.params.format = format;
        let request = wire::get(self.bucket.as_ref(), &self.inputs, &self.params)?;
        for wanted in sizes::expect(&self.client, self.inputs).await? {
            wanted.certain()?;
        }
        let answer = self.client.call(request).await?;
        let (stream, call) = (body::stream(answer.body, answer.call.clone()).boxed(), answer.call);
        if self.params.streaming {
            return Ok(stream);
        }
        let parts = described::split(&answer.parts.headers, stream).await;
        Ok(parts.map_err(|error| error.with_call(&call))?.1)
    }
}

impl IntoFuture for BatchBuilder {
    type Output = Result<BatchStream>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { client, bucket, inputs, params } = self;
            // Bad input is found before anything is sent, sizes included.
            wire::get(bucket.as_ref(), &inputs, &params)?;
            let mut wanted = sizes::expect(&client, inputs).await?;
            if !params.continue_on_error {
                wanted = wanted.into_iter().map(Wanted::certain).collect::<Result<_>>()?;
            }
            let sent: Vec<Input> = wanted
                .iter()
                .filter(|wanted| wanted.length.is_ok())
                .map(|wanted| wanted.input.clone())
                .collect();
            let open = if sent.is_empty() {
                None
            } else {
                Some(Open::send(&client, bucket.as_ref(), &sent, &params).await?)
            };
            let reading = Reading { open, wanted: wanted.into(), index: 0 };
            let items = stream::unfold(reading, |mut reading| async move {
                let item = reading.next().await?;
                Some((item, reading))
            });
            Ok(items.boxed())
        })
    }
}

/// The items that are still to come.
struct Reading {
    /// `None` if nothing was sent, or what is being read broke.
    open: Option<Open>,
    wanted: VecDeque<Wanted>,
    index: usize,
}

impl Reading {
    async fn next(&mut self) -> Option<BatchItem> {
        let Wanted { input, length } = self.wanted.pop_front()?;
        let index = self.index;
        self.index += 1;
        let (name, opaque) = (input.entry_name(), input.opaque.clone());
        let result = match (length, &mut self.open) {
            (Err(error), _) => Err(error),
            (Ok(length), Some(open)) => {
                let next = open.next(&input, length).await;
                let result = match next {
                    Ok(Some(result)) => return Some(BatchItem { index, name, opaque, result }),
                    Ok(None) => Err(open.ended_early(index, index + 1 + self.wanted.len())),
                    Err(error) => Err(error),
                };
                self.open = None;
                self.wanted.clear();
                result
            }
            (Ok(_), None) => return None,
        };
        Some(BatchItem { index, name, opaque, result })
    }
}

/// Items of a batch, in the order asked for. They share a connection: read an item's body to its end, or drop it,
/// before asking for the next. After an item that could not be delivered for another reason than being missing,
/// the stream ends.
pub type BatchStream = BoxStream<'static, BatchItem>;

/// One item of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchItem {
    /// Which of the things asked for, counted from zero.
    pub index: usize,
    /// Its name, with the path inside the archive behind it.
    pub name: String,
    /// What was [attached](BatchBuilder::opaque) to it.
    pub opaque: Option<Bytes>,
    /// Its bytes, or why there are none.
    pub result: Result<GetResult>,
}

/// An answer that is being read.
struct Open {
    reader: Arc<Mutex<TarReader>>,
    /// Which entry the reader is in; bodies of earlier ones are over.
    generation: Arc<std::sync::atomic::AtomicU64>,
    call: CallInfo,
    names_only: bool,
    /// What the cluster says of what is still to come, if it was asked to.
    described: Option<std::vec::IntoIter<Described>>,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Open {
    async fn send(
        client: &Client,
        bucket: Option<&BucketRef>,
        inputs: &[Input],
        params: &BatchParams,
    ) -> Result<Self> {
        let answer = client.call(wire::get(bucket, inputs, params)?).await?;
        let call = answer.call.clone();
        let stream = body::stream(answer.body, answer.call).boxed();
        let (described, stream) = if params.streaming {
            (None, stream)
        } else {
            let parts = described::split(&answer.parts.headers, stream).await;
            let (described, archive) = parts.map_err(|error| error.with_call(&call))?;
            if described.len() != inputs.len() {
                let message = format!("{} of {} objects are described", described.len(), inputs.len());
                return Err(Error::new(ErrorKind::Protocol, message).with_call(&call));
            }
            (Some(described.into_iter()), archive)
        };
        let reader = TarReader::new(stream);
        Ok(Self {
            described,
            reader: Arc::new(Mutex::new(reader)),
            generation: Arc::default(),
            call,
            names_only: params.names_only,
        })
    }

    /// The entry of this input, which has so many bytes if that is known; `None` if the archive ends before it.
    async fn next(&mut self, input: &Input, length: Option<u64>) -> Result<Option<Result<GetResult>>> {
        use std::sync::atomic::Ordering;
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = self.reader.lock().await.next().await.map_err(|error| error.with_call(&self.call))?;
        let said = self.described.as_mut().and_then(Iterator::next);
        let Some(entry) = entry else { return Ok(None) };
        let wanted = if self.names_only {
            input.entry_name()
        } else {
            format!("{}/{}", input.bucket.name(), input.entry_name())
        };
        let call = CallInfo::new("aistore.batch.get", self.call.idempotency)
            .on(input.bucket.object_resource(&input.key));
        if said.as_ref().is_some_and(|said| !said.belongs_to(input)) {
            let message = format!("the cluster describes another object where {wanted:?} was asked for");
            return Err(Error::new(ErrorKind::Protocol, message).with_call(&call));
        }
        if entry.name.strip_prefix(MISSING) == Some(&wanted) {
            let message = match (said, &input.member) {
                (Some(said), _) if !said.err_msg.is_empty() => said.err_msg,
                (_, Some(member)) => format!("there is no such object, or no {member} in it"),
                (_, None) => "there is no such object".to_owned(),
            };
            return Ok(Some(Err(Error::new(ErrorKind::NotFound, message).with_call(&call))));
        }
        if entry.name != wanted {
            let message = format!("the cluster sent {:?} where {wanted:?} was asked for", entry.name);
            return Err(Error::new(ErrorKind::Protocol, message).with_call(&call));
        }
        if let Some(said) = said.filter(|said| said.size != entry.size) {
            let message = format!("the cluster sent {} bytes and describes {}", entry.size, said.size);
            return Err(Error::new(ErrorKind::Protocol, message).with_call(&call));
        }
        if let Some(length) = length.filter(|length| *length != entry.size) {
            let message = format!("the cluster sent {} bytes where {length} were asked for", entry.size);
            return Ok(Some(Err(Error::new(ErrorKind::RangeNotSatisfiable, message).with_call(&call))));
        }
        let state = (Arc::clone(&self.reader), Arc::clone(&self.generation));
        let body = stream::try_unfold(state, move |(reader, current)| {
            let call = call.clone();
            async move {
                let mut tar = reader.lock().await;
                if current.load(Ordering::Relaxed) != generation {
                    let message = "the next object of the batch was asked for before this one was read";
                    return Err(Error::new(ErrorKind::InvalidInput, message).with_call(&call));
                }
                let chunk = tar.chunk().await.map_err(|error| error.with_call(&call))?;
                drop(tar);
                Ok(chunk.map(|chunk| (chunk, (reader, current))))
            }
        });
        let meta = ObjectMeta::new(input.key.clone(), entry.size);
        Ok(Some(Ok(GetResult::new(meta, 0..entry.size, body.boxed()))))
    }

    fn ended_early(&self, delivered: usize, asked: usize) -> Error {
        let message = format!("the cluster stopped after {delivered} of {asked} objects");
        Error::new(ErrorKind::Unavailable, message).with_call(&self.call)
    }
}

/// [`get_many`](longshore_blob_api::BlobStore::get_many) of one bucket.
///
/// A cluster gives a request up at the ninth missing object, with a valid end of the archive; what is left is
/// asked for again.
pub(crate) async fn get_many(
    client: &Client,
    bucket: &BucketRef,
    keys: Vec<ObjectKey>,
    opts: GetManyOptions,
) -> Result<GetManyStream> {
    let input = |key| Input::new(bucket.clone(), key);
    let inputs: VecDeque<Input> = keys.into_iter().map(input).collect();
    if inputs.is_empty() {
        return Ok(stream::empty().boxed());
    }
    let params = BatchParams { names_only: true, ..BatchParams::default() };
    let (client, bucket) = (client.clone(), bucket.clone());
    let first =
        Open::send(&client, Some(&bucket), &inputs.iter().cloned().collect::<Vec<_>>(), &params).await?;
    // How many objects the request that is being read has delivered.
    let state = (Some(first), inputs, 0_usize);
    let items = stream::try_unfold(state, move |(open, mut inputs, mut delivered)| {
        let (client, bucket, params, go_on) =
            (client.clone(), bucket.clone(), params.clone(), opts.continue_on_error);
        async move {
            let Some(input) = inputs.pop_front() else { return Ok(None) };
            let Some(mut open) = open else { return Ok(None) };
            loop {
                match open.next(&input, None).await? {
                    Some(Err(error)) if !go_on => return Err(error),
                    Some(result) => {
                        let item = GetManyItem::new(input.key, result);
                        return Ok(Some((item, (Some(open), inputs, delivered + 1))));
                    }
                    None if delivered == 0 => {
                        return Err(open.ended_early(0, inputs.len() + 1));
                    }
                    None => {
                        let rest: Vec<Input> =
                            std::iter::once(input.clone()).chain(inputs.iter().cloned()).collect();
                        open = Open::send(&client, Some(&bucket), &rest, &params).await?;
                        delivered = 0;
                    }
                }
            }
        }
    });
    Ok(items.boxed())
}
