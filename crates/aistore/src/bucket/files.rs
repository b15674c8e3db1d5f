//! Putting the files of a directory.

use std::{
    future::IntoFuture,
    path::{Path, PathBuf},
};

use futures_core::{Stream, future::BoxFuture};
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{Error, ErrorKind, Resource, Result};

use super::Bucket;
use crate::{
    names::invalid,
    object::{Object, ObjectProps},
    wildcard,
};

impl Bucket {
    /// Puts the files of a directory, each as an object that is named by its path from there.
    ///
    /// For whole trees with resume, parallel parts and reports there is the crate `longshore-transfer`, on
    /// [`store`](Self::store).
    pub fn put_files(&self, directory: impl Into<PathBuf>) -> PutFiles {
        PutFiles {
            bucket: self.clone(),
            root: directory.into(),
            start: String::new(),
            pattern: "*".to_owned(),
            base_names: false,
            prepend: String::new(),
            recursive: false,
            dry_run: false,
            concurrency: 4,
        }
    }
}

/// A put of files; see [`Bucket::put_files`]. Awaiting it puts them all and answers the names of the objects, in order;
/// it ends at the first error. [`stream`](Self::stream) does not hold the names.
#[derive(Clone, Debug)]
#[must_use = "nothing is put until it is awaited or streamed"]
pub struct PutFiles {
    bucket: Bucket,
    root: PathBuf,
    start: String,
    pattern: String,
    base_names: bool,
    prepend: String,
    recursive: bool,
    dry_run: bool,
    concurrency: usize,
}

/// A file that was put.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UploadedFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The object.
    pub object: Object,
    /// What the cluster says about the object; `None` in a dry run.
    pub props: Option<ObjectProps>,
}

impl PutFiles {
    /// Only files whose own names start with this.
    #[doc(alias = "prefix_filter")]
    pub fn prefix(mut self, start: impl Into<String>) -> Self {
        self.start = start.into();
        self
    }

    /// Only files whose own names match this: `*`, `?`, `[a-z]`, `[!a-z]`.
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = pattern.into();
        self
    }

    /// Names objects by the file's own name, without directories. Two files of one name are an error, before anything
    /// of the second is sent.
    #[doc(alias = "basename")]
    pub fn base_names(mut self, base_names: bool) -> Self {
        self.base_names = base_names;
        self
    }

    /// Puts this in front of every name; no `/` is added.
    pub fn prepend(mut self, text: impl Into<String>) -> Self {
        self.prepend = text.into();
        self
    }

    /// Also files in directories of the directory. Links to directories are not followed, links to files are.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Sends nothing, but answers what would be put.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// How many files are put at once; 4 by default.
    pub fn concurrency(mut self, files: usize) -> Self {
        self.concurrency = files;
        self
    }

    /// Puts the files as the stream is read, and answers each in order. Ends after the first error; files that were
    /// under way then may be there.
    pub fn stream(self) -> impl Stream<Item = Result<UploadedFile>> + Send + Unpin {
        let concurrency = self.concurrency.max(1);
        let dry_run = self.dry_run;
        let uploads = self.files().map_ok(move |(path, object)| async move {
            let props = if dry_run { None } else { Some(object.put_file(&path).await?) };
            Ok(UploadedFile { path, object, props })
        });
        uploads.try_buffered(concurrency).boxed()
    }

    /// Files and their objects, a directory after the other and sorted in each. Memory grows with the number of
    /// directories that are still to be visited, and, with base names, of files.
    fn files(self) -> impl Stream<Item = Result<(PathBuf, Object)>> + Send {
        let state =
            Walk { to_visit: vec![self.root.clone()], found: Vec::new(), seen: Vec::new(), put: self };
        stream::try_unfold(state, |mut walk| async move {
            let next = walk.next().await?;
            Ok(next.map(|found| (found, walk)))
        })
    }
}

impl IntoFuture for PutFiles {
    type Output = Result<Vec<String>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.stream().map_ok(|file| file.object.key().to_string()).try_collect())
    }
}

struct Walk {
    put: PutFiles,
    /// Directories, the next one last.
    to_visit: Vec<PathBuf>,
    /// Files of the directory that is being visited, the next one last.
    found: Vec<PathBuf>,
    /// Names that were given, where two files could get one.
    seen: Vec<String>,
}

fn local(path: &Path, what: &'static str, error: std::io::Error) -> Error {
    let name = path.display().to_string().into();
    Error::new(ErrorKind::LocalIo, what)
        .with_resource(Resource::Named { kind: "file", name })
        .with_source(error)
}

impl Walk {
    async fn next(&mut self) -> Result<Option<(PathBuf, Object)>> {
        loop {
            if let Some(path) = self.found.pop() {
                let object = self.object(&path)?;
                return Ok(Some((path, object)));
            }
            let Some(directory) = self.to_visit.pop() else { return Ok(None) };
            self.visit(&directory).await?;
        }
    }

    async fn visit(&mut self, directory: &Path) -> Result<()> {
        let fault = |error| local(directory, "the directory cannot be read", error);
        let mut entries = tokio::fs::read_dir(directory).await.map_err(fault)?;
        let mut directories = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(fault)? {
            let path = entry.path();
            let kind = entry.file_type().await.map_err(|error| local(&path, "cannot be read", error))?;
            if kind.is_dir() {
                if self.put.recursive {
                    directories.push(path);
                }
                continue;
            }
            // A link counts as what it leads to; one that leads nowhere is no file.
            let is_file = kind.is_file()
                || (kind.is_symlink() && tokio::fs::metadata(&path).await.is_ok_and(|found| found.is_file()));
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if is_file && name.starts_with(&self.put.start) && wildcard::matches(&self.put.pattern, &name) {
                self.found.push(path);
            }
        }
        self.found.sort_unstable_by(|a, b| b.cmp(a));
        directories.sort_unstable_by(|a, b| b.cmp(a));
        self.to_visit.extend(directories);
        Ok(())
    }

    fn object(&mut self, path: &Path) -> Result<Object> {
        let inside = path.strip_prefix(&self.put.root).unwrap_or(path);
        let inside = if self.put.base_names { inside.file_name().map_or(inside, Path::new) } else { inside };
        let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
        let parts = parts.ok_or_else(|| invalid(format!("{} is not Unicode", path.display())))?;
        let name = format!("{}{}", self.put.prepend, parts.join("/"));
        if self.put.base_names {
            if let Err(at) = self.seen.binary_search(&name) {
                self.seen.insert(at, name.clone());
            } else {
                return Err(invalid(format!(
                    "two files are called {name:?}, one of them {}",
                    path.display()
                )));
            }
        }
        self.put.bucket.object(name)
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;
    use crate::Client;

    fn bucket(server: &ScriptedService) -> Bucket {
        Client::builder("http://gateway:1").service(server.clone()).build().unwrap().bucket("b").unwrap()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt", "c.bin", "sub/a.txt", "sub/deep/d.txt"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        folder
    }

    #[tokio::test]
    async fn which_files_and_under_which_names() {
        let folder = folder();
        let server = ScriptedService::replies([]);
        let put = || bucket(&server).put_files(folder.path()).dry_run(true);
        assert_eq!(put().await.unwrap(), ["a.txt", "b.txt", "c.bin"]);
        let all = ["a.txt", "b.txt", "c.bin", "sub/a.txt", "sub/deep/d.txt"];
        assert_eq!(put().recursive(true).await.unwrap(), all);
        assert_eq!(put().recursive(true).pattern("*.bin").prepend("x/").await.unwrap(), ["x/c.bin"]);
        assert_eq!(put().prefix("b").await.unwrap(), ["b.txt"]);
        let error = put().recursive(true).base_names(true).await.unwrap_err();
        assert!(error.to_string().contains("a.txt"), "{error}");
        let names = put().recursive(true).base_names(true).pattern("[cd]*").await.unwrap();
        assert_eq!(names, ["c.bin", "d.txt"]);
        assert_eq!(put().prepend("../").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let missing = bucket(&server).put_files(folder.path().join("nowhere"));
        assert_eq!(missing.await.unwrap_err().kind(), ErrorKind::LocalIo);
        assert!(server.requests().is_empty());
    }

    #[tokio::test]
    async fn contents_arrive() {
        let folder = folder();
        let server = ScriptedService::new(|_| Reply::ok(""));
        let names = bucket(&server).put_files(folder.path()).concurrency(1).await.unwrap();
        assert_eq!(names.len(), 3);
        let bodies: Vec<_> = server.requests().into_iter().filter_map(|r| r.body).collect();
        assert_eq!(bodies, ["a.txt", "b.txt", "c.bin"]);
    }
}
