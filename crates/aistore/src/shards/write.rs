//! Writing samples as a set of shards.

use futures_core::Stream;
use futures_util::TryStreamExt;
use longshore_core_types::{Error, ErrorKind, Result};
use tokio::io::AsyncWriteExt;

use super::Sample;
use crate::{
    bucket::Bucket,
    names::invalid,
    object::ObjectWriter,
    tar::write::{END, header, length_of, padding},
};

impl Bucket {
    /// Writes samples as shards that are named by `prefix`, a number, and `.tar`: `train` gives `train-000000.tar`,
    /// `train-000001.tar` and so on.
    pub fn write_dataset(&self, prefix: impl Into<String>) -> WriteDataset {
        WriteDataset {
            bucket: self.clone(),
            prefix: prefix.into(),
            first: 0,
            digits: 6,
            most_samples: 100_000,
            most_bytes: 3 << 30,
            part_size: 8 << 20,
        }
    }
}

/// The writing of a set of shards; see [`Bucket::write_dataset`].
#[derive(Clone, Debug)]
#[must_use = "nothing is written until samples are"]
pub struct WriteDataset {
    bucket: Bucket,
    prefix: String,
    first: u64,
    digits: usize,
    most_samples: u64,
    most_bytes: u64,
    part_size: u64,
}

impl WriteDataset {
    /// Number of the first shard; 0 by default.
    pub fn first(mut self, number: u64) -> Self {
        self.first = number;
        self
    }

    /// Digits of the numbers; 6 by default.
    pub fn digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }

    /// Most samples of a shard; 100,000 by default.
    #[doc(alias = "maxcount")]
    pub fn samples_per_shard(mut self, samples: u64) -> Self {
        self.most_samples = samples;
        self
    }

    /// Most bytes of a shard; 3 GiB by default. A sample that is larger alone gets a shard of its own.
    #[doc(alias = "maxsize")]
    pub fn bytes_per_shard(mut self, bytes: u64) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// Bytes of the parts in which shards are sent; 8 MiB by default. Five of them are in memory.
    ///
    /// A shard of more than one part is stored in chunks. Its members can be read, but clusters do not list them.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes;
        self
    }

    /// A writer, to hand samples to one by one. Sends nothing yet.
    pub fn open(self) -> Result<ShardWriter> {
        if self.most_samples == 0 || self.most_bytes == 0 {
            return Err(invalid("a shard holds one sample of one byte at least"));
        }
        if self.digits == 0 || self.digits > 20 {
            return Err(invalid("the numbers of shards have 1 to 20 digits"));
        }
        // A bad name is found before the first sample is made.
        self.bucket.object(self.name(self.first))?;
        Ok(ShardWriter { next: self.first, settings: self, current: None, done: Vec::new() })
    }

    /// Writes all samples of a stream. An error, of the stream too, leaves the shards that are complete and nothing of
    /// the one that is not.
    pub async fn write(self, samples: impl Stream<Item = Result<Sample>>) -> Result<Vec<ShardInfo>> {
        let mut writer = self.open()?;
        let mut samples = std::pin::pin!(samples);
        loop {
            let result = match samples.try_next().await {
                Ok(Some(sample)) => writer.write(&sample).await,
                Ok(None) => return writer.finish().await,
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                return Err(match writer.abort().await {
                    Ok(()) => error,
                    Err(clean_up) => error.with_related(clean_up),
                });
            }
        }
    }

    fn name(&self, number: u64) -> String {
        format!("{}-{number:0width$}.tar", self.prefix, width = self.digits)
    }

    fn begin_shard(&self, number: u64) -> Result<(ObjectWriter, ShardInfo)> {
        let name = self.name(number);
        let writer = self.bucket.object(&name)?.writer();
        let writer = writer.part_size(self.part_size).threshold(self.part_size).open()?;
        Ok((writer, ShardInfo { name, samples: 0, bytes: END.len() as u64 }))
    }
}

/// A shard that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardInfo {
    /// Name of the object.
    pub name: String,
    /// Its samples.
    pub samples: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// Writes samples into shards; see [`WriteDataset::open`]. A shard is visible once it is complete.
///
/// Finish or abort it: dropping it leaves what was sent of the last shard at the cluster, invisible.
#[derive(Debug)]
#[must_use = "the last shard is written by `finish`"]
pub struct ShardWriter {
    settings: WriteDataset,
    next: u64,
    current: Option<(ObjectWriter, ShardInfo)>,
    done: Vec<ShardInfo>,
}

impl ShardWriter {
    /// Adds a sample, in a new shard if the current one has no room for it. `InvalidInput` for one that could not be
    /// read again as it is: without members, with two of one extension, or a `.` in the last part of its key.
    pub async fn write(&mut self, sample: &Sample) -> Result<()> {
        let names = check(sample)?;
        let files = names.iter().zip(&sample.members);
        let size: u64 = files.clone().map(|(name, (_, content))| length_of(name, content.len() as u64)).sum();
        let full = self.current.as_ref().is_some_and(|(_, info)| {
            info.samples >= self.settings.most_samples || info.bytes + size > self.settings.most_bytes
        });
        if full {
            self.end_shard().await?;
        }
        let (writer, info) = match &mut self.current {
            Some(current) => current,
            none => {
                let shard = self.settings.begin_shard(self.next)?;
                self.next += 1;
                none.insert(shard)
            }
        };
        for (name, (_, content)) in files {
            let length = content.len() as u64;
            let pieces = [&header(name, length)?[..], content, padding(length)];
            for piece in pieces {
                writer.write_all(piece).await.map_err(into_error)?;
            }
        }
        info.samples += 1;
        info.bytes += size;
        Ok(())
    }

    async fn end_shard(&mut self) -> Result<()> {
        let Some((mut writer, info)) = self.current.take() else { return Ok(()) };
        writer.write_all(&END).await.map_err(into_error)?;
        writer.finish().await?;
        self.done.push(info);
        Ok(())
    }

    /// Completes the last shard. Answers all that were written.
    pub async fn finish(mut self) -> Result<Vec<ShardInfo>> {
        self.end_shard().await?;
        Ok(self.done)
    }

    /// Gives the last shard up; those that are complete stay.
    pub async fn abort(mut self) -> Result<()> {
        match self.current.take() {
            Some((writer, _)) => writer.abort().await,
            None => Ok(()),
        }
    }
}

fn into_error(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(ErrorKind::Other, "the shard cannot be written").with_source(error),
    }
}

/// Names of the members, as they stand in the shard.
fn check(sample: &Sample) -> Result<Vec<String>> {
    let key = &sample.key;
    let fault = |why: &str| Err(invalid(format!("the sample {key:?} cannot be written: {why}")));
    if sample.members.is_empty() {
        return fault("it has no members");
    }
    let base = key.rsplit('/').next().unwrap_or_default();
    if base.is_empty() || base.contains('.') {
        return fault("the last part of its key is empty or contains `.`");
    }
    let mut names = Vec::with_capacity(sample.members.len());
    for (extension, content) in &sample.members {
        if extension.is_empty() || extension.contains('/') {
            return fault("an extension is empty or contains `/`");
        }
        let name = format!("{key}.{extension}");
        if names.contains(&name) {
            return fault("two members have one extension");
        }
        header(&name, content.len() as u64)?;
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_would_be_read_as_others_are_refused() {
        assert_eq!(check(&Sample::new("d/a").with("jpg", "x").with("seg.png", "y")).unwrap().len(), 2);
        for bad in [
            Sample::new("a"),
            Sample::new("").with("jpg", "x"),
            Sample::new("a.b").with("jpg", "x"),
            Sample::new("a/").with("jpg", "x"),
            Sample::new("../a").with("jpg", "x"),
            Sample::new("a").with("", "x"),
            Sample::new("a").with("b/c", "x"),
            Sample::new("a").with("jpg", "x").with("jpg", "y"),
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }
}
