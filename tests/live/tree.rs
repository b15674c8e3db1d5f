//! Folders full of awkward files, and whether two of them are the same.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::Path,
};

/// Names that some layer between a file and an object may take for something else.
const ODD_NAMES: &[&str] = &[
    "plain.txt",
    "two words and  two spaces",
    " leading and trailing ",
    "percent%20encoded%2Fslash%",
    "plus+minus-under_score~tilde",
    "hash#fragment",
    "equals=and&ampersand;semicolon,comma",
    "at@colon-less$dollar!bang",
    "brackets[0](1){2}",
    "quote's`backtick^caret",
    ".hidden",
    "..two-dots-first",
    "three...dots...",
    "-rf",
    "~tilde",
    "\u{e9}-composed",
    "e\u{301}-decomposed",
    "\u{1f4e6}-\u{65e5}\u{672c}\u{8a9e}-\u{627}\u{644}\u{639}",
    "deep/er/and/still/deep er/file",
    "file.tar",
    "looks like/a.zip/but is a folder",
];

/// Further names, which other systems refuse.
#[cfg(unix)]
const UNIX_NAMES: &[&str] =
    &["question?mark=1&b=2", "star*glob", "back\\slash", "double\"quote", "less<more>|pipe", "a:b"];
#[cfg(not(unix))]
const UNIX_NAMES: &[&str] = &[];

/// Sizes around the bounds at which uploads change their way.
const SIZES: &[usize] = &[0, 1, 4095, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 1 << 20, (33 << 20) + 7];

/// Makes a folder with awkward names and sizes, and returns the names, with `/` between their parts.
pub(crate) fn make(root: &Path) -> io::Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> =
        ODD_NAMES.iter().chain(UNIX_NAMES).map(|name| (*name).to_owned()).collect();
    names.insert(format!("long/{}", "n".repeat(250)));
    names.insert(["a-folder-name-of-some-length"; 20].join("/"));
    for (index, name) in names.iter().enumerate() {
        write(&root.join(name), 100 + index)?;
    }
    for size in SIZES {
        let name = format!("sizes/{size}");
        write(&root.join(&name), *size)?;
        names.insert(name);
    }
    Ok(names)
}

/// Writes a file whose content depends on its size and repeats nowhere.
pub(crate) fn write(path: &Path, size: usize) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut random = fastrand::Rng::with_seed(size as u64);
    let mut file = File::create(path)?;
    let mut block = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let block = &mut block[..left.min(1 << 20)];
        random.fill(block);
        file.write_all(block)?;
        left -= block.len();
    }
    Ok(())
}

/// The names of all files below a folder, with `/` between their parts.
pub(crate) fn names(root: &Path) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            let below = path.strip_prefix(root).map_err(io::Error::other)?;
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            found.insert(parts.join("/"));
        }
    }
    Ok(found)
}

/// Whether two files hold the same bytes.
pub(crate) fn same(one: &Path, other: &Path) -> io::Result<bool> {
    if fs::metadata(one)?.len() != fs::metadata(other)?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(File::open(one)?), BufReader::new(File::open(other)?));
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let length = one.read(&mut left)?;
        if length == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..length])?;
        if left[..length] != right[..length] {
            return Ok(false);
        }
    }
}
