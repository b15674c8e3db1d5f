//! Promote: files of this machine become objects.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::actmsg::Action;
use super::buckets::Bucket;
use super::error::{Fail, Relayed, Result};
use super::ids::now;
use super::jobs::Report;
use super::names::check_new_name;
use super::node::Cx;
use super::objects::{self, Object, Overwrite};
use super::reply::Reply;
use super::target::locate;
use crate::checksum::Hasher;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    src: String,
    obj: String,
    #[serde(rename = "rcr")]
    recursive: bool,
    #[serde(rename = "ovw")]
    overwrite: bool,
    #[serde(rename = "dls")]
    delete_source: bool,
}

/// Answers `promote`: a file at once, a directory as a job.
pub(crate) async fn promote(cx: &Cx, bucket: &Arc<Bucket>, action: &Action) -> Result<Reply> {
    let mut message: Message = serde_json::from_value(action.value.clone()).unwrap_or_default();
    if !message.src.is_empty() && !action.name.is_empty() && message.src != action.name {
        return Err(Fail::bad(format!("conflicting promote source: {:?} vs {:?}", action.name, message.src)));
    }
    if message.src.is_empty() {
        message.src.clone_from(&action.name);
    }
    check_source(&message.src, &cx.cluster.promote_root)?;
    let relayed = |fail: Fail| {
        let node = cx.cluster.targets[0].name();
        let path = format!("/v1/txn/{}/begin", bucket.name.name);
        fail.relayed(Relayed { method: "POST", path, caller: cx.node_name(), node })
    };
    let source = PathBuf::from(&message.src);
    let Ok(kind) = std::fs::metadata(&source) else {
        let text = format!("stat {}: no such file or directory", message.src);
        return Err(relayed(Fail::not_found(text).tcode("PathError")));
    };
    if kind.is_file() {
        let name = file_name(&message.obj, &source);
        promote_file(cx, bucket, &source, &name, &message).await?;
        return Ok(Reply::ok());
    }
    let started = now();
    let files = files_in(&source, message.recursive)?;
    if files.is_empty() {
        let node = cx.cluster.targets[0].name();
        return Err(relayed(Fail::bad(format!("{node}: directory {:?} is empty", message.src))));
    }
    let mut report = Report { bucket: Some(bucket.name.clone()), ..Report::default() };
    for file in files {
        let inside = file.strip_prefix(&source).unwrap_or(&file).to_string_lossy().into_owned();
        report.bytes +=
            promote_file(cx, bucket, &file, &format!("{}{inside}", message.obj), &message).await?;
        report.objects += 1;
    }
    Ok(Reply::text(cx.cluster.jobs.record("promote", started, report)))
}

fn check_source(source: &str, root: &Path) -> Result<()> {
    let refuse = |why: &str| {
        Fail::bad(format!("invalid promote source {source:?}: {why}")).tcode("errInvalidPromoteSource")
    };
    let path = Path::new(source);
    if !path.is_absolute() {
        return Err(refuse("must be an absolute path"));
    }
    if source.split('/').any(|c| c == ".") || path.components().any(|c| c == Component::ParentDir) {
        return Err(refuse("must not contain '.' or '..' path elements"));
    }
    if !path.starts_with(root) {
        return Err(refuse(&format!("must be under {}", root.display())));
    }
    Ok(())
}

/// The object name of a single file: its base name goes behind an empty name or one that ends in a slash.
fn file_name(wanted: &str, source: &Path) -> String {
    if wanted.is_empty() || wanted.ends_with('/') {
        let base = source.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        return format!("{wanted}{base}");
    }
    wanted.to_owned()
}

fn files_in(dir: &Path, recursive: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                if recursive {
                    dirs.push(path);
                }
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the bytes that were stored; an object that is there stays unless it is to be overwritten.
async fn promote_file(
    cx: &Cx,
    bucket: &Arc<Bucket>,
    file: &Path,
    name: &str,
    message: &Message,
) -> Result<u64> {
    check_new_name(name)?;
    let target = cx.cluster.place(bucket, name);
    let object: Object = locate(cx, Arc::clone(bucket), name, target);
    if !message.overwrite && cx.cluster.storage.object(&object.key)?.is_some() {
        return Ok(0);
    }
    let source = std::fs::File::open(file).map_err(|_| {
        Fail::not_found(format!("open {}: no such file or directory", file.display())).tcode("PathError")
    })?;
    let body = cx.cluster.storage.create_body()?;
    let hasher = Hasher::new(bucket.checksum());
    let (body, hasher) = objects::copy_from(source, body, hasher).await?;
    let size = body.len();
    objects::store(&cx.cluster, &object, vec![body], hasher.finish(), Overwrite::default(), false).await?;
    if message.delete_source {
        std::fs::remove_file(file)?;
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_stay_below_the_root() {
        let check = |source| check_source(source, Path::new("/srv/promote")).map_err(|f| f.message);
        assert!(check("/srv/promote/a/b").is_ok());
        assert!(check("rel").is_err_and(|m| m.ends_with("must be an absolute path")));
        assert!(check("/srv/promote/../x").is_err_and(|m| m.contains("must not contain")));
        assert!(check("/etc/hostname").is_err_and(|m| m.ends_with("must be under /srv/promote")));
    }

    #[test]
    fn names_of_files() {
        let file = Path::new("/r/two.txt");
        assert_eq!(file_name("", file), "two.txt");
        assert_eq!(file_name("pre/", file), "pre/two.txt");
        assert_eq!(file_name("p/one", file), "p/one");
    }
}
