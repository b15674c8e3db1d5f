//! Test content: random bytes that are the same on every machine, and comparisons against them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use longshore_core_types::checksum::Hasher;
use longshore_core_types::{Checksum, ChecksumKind};

/// Blocks that are made, written or compared at once.
const BLOCK: usize = 1 << 20;

/// Fills `buffer` with the bytes that stand at `offset` (a multiple of 8) in the content named `seed`.
///
/// Every eight bytes depend on seed and position only (splitmix64), so any part can be made by itself.
pub(crate) fn fill(seed: u64, offset: u64, buffer: &mut [u8]) {
    let first = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(offset / 8);
    for (index, word) in buffer.chunks_mut(8).enumerate() {
        let mut x = first.wrapping_add(index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(x ^ (x >> 31)).to_le_bytes()[..word.len()]);
    }
}

/// Writes a file of `size` bytes.
pub(crate) fn create(path: &Path, seed: u64, size: u64) -> io::Result<()> {
    let file = File::create(path)?;
    let mut block = vec![0; step(size)];
    let mut offset = 0;
    while offset < size {
        let part = &mut block[..step(size - offset)];
        fill(seed, offset, part);
        file.write_all_at(part, offset)?;
        offset += part.len() as u64;
    }
    Ok(())
}

/// Bytes of each small object that the bench's own server serves.
pub(crate) const SMALL_SIZE: u64 = 4096;
/// Small objects in one directory.
const PER_DIR: u64 = 100;

/// Key of small object `number`.
pub(crate) fn small_name(number: u64) -> String {
    format!("d{:04}/f{number:06}", number / PER_DIR)
}

/// The same without directories.
pub(crate) fn flat_name(number: u64) -> String {
    format!("f{number:06}")
}

/// Directories of the first `count` small objects.
pub(crate) fn small_dirs(count: u64) -> impl Iterator<Item = String> {
    (0..count.div_ceil(PER_DIR)).map(|number| format!("d{number:04}"))
}

/// Writes `count` small objects below `root`.
pub(crate) fn create_small(root: &Path, count: u64) -> io::Result<()> {
    for dir in small_dirs(count) {
        std::fs::create_dir_all(root.join(dir))?;
    }
    for number in 0..count {
        create(&root.join(small_name(number)), number + 1, SMALL_SIZE)?;
    }
    Ok(())
}

/// Writes `count` objects of `size` bytes into one directory.
pub(crate) fn create_flat(dir: &Path, count: u64, size: u64) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    (0..count).try_for_each(|number| create(&dir.join(flat_name(number)), number + 1, size))
}

/// The checksum of a file.
pub(crate) fn checksum(path: &Path, kind: ChecksumKind) -> io::Result<Checksum> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hasher = Hasher::new(kind);
    let mut block = vec![0; BLOCK];
    let mut offset = 0;
    while offset < size {
        let part = &mut block[..step(size - offset)];
        file.read_exact_at(part, offset)?;
        hasher.update(part);
        offset += part.len() as u64;
    }
    Ok(hasher.finish())
}

/// Where two files differ first, in words; `None` if they hold the same bytes.
pub(crate) fn difference(left: &Path, right: &Path) -> io::Result<Option<String>> {
    let (one, other) = (File::open(left)?, File::open(right)?);
    let (left, right) = (left.display(), right.display());
    let size = one.metadata()?.len();
    let other_size = other.metadata()?.len();
    if size != other_size {
        return Ok(Some(format!("{left} has {size} bytes, {right} has {other_size} bytes")));
    }
    let mut blocks = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut offset = 0;
    while offset < size {
        let n = step(size - offset);
        let pair = (&mut blocks.0[..n], &mut blocks.1[..n]);
        one.read_exact_at(pair.0, offset)?;
        other.read_exact_at(pair.1, offset)?;
        if pair.0 != pair.1 {
            let at = pair.0.iter().zip(&*pair.1).position(|(one, other)| one != other).unwrap_or_default();
            return Ok(Some(format!("{left} and {right} differ at byte {}", offset + at as u64)));
        }
        offset += n as u64;
    }
    Ok(None)
}

/// The next block's length when `left` bytes remain.
fn step(left: u64) -> usize {
    usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_can_be_made_by_itself() {
        let mut whole = vec![0; 1000];
        fill(7, 0, &mut whole);
        let mut part = vec![0; 100];
        fill(7, 504, &mut part);
        assert_eq!(part, whole[504..604]);
        fill(8, 504, &mut part);
        assert_ne!(part, whole[504..604]);
    }

    #[test]
    fn differences_are_found_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        create(&a, 1, 3 << 20).unwrap();
        create(&b, 1, 3 << 20).unwrap();
        assert_eq!(difference(&a, &b).unwrap(), None);
        let file = File::options().write(true).open(&b).unwrap();
        let mut byte = [0];
        File::open(&a).unwrap().read_exact_at(&mut byte, 2_500_000).unwrap();
        file.write_all_at(&[byte[0] ^ 1], 2_500_000).unwrap();
        assert!(difference(&a, &b).unwrap().unwrap().ends_with("at byte 2500000"));
        file.set_len(5).unwrap();
        assert!(difference(&a, &b).unwrap().unwrap().ends_with("has 5 bytes"));
    }
}
