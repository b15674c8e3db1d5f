//! Samples of many shards, as a stream.

use futures_core::{Stream, stream::BoxStream};
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_blob_api::{BlobStore, Entry, ListOptions, PageToken};
use longshore_core_types::{Error, ErrorKind, Result};

use super::{Sample, ShardReader, split_name};
use crate::{
    bucket::Bucket,
    collection::Collection,
    names::invalid,
    object::{ArchiveFormat, Object},
};

impl Bucket {
    /// The samples of these shards.
    pub fn samples(&self, shards: Collection) -> Samples {
        Samples {
            bucket: self.clone(),
            shards,
            concurrency: 1,
            shuffle: None,
            missing_ok: false,
            largest: 256 << 20,
        }
    }
}

/// A read of the samples of many shards; see [`Bucket::samples`].
///
/// ```no_run
/// # async fn example(bucket: longshore_aistore::Bucket) -> longshore_core_types::Result<()> {
/// use futures_util::TryStreamExt;
///
/// let shards = "train-{000000..000099}.tar".parse()?;
/// let mut samples = bucket.samples(shards).shuffle(7).concurrency(4).stream()?;
/// while let Some(sample) = samples.try_next().await? {
///     let (image, label) = (sample.get("jpg"), sample.get("cls"));
/// #   let _ = (image, label);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read until it is streamed"]
pub struct Samples {
    bucket: Bucket,
    shards: Collection,
    concurrency: usize,
    shuffle: Option<u64>,
    missing_ok: bool,
    largest: u64,
}

impl Samples {
    /// How many shards are read at once; 1 by default. With more, samples of several shards come mixed, each shard's own
    /// in order.
    pub fn concurrency(mut self, shards: usize) -> Self {
        self.concurrency = shards;
        self
    }

    /// Visits the shards in an order that depends on this number only. Their names are held in memory.
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// Whether a shard that does not exist is fine.
    pub fn missing_ok(mut self, ok: bool) -> Self {
        self.missing_ok = ok;
        self
    }

    /// Most bytes of a sample; 256 MiB by default. A larger one is an error (`Protocol`).
    pub fn largest_sample(mut self, bytes: u64) -> Self {
        self.largest = bytes;
        self
    }

    /// The samples. One of each shard that is being read is in memory. Ends after the first error.
    pub fn stream(self) -> Result<BoxStream<'static, Result<Sample>>> {
        if self.concurrency == 0 {
            return Err(invalid("samples are read from one shard at a time at least"));
        }
        let (bucket, missing_ok, largest) = (self.bucket.clone(), self.missing_ok, self.largest);
        let shards = self.shards();
        let samples = shards.map_ok(move |name| match bucket.object(&name) {
            Ok(object) => of_shard(object, missing_ok, largest).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        });
        let concurrency = self.concurrency;
        let mixed = if concurrency == 1 {
            samples.try_flatten().boxed()
        } else {
            samples.try_flatten_unordered(concurrency).boxed()
        };
        // What other shards still deliver after an error is nobody's business.
        Ok(mixed
            .scan(false, |failed, sample| {
                let item = (!*failed).then_some(sample);
                *failed |= matches!(item, Some(Err(_)));
                std::future::ready(item)
            })
            .boxed())
    }

    /// Names of the shards.
    fn shards(&self) -> BoxStream<'static, Result<String>> {
        let names = match self.shards.names() {
            Some(names) if self.shuffle.is_some() => stream::iter(names.map(Ok).collect::<Vec<_>>()).boxed(),
            Some(_) => {
                let shards = self.shards.clone();
                let mut at = 0;
                stream::iter(std::iter::from_fn(move || {
                    at += 1;
                    shards.name_at(at - 1).map(Ok)
                }))
                .boxed()
            }
            None => self.listed(),
        };
        let Some(seed) = self.shuffle else { return names };
        stream::once(async move {
            let mut names: Vec<String> = names.try_collect().await?;
            fastrand::Rng::with_seed(seed).shuffle(&mut names);
            Ok::<_, Error>(stream::iter(names.into_iter().map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    /// Archives that start with a prefix.
    fn listed(&self) -> BoxStream<'static, Result<String>> {
        let (store, prefix) = (self.bucket.store(), self.shards.to_string());
        let options = ListOptions::prefix(prefix.trim_end_matches('*'));
        // A page at a time, so that the stream owns the store.
        let pages = stream::try_unfold(Some(None), move |token: Option<Option<PageToken>>| {
            let (store, options) = (store.clone(), options.clone());
            async move {
                let Some(token) = token else { return Ok(None) };
                let page = store.list_page(&options, token).await?;
                Ok::<_, Error>(Some((page.entries, page.next.map(Some))))
            }
        });
        let entries = pages.map_ok(|entries| stream::iter(entries.into_iter().map(Ok::<_, Error>)));
        let names = entries.try_flatten().try_filter_map(|entry| {
            let name = match entry {
                Entry::Object(meta) if ArchiveFormat::from_name(meta.key.as_str()).is_some() => {
                    Some(meta.key.to_string())
                }
                _ => None,
            };
            std::future::ready(Ok(name))
        });
        names.boxed()
    }
}

struct State {
    object: Object,
    reader: Option<ShardReader>,
    /// What was begun of the next sample.
    next: Option<Sample>,
    ended: bool,
}

fn of_shard(
    object: Object,
    missing_ok: bool,
    largest: u64,
) -> impl Stream<Item = Result<Sample>> + Send + 'static {
    let state = State { object, reader: None, next: None, ended: false };
    stream::try_unfold(state, move |mut state| async move {
        if state.ended {
            return Ok(None);
        }
        if state.reader.is_none() {
            state.reader = match state.object.open_shard().await {
                Ok(reader) => Some(reader),
                Err(error) if missing_ok && error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        let sample = state.sample(largest).await?;
        Ok(sample.map(|sample| (sample, state)))
    })
}

impl State {
    async fn sample(&mut self, largest: u64) -> Result<Option<Sample>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let shard = self.object.key().as_str();
        let fault = |message: String| {
            let resource = self.object.bucket().object_resource(self.object.key());
            Err(Error::new(ErrorKind::Protocol, message).with_resource(resource))
        };
        let mut sample = self.next.take();
        let mut size = sample.as_ref().map_or(0, Sample::size);
        loop {
            let Some(member) = reader.next_member().await? else {
                self.ended = true;
                return Ok(sample);
            };
            let (key, extension) = split_name(&member.name);
            let same = sample.as_ref().is_some_and(|sample| sample.key == key);
            size = if same { size + member.size } else { member.size };
            if size > largest {
                return fault(format!("the sample {key:?} has more than {largest} bytes"));
            }
            let content = reader.read(largest).await?;
            match &mut sample {
                Some(sample) if same => {
                    if sample.get(extension).is_some() {
                        return fault(format!("{} is there twice", member.name));
                    }
                    sample.members.push((extension.to_owned(), content));
                }
                _ => {
                    let mut begun = Sample::new(key).with(extension, content);
                    shard.clone_into(&mut begun.shard);
                    if let Some(done) = sample.replace(begun) {
                        self.next = sample;
                        return Ok(Some(done));
                    }
                }
            }
        }
    }
}
