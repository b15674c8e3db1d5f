//! What only the destination has, until it is certain that it may be removed.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
};

use longshore_core_types::{Error, ErrorKind, Result};

/// Names in a temporary file without a name: there may be millions, and nothing is removed before the last is known.
#[derive(Debug, Default)]
pub(super) struct Extras {
    file: Option<BufWriter<File>>,
    names: u64,
}

impl Extras {
    pub(super) fn push(&mut self, name: &str) -> Result<()> {
        self.write(name).map_err(failed)?;
        self.names += 1;
        Ok(())
    }

    fn write(&mut self, name: &str) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        let length = u32::try_from(name.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(name.as_bytes())
    }

    pub(super) fn len(&self) -> u64 {
        self.names
    }

    /// The names again, in their order.
    pub(super) fn into_names(self) -> Result<Names> {
        let file = match self.file {
            Some(file) => {
                let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
                file.rewind().map_err(failed)?;
                Some(BufReader::new(file))
            }
            None => None,
        };
        Ok(Names { file, left: self.names })
    }
}

/// Names that are read back.
#[derive(Debug)]
pub(super) struct Names {
    file: Option<BufReader<File>>,
    left: u64,
}

impl Names {
    /// The next ones, at most `most`; none at the end.
    pub(super) fn take(&mut self, most: usize) -> Result<Vec<String>> {
        let mut names = Vec::new();
        while names.len() < most && self.left > 0 {
            let Some(file) = &mut self.file else { break };
            names.push(read(file).map_err(failed)?);
            self.left -= 1;
        }
        Ok(names)
    }
}

fn read(file: &mut BufReader<File>) -> io::Result<String> {
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    let mut name = vec![0; u32::from_le_bytes(length) as usize];
    file.read_exact(&mut name)?;
    String::from_utf8(name).map_err(io::Error::other)
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::LocalIo, "cannot keep the names to be removed in a temporary file")
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_in_order() {
        let mut extras = Extras::default();
        let names: Vec<String> = (0..1000).map(|n| "é\n/".repeat(n % 7) + &n.to_string()).collect();
        for name in &names {
            extras.push(name).unwrap();
        }
        assert_eq!(extras.len(), 1000);
        let mut read = extras.into_names().unwrap();
        let mut back = Vec::new();
        loop {
            let some = read.take(300).unwrap();
            if some.is_empty() {
                break;
            }
            back.extend(some);
        }
        assert_eq!(back, names);
        assert!(Extras::default().into_names().unwrap().take(1).unwrap().is_empty());
    }
}
