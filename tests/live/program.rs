//! The built program against a real cluster.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use futures_util::TryStreamExt;
use libtest_mimic::{Failed, Trial};
use longshore_aistore::HeadProp;
use longshore_blob_api::{BlobStoreExt, Entry, ListOptions};
use longshore_core_types::Secret;
use tempfile::TempDir;

use super::{
    cluster::{Cluster, ignored, trial},
    settings::Missing,
    tree,
};

/// Large enough for many parts on the way up and many ranges on the way down.
const LARGE: usize = 256 << 20;

type Body = fn(&Cluster, &Program) -> Result<(), Failed>;

const CASES: &[(&str, Body)] = &[
    ("aistore::program::a_tree_survives_both_ways", tree_both_ways),
    ("aistore::program::a_large_object_survives_both_ways", large_both_ways),
];

pub(crate) fn trials(
    cluster: &Result<Arc<Cluster>, Missing>,
    program: &Result<PathBuf, Missing>,
) -> Vec<Trial> {
    let trial = |&(name, body): &(&'static str, Body)| match program {
        Ok(path) => {
            let path = path.clone();
            trial(name, cluster, move |cluster| body(cluster, &Program::new(path, cluster)?))
        }
        Err(reason) => ignored(name, cluster.as_ref().err().unwrap_or(reason)),
    };
    CASES.iter().map(trial).collect()
}

/// The program with a home of its own.
struct Program {
    path: PathBuf,
    endpoint: String,
    /// For a guarded cluster.
    token: Option<Secret>,
    /// Where it keeps its state, and where tests keep their files.
    home: TempDir,
}

impl Program {
    fn new(path: PathBuf, cluster: &Cluster) -> Result<Self, Failed> {
        let (endpoint, token) = (cluster.endpoint.clone(), cluster.token()?);
        Ok(Self { path, endpoint, token, home: tempfile::tempdir()? })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).env("AIS_ENDPOINT", &self.endpoint).env("HOME", self.home.path());
        if let Some(token) = &self.token {
            command.env("AIS_AUTHN_TOKEN", token.expose());
        }
        for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
            command.env(name, self.folder(name));
        }
        command
    }

    /// Runs it to its end, which has to be a good one, and returns what it printed.
    fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String, Failed> {
        let mut command = self.command(arguments);
        let output = command.output()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(stdout.into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("{command:?} ended with {}:\n{stdout}{stderr}", output.status).into())
    }
}

fn tree_both_ways(cluster: &Cluster, program: &Program) -> Result<(), Failed> {
    let bucket = cluster.bucket()?;
    let (source, copy) = (program.folder("source"), program.folder("copy"));
    let expected = tree::make(&source)?;
    let url = format!("{}/tree/", bucket.url());

    program.run([OsStr::new("cp"), OsStr::new("-r"), source.as_os_str(), OsStr::new(&url)])?;
    let listing = bucket.store();
    let entries: Vec<Entry> = cluster.wait(listing.list(ListOptions::prefix("tree/")).try_collect())?;
    let stored: BTreeSet<_> = entries.iter().filter_map(|entry| entry.name().strip_prefix("tree/")).collect();
    equal(&stored, &expected.iter().map(String::as_str).collect(), "in the bucket")?;

    program.run([OsStr::new("cp"), OsStr::new("-r"), OsStr::new(&url), copy.as_os_str()])?;
    equal(&tree::names(&copy)?, &expected, "after the way back")?;
    expected.iter().try_for_each(|name| unchanged(&source.join(name), &copy.join(name)))
}

fn large_both_ways(cluster: &Cluster, program: &Program) -> Result<(), Failed> {
    let bucket = cluster.bucket()?;
    let (source, copy) = (program.folder("large"), program.folder("large-copy"));
    tree::write(&source, LARGE)?;
    let url = format!("{}/large", bucket.url());

    program.run([OsStr::new("cp"), source.as_os_str(), OsStr::new(&url)])?;
    let head = bucket.object("large")?.head_with().props([HeadProp::Chunked]);
    let parts = cluster.wait(async { head.await })?.chunks.map(|chunks| chunks.count);
    if parts.is_none_or(|count| count < 2) {
        return Err(format!("the object was to be uploaded in parts; the cluster says {parts:?}").into());
    }
    program.run([OsStr::new("cp"), OsStr::new(&url), copy.as_os_str()])?;
    unchanged(&source, &copy)
}

fn unchanged(source: &Path, copy: &Path) -> Result<(), Failed> {
    if tree::same(source, copy)? {
        return Ok(());
    }
    Err(format!("{} is not what it was", copy.display()).into())
}

fn equal<T: Ord + std::fmt::Debug>(
    found: &BTreeSet<T>,
    expected: &BTreeSet<T>,
    place: &str,
) -> Result<(), Failed> {
    let missing: Vec<_> = expected.difference(found).collect();
    let extra: Vec<_> = found.difference(expected).collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    Err(format!("names {place}: missing {missing:?}, unexpected {extra:?}").into())
}
