//! Many objects in one request.

mod described;

use std::{collections::VecDeque, fmt, future::IntoFuture, sync::Arc};

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
    fn push(mut self, object: &Object, member: Option<String>, start: u64, length: Option<u64>) -> Self {
        let (bucket, key) = (object.bucket().clone(), object.key().clone());
        self.inputs.push(Input { bucket, key, member, start, length });
        self
    }

    /// Adds an object.
    #[doc(alias = "add")]
    pub fn object(self, object: &Object) -> Self {
        self.push(object, None, 0, None)
    }

    /// Adds a member of the archive that an object is.
    pub fn member(self, object: &Object, path: impl Into<String>) -> Self {
        self.push(object, Some(path.into()), 0, None)
    }

    /// Adds a part of an object, from `start` on, to its end if no `length` is given.
    ///
    /// The cluster may deliver the whole object if the range lies outside of it. The item is an error then if its
    /// length is another than was asked for; without a `length`, or if the object happens to be as long, nothing tells.
    /// So ask for bytes that the object is known to have.
    pub fn range(self, object: &Object, start: u64, length: Option<u64>) -> Self {
        self.push(object, None, start, length)
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

    /// The archive itself, in any format, as the cluster sends it. Nothing is compared with what was asked for:
    /// it may end early with a valid end.
    pub async fn raw(mut self, format: ArchiveFormat) -> Result<ByteStream> {
        self.params.format = format;
        let answer = self.client.call(wire::get(self.bucket.as_ref(), &self.inputs, &self.params)?).await?;
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
            let open = Open::send(&client, bucket.as_ref(), &inputs, &params).await?;
            let state = (Some(open), VecDeque::from(inputs), 0_usize);
            let items = stream::unfold(state, |(open, mut inputs, index)| async move {
                let mut open = open?;
                let input = inputs.pop_front()?;
                let result = open.next(&input).await;
                let fatal = matches!(&result, Ok(None) | Err(_));
                let result = match result {
                    Ok(Some(result)) => result,
                    Ok(None) => Err(open.ended_early(index, index + 1 + inputs.len())),
                    Err(error) => Err(error),
                };
                let item = BatchItem { index, name: input.entry_name(), result };
                Some((item, ((!fatal).then_some(open), inputs, index + 1)))
            });
            Ok(items.boxed())
        })
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

    /// The entry of this input; `None` if the archive ends before it.
    async fn next(&mut self, input: &Input) -> Result<Option<Result<GetResult>>> {
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
        if let Some(length) = input.length.filter(|length| *length != entry.size) {
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
    let input = |key| Input { bucket: bucket.clone(), key, member: None, start: 0, length: None };
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
                match open.next(&input).await? {
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
