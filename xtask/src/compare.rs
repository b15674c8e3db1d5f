//! Compares two folders byte for byte.
//!
//! What counts is what an object store can hold: files, by relative path and content. Symbolic links are
//! followed, as a copy does. Empty folders hold nothing to compare.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const CHUNK: usize = 64 * 1024;

/// What two folders have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// One way in which the copy is not the original.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Only the original has it.
    Missing(PathBuf),
    /// Only the copy has it.
    Extra(PathBuf),
    /// Different lengths, in bytes: original, copy.
    Size(PathBuf, u64, u64),
    /// The same length, but the byte at this offset differs.
    Content(PathBuf, u64),
    /// Neither a file nor a folder, even after following links: a broken link, a socket, a device.
    NotAFile(PathBuf),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "missing in the copy: {}", path.display()),
            Self::Extra(path) => write!(f, "only in the copy: {}", path.display()),
            Self::Size(path, original, copy) => {
                write!(f, "different size: {} ({original} bytes, the copy has {copy})", path.display())
            }
            Self::Content(path, offset) => {
                write!(f, "different content: {} (first at byte {offset})", path.display())
            }
            Self::NotAFile(path) => write!(f, "neither file nor folder: {}", path.display()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File(u64),
    Other,
}

/// Compares every file below `original` with the one of the same relative path below `copy`.
pub(crate) fn compare(original: &Path, copy: &Path) -> io::Result<(Matched, Vec<Difference>)> {
    let left = walk(original)?;
    let mut right = walk(copy)?;
    let mut matched = Matched::default();
    let mut differences = Vec::new();
    for (path, kind) in left {
        let difference = match (kind, right.remove(&path)) {
            (Kind::Other, _) | (_, Some(Kind::Other)) => Some(Difference::NotAFile(path)),
            (Kind::File(_), None) => Some(Difference::Missing(path)),
            (Kind::File(size), Some(Kind::File(other))) if size != other => {
                Some(Difference::Size(path, size, other))
            }
            (Kind::File(size), Some(Kind::File(_))) => {
                match first_difference(&original.join(&path), &copy.join(&path))? {
                    None => {
                        matched.files += 1;
                        matched.bytes += size;
                        None
                    }
                    Some(offset) => Some(Difference::Content(path, offset)),
                }
            }
        };
        differences.extend(difference);
    }
    differences.extend(right.into_keys().map(Difference::Extra));
    Ok((matched, differences))
}

fn walk(root: &Path) -> io::Result<BTreeMap<PathBuf, Kind>> {
    let mut found = BTreeMap::new();
    let root_real = fs::canonicalize(root).map_err(|error| at(root, &error))?;
    walk_into(root, Path::new(""), &mut vec![root_real], &mut found)?;
    Ok(found)
}

/// `above` holds the real paths of the folders we are in: meeting one again means that a link goes round.
fn walk_into(
    root: &Path,
    relative: &Path,
    above: &mut Vec<PathBuf>,
    found: &mut BTreeMap<PathBuf, Kind>,
) -> io::Result<()> {
    let dir = root.join(relative);
    for entry in fs::read_dir(&dir).map_err(|error| at(&dir, &error))? {
        let relative = relative.join(entry.map_err(|error| at(&dir, &error))?.file_name());
        let path = root.join(&relative);
        let kind = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                let real = fs::canonicalize(&path).map_err(|error| at(&path, &error))?;
                if above.contains(&real) {
                    return Err(io::Error::other(format!("symbolic links go round at {}", path.display())));
                }
                above.push(real);
                walk_into(root, &relative, above, found)?;
                above.pop();
                continue;
            }
            Ok(metadata) if metadata.is_file() => Kind::File(metadata.len()),
            Ok(_) => Kind::Other,
            // The folder has just listed it, so it is a link to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kind::Other,
            Err(error) => return Err(at(&path, &error)),
        };
        found.insert(relative, kind);
    }
    Ok(())
}

/// The offset of the first byte in which two files differ. A file that ends early differs there.
fn first_difference(left: &Path, right: &Path) -> io::Result<Option<u64>> {
    let mut a = File::open(left).map_err(|error| at(left, &error))?;
    let mut b = File::open(right).map_err(|error| at(right, &error))?;
    let (mut chunk_a, mut chunk_b) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut offset = 0;
    loop {
        let read_a = read_full(&mut a, &mut chunk_a).map_err(|error| at(left, &error))?;
        let read_b = read_full(&mut b, &mut chunk_b).map_err(|error| at(right, &error))?;
        let (got_a, got_b) = (&chunk_a[..read_a], &chunk_b[..read_b]);
        if got_a != got_b {
            let same = got_a.iter().zip(got_b).take_while(|(x, y)| x == y).count();
            return Ok(Some(offset + same as u64));
        }
        if read_a < CHUNK {
            return Ok(None);
        }
        offset += CHUNK as u64;
    }
}

/// Fills `buffer` as far as the file goes.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Scratch;

    /// Two folders, each a list of paths and contents.
    fn folders(original: &[(&str, &[u8])], copy: &[(&str, &[u8])]) -> Scratch {
        let scratch = Scratch::new(&std::env::temp_dir(), "compare").expect("a temporary folder");
        for (side, files) in [("a", original), ("b", copy)] {
            fs::create_dir(scratch.path().join(side)).expect("new folder");
            for (name, content) in files {
                let path = scratch.path().join(side).join(name);
                fs::create_dir_all(path.parent().expect("below the folder")).expect("folder");
                fs::write(path, content).expect("file");
            }
        }
        scratch
    }

    fn differences(scratch: &Scratch) -> (Matched, Vec<Difference>) {
        compare(&scratch.path().join("a"), &scratch.path().join("b")).expect("readable")
    }

    #[test]
    fn equal_folders_match_in_files_and_bytes() {
        let files: &[(&str, &[u8])] = &[("x", b"12"), ("sub/deep/.hidden", b"345"), ("empty", b"")];
        let scratch = folders(files, files);
        assert_eq!(differences(&scratch), (Matched { files: 3, bytes: 5 }, vec![]));
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let scratch = folders(
            &[("same", b"1"), ("missing", b"1"), ("longer", b"123"), ("changed", b"abc"), ("sub/m", b"")],
            &[("same", b"1"), ("extra", b"1"), ("longer", b"12"), ("changed", b"abX"), ("sub/e", b"")],
        );
        let (matched, found) = differences(&scratch);
        assert_eq!(matched, Matched { files: 1, bytes: 1 });
        let expected = [
            Difference::Content("changed".into(), 2),
            Difference::Size("longer".into(), 3, 2),
            Difference::Missing("missing".into()),
            Difference::Missing("sub/m".into()),
            Difference::Extra("extra".into()),
            Difference::Extra("sub/e".into()),
        ];
        assert_eq!(found, expected);
        assert_eq!(found[0].to_string(), "different content: changed (first at byte 2)");
    }

    #[test]
    fn a_wrong_byte_is_found_wherever_it_is() {
        let original = vec![7; CHUNK * 2 + 10];
        for offset in [0, CHUNK - 1, CHUNK, CHUNK * 2, CHUNK * 2 + 9] {
            let mut copy = original.clone();
            copy[offset] = 8;
            let scratch = folders(&[("f", &original)], &[("f", &copy)]);
            assert_eq!(differences(&scratch).1, [Difference::Content("f".into(), offset as u64)]);
        }
    }

    #[test]
    fn a_file_in_place_of_a_folder_is_both_missing_and_extra() {
        let scratch = folders(&[("x/y", b"1")], &[("x", b"1")]);
        let expected = [Difference::Missing("x/y".into()), Difference::Extra("x".into())];
        assert_eq!(differences(&scratch).1, expected);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_that_names_it() {
        let scratch = folders(&[], &[]);
        let error = compare(&scratch.path().join("a"), &scratch.path().join("nowhere")).expect_err("absent");
        assert!(error.to_string().contains("nowhere"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_count_as_what_they_lead_to() {
        use std::os::unix::fs::symlink;
        let scratch = folders(&[("real/f", b"1")], &[("real/f", b"1"), ("dir/f", b"1"), ("file", b"1")]);
        symlink("real", scratch.path().join("a/dir")).expect("link");
        symlink("real/f", scratch.path().join("a/file")).expect("link");
        assert_eq!(differences(&scratch), (Matched { files: 3, bytes: 3 }, vec![]));

        symlink("nothing", scratch.path().join("a/broken")).expect("link");
        assert_eq!(differences(&scratch).1, [Difference::NotAFile("broken".into())]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_go_round_are_an_error() {
        let scratch = folders(&[("sub/f", b"1")], &[]);
        std::os::unix::fs::symlink("..", scratch.path().join("a/sub/up")).expect("link");
        let error = compare(&scratch.path().join("a"), &scratch.path().join("b")).expect_err("a loop");
        assert!(error.to_string().contains("go round"), "{error}");
    }
}
