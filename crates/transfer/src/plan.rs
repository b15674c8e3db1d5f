//! How an object is cut into parts.

use std::ops::Range;

use longshore_blob_api::{MultipartLimits, PartOrder};
use longshore_core_types::{Error, ErrorKind, Result};

pub(crate) const MIB: u64 = 1 << 20;

/// Parts of a download are not smaller than this by choice: below it the time to the first byte dominates.
const SMALLEST: u64 = 8 * MIB;
/// Nor larger, and no request brings more: one that is late is waited for at the end.
pub(crate) const LARGEST: u64 = 64 * MIB;
/// So many parts keep every connection busy and let slow ones fall behind without harm.
const AIMED_AT: u64 = 1024;
/// Of the parts that a service allows, use this share at most.
const HEADROOM: (u64, u64) = (19, 20);

/// How large parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartSize {
    /// 8 to 64 MiB, by the size of the object, the rules of the store and the size of its pieces. Downloads to files ask
    /// for several parts in one request, up to 64 MiB, where it takes long to be answered.
    #[default]
    Auto,
    /// This many bytes, as far as the rules of the store allow.
    Fixed(u64),
}

/// An object of `size` bytes in parts of `part` bytes; the last one is shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) size: u64,
    pub(crate) part: u64,
}

impl Plan {
    pub(crate) fn parts(self) -> u64 {
        self.size.div_ceil(self.part)
    }

    pub(crate) fn range(self, index: u64) -> Range<u64> {
        let start = index.saturating_mul(self.part).min(self.size);
        start..start.saturating_add(self.part).min(self.size)
    }
}

/// Size of the parts of a download of `size` bytes, from a store that keeps it in pieces of `chunk` bytes.
pub(crate) fn download_part(size: u64, wanted: PartSize, chunk: Option<u64>) -> u64 {
    match wanted {
        PartSize::Fixed(part) => part.max(1),
        PartSize::Auto => {
            let part = round_up(size / AIMED_AT, MIB).clamp(SMALLEST, LARGEST);
            match chunk {
                // A part that starts where a piece starts touches no piece twice.
                Some(chunk) if (1..=LARGEST).contains(&chunk) => {
                    round_up(part, chunk).min(LARGEST / chunk * chunk)
                }
                _ => part,
            }
        }
    }
}

/// Plan of an upload of `size` bytes within the rules of the store.
///
/// [`ErrorKind::InvalidInput`] if there is none: the object has more bytes than parts can hold.
pub(crate) fn upload_plan(size: u64, wanted: PartSize, limits: &MultipartLimits) -> Result<Plan> {
    let most_parts = u64::from(limits.max_parts).max(1);
    let comfortable = (most_parts * HEADROOM.0 / HEADROOM.1).max(1);
    let (low, high) = (limits.min_part.max(1), limits.max_part.max(1));
    let part = match wanted {
        PartSize::Fixed(part) => part.max(size.div_ceil(most_parts)),
        PartSize::Auto => round_up(size.div_ceil(comfortable), MIB).max(SMALLEST),
    };
    let plan = Plan { size, part: part.max(low).min(high) };
    if plan.parts() > most_parts || low > high {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{size} bytes do not fit into {most_parts} parts of at most {high} bytes"),
        ));
    }
    Ok(plan)
}

/// Sizes of the parts of an upload that is held in memory, part by part. If its end is not known, they grow so that the
/// parts suffice for long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growing {
    limits: MultipartLimits,
    wanted: PartSize,
    most: u64,
}

impl Growing {
    /// Parts of at most `most` bytes, since they are held in memory.
    ///
    /// [`ErrorKind::InvalidConfig`] if that is less than the store's smallest part.
    pub(crate) fn new(wanted: PartSize, limits: MultipartLimits, most: u64) -> Result<Self> {
        let most = most.min(limits.max_part);
        if most < limits.min_part {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "a memory budget that leaves {most} bytes for a part is too small: the store's parts have \
                     at least {} bytes",
                    limits.min_part
                ),
            ));
        }
        Ok(Self { limits, wanted, most })
    }

    /// The same for an object of `size` bytes, whose parts are all as large as they have to be.
    ///
    /// [`ErrorKind::InvalidInput`] if it does not fit into the parts that there are.
    pub(crate) fn sized(self, size: u64) -> Result<Self> {
        let mut limits = self.limits;
        limits.max_part = self.most;
        let plan = upload_plan(size, self.wanted, &limits).map_err(|_| {
            let parts = u64::from(self.limits.max_parts).max(1);
            let (most, needed) = (self.most, size.div_ceil(parts).saturating_mul(2));
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{size} bytes do not fit into {parts} parts of at most {most} bytes, which have to fit into half of \
                     the memory budget: it would have to be {needed} bytes at least"
                ),
            )
        })?;
        Ok(Self { wanted: PartSize::Fixed(plan.part), ..self })
    }

    /// Size of the part at this position.
    ///
    /// [`ErrorKind::InvalidInput`] if the store takes no more parts.
    pub(crate) fn part(self, index: u64) -> Result<u64> {
        if index >= u64::from(self.limits.max_parts) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the stream is longer than {} parts of up to {} bytes, the most that the store takes; \
                     a larger part size or memory budget makes room",
                    self.limits.max_parts, self.most
                ),
            ));
        }
        let first = match self.wanted {
            PartSize::Fixed(part) => part,
            PartSize::Auto => SMALLEST,
        };
        let fixed = self.limits.equal_parts || self.limits.part_order == PartOrder::InOrder;
        let doublings = if fixed || self.wanted != PartSize::Auto { 0 } else { (index / 1000).min(32) };
        Ok((first << doublings).clamp(self.limits.min_part.max(1), self.most))
    }
}

fn round_up(value: u64, to: u64) -> u64 {
    value.div_ceil(to).saturating_mul(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes around every boundary that matters, and many arbitrary ones.
    fn sizes() -> impl Iterator<Item = u64> {
        let edges = (0..44).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        let mut random = fastrand::Rng::with_seed(7);
        edges.chain(std::iter::repeat_with(move || random.u64(..) >> random.u32(16..64)).take(2000))
    }

    fn limits(min: u64, max: u64, parts: u32) -> MultipartLimits {
        let mut limits = MultipartLimits::default();
        (limits.min_part, limits.max_part, limits.max_parts) = (min, max, parts);
        limits
    }

    #[test]
    fn parts_cover_every_byte_once() {
        for size in sizes().filter(|size| *size < 1 << 40) {
            let plan = Plan { size, part: download_part(size, PartSize::Auto, None) };
            let mut at = 0;
            for index in 0..plan.parts() {
                let range = plan.range(index);
                assert_eq!(range.start, at);
                assert!(range.end > at && range.end - at <= plan.part);
                at = range.end;
            }
            assert_eq!(at, size);
        }
    }

    #[test]
    fn downloads_are_aligned_and_within_bounds() {
        for size in sizes() {
            for chunk in [1, 4096, 3 * MIB, 5 * MIB, 10 * MIB, 33 * MIB, 50 * MIB, 64 * MIB] {
                let part = download_part(size, PartSize::Auto, Some(chunk));
                assert_eq!(part % chunk, 0, "{size} {chunk}");
                assert!((SMALLEST..=LARGEST).contains(&part), "{size} {chunk}: {part}");
            }
            for chunk in [None, Some(0), Some(LARGEST + 1), Some(u64::MAX)] {
                let part = download_part(size, PartSize::Auto, chunk);
                assert!((SMALLEST..=LARGEST).contains(&part));
            }
        }
    }

    #[test]
    fn uploads_keep_the_rules_or_are_refused() {
        for rules in [limits(5 * MIB, 5 << 30, 10_000), limits(1, 100 * MIB, 50), limits(6 * MIB, 6 * MIB, 9)]
        {
            for size in sizes() {
                for wanted in [PartSize::Auto, PartSize::Fixed(1), PartSize::Fixed(20 * MIB)] {
                    let room = u128::from(rules.max_part) * u128::from(rules.max_parts);
                    match upload_plan(size, wanted, &rules) {
                        Ok(plan) => {
                            assert!(plan.parts() <= u64::from(rules.max_parts), "{size} {wanted:?}");
                            assert!((rules.min_part..=rules.max_part).contains(&plan.part));
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::InvalidInput);
                            assert!(u128::from(size) > room, "{size} would fit");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_fixed_size_is_kept_while_it_can_be() {
        let rules = MultipartLimits::default();
        assert_eq!(upload_plan(100 * MIB, PartSize::Fixed(20 * MIB), &rules).unwrap().part, 20 * MIB);
        assert_eq!(upload_plan(100 * MIB, PartSize::Fixed(1), &rules).unwrap().part, 5 * MIB);
        assert_eq!(download_part(100 * MIB, PartSize::Fixed(3), Some(MIB)), 3);
    }

    #[test]
    fn growing_parts_stay_within_memory() {
        let grow = Growing::new(PartSize::Auto, MultipartLimits::default(), 32 * MIB).unwrap();
        assert_eq!(grow.part(0).unwrap(), 8 * MIB);
        assert_eq!(grow.part(1000).unwrap(), 16 * MIB);
        assert_eq!(grow.part(9999).unwrap(), 32 * MIB);
        assert_eq!(grow.part(10_000).unwrap_err().kind(), ErrorKind::InvalidInput);
        let small = Growing::new(PartSize::Auto, MultipartLimits::default(), MIB);
        assert_eq!(small.unwrap_err().kind(), ErrorKind::InvalidConfig);
        let mut equal = MultipartLimits::default();
        equal.equal_parts = true;
        let grow = Growing::new(PartSize::Auto, equal, 32 * MIB).unwrap();
        assert_eq!(grow.part(9999).unwrap(), 8 * MIB);
    }
}
