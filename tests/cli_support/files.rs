//! Trees of files with known content.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Bytes that look like nothing and are always the same.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Writes a file of noise and returns its path.
pub(crate) fn random_file(path: impl Into<PathBuf>, size: usize) -> PathBuf {
    let path = path.into();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("folder");
    }
    fs::write(&path, noise(size as u64 + 1, size)).expect("file");
    path
}

/// A small tree with all that is awkward about names and sizes.
pub(crate) fn tree(root: &Path) {
    for (name, size) in [
        ("a.txt", 10),
        ("empty", 0),
        ("with space and ümläut.txt", 100),
        ("sub/b.bin", 70_000),
        ("sub/deep/er/c", 1),
        ("sub/#?%25.txt", 20),
        (".hidden", 3),
        ("big.bin", 3_000_000),
    ] {
        random_file(root.join(name), size);
    }
}

/// All files below a folder, with their bytes.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below the root").to_owned();
                files.insert(name, fs::read(&path).expect("file"));
            }
        }
    }
    files
}

/// Compares two trees byte for byte.
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (snapshot(one), snapshot(other));
    assert!(!one.is_empty(), "an empty tree shows nothing");
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, bytes) in one {
        assert!(bytes == other[&name], "{} differs", name.display());
    }
}
