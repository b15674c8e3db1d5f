//! Where a download goes.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use tokio::io::AsyncWrite;

/// Where a download goes: a file, or something that takes bytes in order.
///
/// A path becomes a file: a [`Path`], a [`PathBuf`], and text such as `"big.bin"`.
pub struct Sink(pub(crate) Kind);

pub(crate) enum Kind {
    File(PathBuf),
    Writer(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Sink {
    /// A local file, which appears under its name when it is whole and verified.
    ///
    /// A symbolic link is followed; a pipe or device is written in order.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// Anything that takes bytes in order, such as standard output. It is flushed at the end.
    pub fn writer(writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Kind::Writer(Box::new(writer)))
    }
}

impl From<PathBuf> for Sink {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&Path> for Sink {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<&PathBuf> for Sink {
    fn from(path: &PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&str> for Sink {
    fn from(path: &str) -> Self {
        Self::file(path)
    }
}

impl From<String> for Sink {
    fn from(path: String) -> Self {
        Self::file(path)
    }
}

impl From<&String> for Sink {
    fn from(path: &String) -> Self {
        Self::file(path)
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::File(path) => f.debug_tuple("File").field(path).finish(),
            Kind::Writer(_) => f.write_str("Writer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_any_form_are_files() {
        let sinks = [
            Sink::from("a/b"),
            String::from("a/b").into(),
            (&String::from("a/b")).into(),
            Path::new("a/b").into(),
            PathBuf::from("a/b").into(),
            (&PathBuf::from("a/b")).into(),
        ];
        for sink in sinks {
            assert!(matches!(&sink.0, Kind::File(path) if path == Path::new("a/b")), "{sink:?}");
        }
    }
}
