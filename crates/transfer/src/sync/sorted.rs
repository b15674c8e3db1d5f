//! A listing that has no order, put in the order of its names.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    time::SystemTime,
};

use longshore_core_types::{Checksum, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::listing::Entry;

/// About so many bytes of entries are sorted in memory.
const MEMORY: usize = 8 << 20;

/// So many sorted files are merged into one, so that there are never many.
const FILES: usize = 32;

/// What an entry takes beside its name, about.
const ENTRY: usize = 128;

/// An entry, as it lies in a file.
#[derive(Serialize, Deserialize)]
struct Saved {
    name: String,
    size: u64,
    modified: Option<SystemTime>,
    /// Kind and value in hexadecimal digits.
    checksums: Vec<(String, String)>,
}

impl Saved {
    fn new(entry: Entry) -> Self {
        let checksums = entry.checksums.iter().map(|sum| (sum.kind().to_string(), sum.to_hex())).collect();
        // A time before 1970 cannot be written, and says nothing that could be compared.
        let modified = entry.modified.filter(|time| *time >= SystemTime::UNIX_EPOCH);
        Self { name: entry.name, size: entry.size, modified, checksums }
    }

    fn entry(self) -> Result<Entry> {
        let checksum = |(kind, hex): (String, String)| Checksum::from_hex(kind.parse()?, &hex);
        let checksums = self.checksums.into_iter().map(checksum).collect::<Result<_>>()?;
        Ok(Entry { name: self.name, size: self.size, modified: self.modified, checksums })
    }
}

/// Takes entries in any order. Those that do not fit into memory wait, sorted, in temporary files without names.
#[derive(Debug)]
pub(super) struct Sorter {
    memory: Vec<Entry>,
    bytes: usize,
    most: usize,
    files: Vec<Sorted>,
}

impl Default for Sorter {
    fn default() -> Self {
        Self::within(MEMORY)
    }
}

impl Sorter {
    fn within(most: usize) -> Self {
        Self { memory: Vec::new(), bytes: 0, most, files: Vec::new() }
    }

    pub(super) fn push(&mut self, entry: Entry) -> Result<()> {
        self.bytes += entry.name.len() + ENTRY;
        self.memory.push(entry);
        if self.bytes < self.most {
            return Ok(());
        }
        self.bytes = 0;
        self.memory.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let memory = std::mem::take(&mut self.memory);
        self.files.push(write(memory.into_iter().map(Ok))?);
        if self.files.len() == FILES {
            let merged = write(Merged::new(std::mem::take(&mut self.files), Vec::new())?)?;
            self.files.push(merged);
        }
        Ok(())
    }

    /// All of them, by name.
    pub(super) fn sorted(mut self) -> Result<impl Iterator<Item = Result<Entry>>> {
        self.memory.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Merged::new(self.files, self.memory)
    }
}

/// Entries in a file, by name.
#[derive(Debug)]
struct Sorted {
    file: BufReader<File>,
    left: u64,
}

fn write(entries: impl Iterator<Item = Result<Entry>>) -> Result<Sorted> {
    let mut file = BufWriter::new(tempfile::tempfile().map_err(failed)?);
    let mut left = 0;
    for entry in entries {
        left += 1;
        let saved = serde_json::to_vec(&Saved::new(entry?)).map_err(|error| failed(error.into()))?;
        let length = u32::try_from(saved.len()).map_err(|error| failed(io::Error::other(error)))?;
        file.write_all(&length.to_le_bytes()).map_err(failed)?;
        file.write_all(&saved).map_err(failed)?;
    }
    let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.rewind().map_err(failed)?;
    Ok(Sorted { file: BufReader::new(file), left })
}

impl Sorted {
    fn read(&mut self) -> io::Result<Option<Saved>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut length = [0; 4];
        self.file.read_exact(&mut length)?;
        let mut saved = vec![0; u32::from_le_bytes(length) as usize];
        self.file.read_exact(&mut saved)?;
        Ok(Some(serde_json::from_slice(&saved)?))
    }
}

impl Iterator for Sorted {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.read().map_err(failed).transpose()?.and_then(Saved::entry))
    }
}

/// Sorted entries from several places as one.
struct Merged {
    files: Vec<Sorted>,
    memory: std::vec::IntoIter<Entry>,
    /// The next name of each place, by which the next entry is found; the place behind the last file is the memory.
    next: BinaryHeap<Reverse<(String, usize)>>,
    entries: Vec<Option<Entry>>,
}

impl Merged {
    fn new(files: Vec<Sorted>, memory: Vec<Entry>) -> Result<Self> {
        let places = files.len() + 1;
        let entries = (0..places).map(|_| None).collect();
        let mut this = Self { files, memory: memory.into_iter(), next: BinaryHeap::new(), entries };
        (0..places).try_for_each(|place| this.advance(place))?;
        Ok(this)
    }

    fn advance(&mut self, place: usize) -> Result<()> {
        let entry = match self.files.get_mut(place) {
            Some(file) => file.next().transpose()?,
            None => self.memory.next(),
        };
        if let Some(entry) = entry {
            self.next.push(Reverse((entry.name.clone(), place)));
            self.entries[place] = Some(entry);
        }
        Ok(())
    }
}

impl Iterator for Merged {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, place)) = self.next.pop()?;
        let entry = self.entries[place].take()?;
        Some(self.advance(place).map(|()| entry))
    }
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::LocalIo, "cannot sort a listing in temporary files").with_source(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_core_types::ChecksumKind;

    use super::*;

    fn entry(name: String) -> Entry {
        Entry {
            size: name.len() as u64,
            modified: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_264_535_123)),
            checksums: vec![Checksum::from_hex(ChecksumKind::Md5, &"0f".repeat(16)).unwrap()],
            name,
        }
    }

    #[test]
    fn entries_come_back_whole_and_by_name() {
        // They fill the memory many times over, so that files are merged on the way too.
        let name = |n: u32| format!("{:08x}/ü{n}", n.wrapping_mul(2_654_435_761));
        let mut sorter = Sorter::within(2000);
        let mut names: Vec<String> = (0..700).map(name).collect();
        for name in &names {
            sorter.push(entry(name.clone())).unwrap();
        }
        assert!(sorter.files.len() < FILES && !sorter.memory.is_empty(), "{}", sorter.files.len());
        names.sort();
        let found: Vec<Entry> = sorter.sorted().unwrap().map(Result::unwrap).collect();
        assert!(found.iter().map(|found| &found.name).eq(&names));
        assert_eq!(found[0], entry(names[0].clone()));
    }

    #[test]
    fn a_file_that_lost_its_end_is_no_shorter_listing() {
        // Nine of them go into each file.
        for share in [9, 1000] {
            let mut sorter = Sorter::within(2000);
            (0..30).for_each(|n| sorter.push(entry(format!("{n:0100}"))).unwrap());
            let file = sorter.files[0].file.get_ref();
            let length = file.metadata().unwrap().len();
            file.set_len(length - length / share).unwrap();
            assert!(sorter.sorted().unwrap().any(|entry| entry.is_err()), "{share}");
        }
    }

    #[test]
    fn of_nothing_nothing_comes_back() {
        assert_eq!(Sorter::default().sorted().unwrap().count(), 0);
    }
}
