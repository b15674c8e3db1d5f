//! Several ranges of one object.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{ByteRange, Error, ErrorKind, ObjectKey, ObjectMeta, Result};

use super::fetch::Fetch;
use crate::{BlobStore, GetOptions, Pin};

/// Settings of [`get_ranges`](crate::BlobStoreExt::get_ranges).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangesOptions {
    /// Ranges with at most so many bytes between them are asked for in one request; 256 KiB by default. With 0
    /// only ranges that touch or overlap are.
    pub gap: u64,
    /// Most bytes that ranges are merged into; 8 MiB by default. A single longer range stays whole.
    pub max_merged: u64,
    /// Most requests at once; 8 by default.
    pub concurrency: usize,
    /// How often each request is taken up again behind its last byte when its body breaks; 3 by default.
    pub resumes: u32,
    /// The version to read; the current one by default.
    pub pin: Option<Pin>,
}

impl Default for RangesOptions {
    fn default() -> Self {
        Self { gap: 256 << 10, max_merged: 8 << 20, concurrency: 8, resumes: 3, pin: None }
    }
}

impl RangesOptions {
    /// Sets how near ranges must be to share a request, in bytes.
    #[must_use]
    pub fn with_gap(mut self, bytes: u64) -> Self {
        self.gap = bytes;
        self
    }

    /// Bounds what ranges are merged into, in bytes.
    #[must_use]
    pub fn with_max_merged(mut self, bytes: u64) -> Self {
        self.max_merged = bytes;
        self
    }

    /// Bounds the requests that are under way at once.
    #[must_use]
    pub fn with_concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// Sets how often a broken body is taken up again.
    #[must_use]
    pub fn with_resumes(mut self, times: u32) -> Self {
        self.resumes = times;
        self
    }

    /// Reads this version.
    #[must_use]
    pub fn with_pin(mut self, pin: Pin) -> Self {
        self.pin = Some(pin);
        self
    }
}

pub(super) async fn get_ranges<S: BlobStore + Clone>(
    store: &S,
    key: &ObjectKey,
    ranges: &[Range<u64>],
    opts: RangesOptions,
) -> Result<Vec<Bytes>> {
    for range in ranges {
        let opts = GetOptions::default().with_range(range.clone());
        store.capability().check_get(&opts)?;
    }
    if opts.concurrency == 0 {
        return Err(Error::new(ErrorKind::InvalidInput, "ranges cannot be read with zero requests at once"));
    }
    let merged = merge(ranges, opts.gap, opts.max_merged);
    let parts: Vec<Part> = stream::iter(merged.clone())
        .map(|range| fetch(store, key, range, &opts))
        .buffered(opts.concurrency)
        .try_collect()
        .await?;
    if let Some((first, rest)) = parts.split_first()
        && rest.iter().any(|part| !Pin::from(&first.meta).matches(&part.meta))
    {
        let message = format!("{key:?} changed while ranges of it were read");
        return Err(Error::new(ErrorKind::PreconditionFailed, message));
    }
    ranges.iter().map(|range| cut(&merged, &parts, range)).collect()
}

/// The answer to one request.
struct Part {
    meta: ObjectMeta,
    data: Bytes,
}

async fn fetch<S: BlobStore + Clone>(
    store: &S,
    key: &ObjectKey,
    range: Range<u64>,
    opts: &RangesOptions,
) -> Result<Part> {
    let mut fetch = Fetch::range(store.clone(), key.clone(), range, opts.pin.clone(), opts.resumes);
    let data = collect(&mut fetch).await?;
    let meta = fetch.into_meta().ok_or_else(|| Error::new(ErrorKind::Other, "no answer was read"))?;
    Ok(Part { meta, data })
}

/// A body in one chunk is not copied.
async fn collect<S: BlobStore + Clone>(fetch: &mut Fetch<S>) -> Result<Bytes> {
    let Some(first) = fetch.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = fetch.try_next().await? else { return Ok(first) };
    let mut data = BytesMut::from(first);
    data.extend_from_slice(&second);
    while let Some(chunk) = fetch.try_next().await? {
        data.extend_from_slice(&chunk);
    }
    Ok(data.freeze())
}

/// The fewest requests that cover all ranges by the rules, in ascending order.
fn merge(ranges: &[Range<u64>], gap: u64, most: u64) -> Vec<Range<u64>> {
    let mut sorted: Vec<_> = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            // A range inside another one costs nothing.
            Some(last) if range.end <= last.end => {}
            Some(last) if range.start <= last.end.saturating_add(gap) && range.end - last.start <= most => {
                last.end = range.end;
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// The bytes of `range`, which one of the requests covers.
fn cut(merged: &[Range<u64>], parts: &[Part], range: &Range<u64>) -> Result<Bytes> {
    let covers = |request: &Range<u64>| request.start <= range.start && range.end <= request.end;
    let found = merged.iter().zip(parts).find(|(request, _)| covers(request));
    let (request, part) = found
        .ok_or_else(|| Error::new(ErrorKind::Other, format!("no request covers the range {range:?}")))?;
    let inside = ByteRange::from(range.clone()).resolve(part.meta.size)?;
    // The part lies in memory, so positions in it are `usize`s.
    let at = |position: u64| usize::try_from(position - request.start).unwrap_or(usize::MAX);
    Ok(part.data.slice(at(inside.start)..at(inside.end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(ranges: &[(u64, u64)], gap: u64, most: u64) -> Vec<(u64, u64)> {
        let ranges: Vec<_> = ranges.iter().map(|(start, end)| *start..*end).collect();
        merge(&ranges, gap, most).into_iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn near_ranges_share_a_request() {
        assert_eq!(merged(&[(10, 20), (0, 5), (25, 30)], 5, 100), [(0, 30)]);
        assert_eq!(merged(&[(0, 5), (10, 20), (26, 30)], 5, 100), [(0, 20), (26, 30)]);
        assert_eq!(merged(&[(0, 5), (5, 10)], 0, 100), [(0, 10)]);
        assert_eq!(merged(&[(0, 5), (6, 10)], 0, 100), [(0, 5), (6, 10)]);
    }

    #[test]
    fn merging_stops_at_the_bound() {
        assert_eq!(merged(&[(0, 60), (60, 120), (120, 130)], 5, 100), [(0, 60), (60, 130)]);
        assert_eq!(merged(&[(0, 500), (10, 20)], 5, 100), [(0, 500)], "a long range stays whole");
    }

    #[test]
    fn overlapping_and_equal_ranges_are_read_once() {
        assert_eq!(merged(&[(3, 8), (0, 5), (3, 8), (4, 5)], 0, 100), [(0, 8)]);
    }
}
