//! Putting a batch's archive together.

use std::io::{self, Read, Write as _};
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use serde::Serialize;
use tokio::sync::oneshot;

use super::Batch;
use super::request::Entry;
use crate::aistore::Cluster;
use crate::aistore::archive::{Archiver, Format, Pipe, Shard, open_member, pipe};
use crate::aistore::error::{Fail, Result};
use crate::aistore::jobs::Report;
use crate::aistore::node::Cx;
use crate::aistore::reply::Reply;
use crate::http::Source;
use crate::storage::{BodyReader, ObjectKey};

/// Entries that may be missing before the batch fails.
const MAX_MISSING: usize = 8;
/// Where what is missing stands in the archive.
const MISSING: &str = "__404__/";

/// What an answer says of an entry.
#[derive(Debug, Serialize)]
struct Out {
    objname: String,
    bucket: String,
    provider: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    archpath: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    opaque: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    err_msg: String,
    size: u64,
}

/// Metadata of a batch.
#[derive(Debug, Serialize)]
struct Outs<'a> {
    uuid: &'a str,
    out: Vec<&'a Out>,
}

/// A member of the archive to be.
#[derive(Debug)]
struct Member {
    name: String,
    out: Out,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Nothing,
    Object(BodyReader),
    /// A file inside an object, without so many bytes at its start.
    File {
        shard: Shard,
        format: Format,
        path: String,
        skip: u64,
    },
}

impl Member {
    fn write(self, archive: &mut Archiver<Pipe>) -> io::Result<()> {
        let mut content: Box<dyn Read + Send> = match self.content {
            Content::Nothing => Box::new(io::empty()),
            Content::Object(reader) => Box::new(reader),
            Content::File { shard, format, path, skip } => {
                let (_, mut file) = open_member(&shard, format, &path)?.ok_or(io::ErrorKind::NotFound)?;
                io::copy(&mut file.by_ref().take(skip), &mut io::sink())?;
                file
            }
        };
        archive.append(&self.name, self.out.size, 0, &mut content)
    }
}

/// Looks entries up, one after the other, and keeps the job's books.
struct Finder {
    cluster: Arc<Cluster>,
    batch: Batch,
    missing: usize,
    report: Report,
}

impl Finder {
    fn find(&mut self, index: usize) -> Result<Member> {
        let entry = &self.batch.request.entries[index];
        let home = self.cluster.place(&entry.bucket, &entry.objname);
        let elsewhere = home != self.batch.target;
        let mut name = if self.batch.request.names_only {
            entry.objname.clone()
        } else {
            format!("{}/{}", entry.bucket.name.name, entry.objname)
        };
        let mut out = Out {
            objname: entry.objname.clone(),
            bucket: entry.bucket.name.name.clone(),
            provider: entry.provider,
            archpath: entry.archpath.clone(),
            opaque: entry.opaque.clone(),
            err_msg: String::new(),
            size: 0,
        };
        if !entry.archpath.is_empty() {
            name = format!("{name}/{}", entry.archpath);
            // Another target tells both in one.
            if elsewhere {
                out.objname = format!("{}/{}", out.objname, out.archpath);
                out.archpath.clear();
            }
        }
        match look_up(&self.cluster, entry, home) {
            Ok((content, size)) => {
                out.size = size;
                self.report.add(size);
                Ok(Member { name, out, content })
            }
            Err(fail) if fail.tcode == "ErrRangeNotSatisfiable" => Err(fail),
            // What should be here and is not ends a batch that is not to go on; what another target should have sent
            // is just missing.
            Err(fail) if !self.batch.request.continues && !elsewhere => Err(fail),
            Err(fail) => {
                self.missing += 1;
                if self.missing > MAX_MISSING {
                    let (job, id, missing) = (self.batch.name(), &self.batch.id, self.missing);
                    return Err(Fail::bad(format!(
                        "{job}: wid={id:?} exceeded soft-errors limit: {missing} (max: {MAX_MISSING})"
                    )));
                }
                out.err_msg = fail.message;
                Ok(Member { name: MISSING.to_owned() + &name, out, content: Content::Nothing })
            }
        }
    }

    fn len(&self) -> usize {
        self.batch.request.entries.len()
    }

    fn failed(&mut self, message: &str) {
        self.report.errors.push(format!("assemble wid={:?}: {message}", self.batch.id));
    }

    fn close(self) {
        self.cluster.jobs.extend(&self.batch.job, &self.report);
    }
}

/// The content of an entry and its length.
fn look_up(cluster: &Cluster, entry: &Entry, home: usize) -> Result<(Content, u64)> {
    let node = cluster.targets[home].name();
    let object = entry.bucket.name.object(&entry.objname);
    let absent = |what: &str| Fail::not_found(format!("{node}: {what} does not exist"));
    let key = ObjectKey::new(entry.bucket.id, 0, entry.objname.as_str());
    if entry.archpath.is_empty() {
        // Nothing is opened before its turn: a batch may be longer than the list of open files.
        let opened = cluster.storage.open_object(&key, |_| Ok::<_, Fail>((0, 0)))?;
        let (record, reader) = opened.ok_or_else(|| absent(&object))??;
        let (start, len) = entry.range(record.size)?;
        return Ok((Content::Object(reader.reopen(start, len)), len));
    }
    let shard = Shard::find(&cluster.storage, &key)?.ok_or_else(|| absent(&object))?;
    let format = shard.format("", &entry.objname)?;
    let found = open_member(&shard, format, &entry.archpath).map_err(|e| Fail::bad(e.to_string()))?;
    let (size, _) = found.ok_or_else(|| absent(&format!("{} in {object}", entry.archpath)))?;
    let (skip, len) = entry.range(size)?;
    Ok((Content::File { shard, format, path: entry.archpath.clone(), skip }, len))
}

/// Refuses ranges outside their objects while that can still be said.
fn check_ranges(cluster: &Cluster, batch: &Batch) -> Result<()> {
    for entry in batch.request.entries.iter().filter(|entry| entry.is_ranged()) {
        let home = cluster.place(&entry.bucket, &entry.objname);
        match look_up(cluster, entry, home) {
            Err(fail) if fail.tcode == "ErrRangeNotSatisfiable" => return Err(fail),
            _ => {}
        }
    }
    Ok(())
}

/// Answers with the archive, alone or behind its metadata.
pub(super) async fn answer(cx: &Cx, batch: Batch) -> Result<Reply> {
    let mime = batch.request.mime.as_str();
    let format = if mime.is_empty() { Format::Tar } else { Format::from_request(mime)? };
    let streams = batch.request.streams;
    if streams {
        check_ranges(&cx.cluster, &batch)?;
    }
    let finder = Finder { cluster: Arc::clone(&cx.cluster), batch, missing: 0, report: Report::default() };
    let (to, pieces) = pipe();
    // The thread ends with the archive, or at its next write once the client is gone.
    let content_type = if streams {
        tokio::task::spawn_blocking(move || stream(finder, format, to));
        format.content_type().to_owned()
    } else {
        let boundary: String = (0..60).map(|_| fastrand::char('a'..='f')).collect();
        let label = format!("multipart/mixed; boundary={boundary}");
        let (tell, told) = oneshot::channel();
        tokio::task::spawn_blocking(move || multipart(finder, format, &boundary, tell, to));
        told.await.map_err(io::Error::other)??;
        label
    };
    Ok(Reply::ok().with(CONTENT_TYPE, &content_type).source(Source::stream(None, pieces)))
}

/// Sends members as they are found. What cannot be found any more ends the archive early, but in order.
fn stream(mut finder: Finder, format: Format, to: Pipe) {
    let mut archive = Archiver::new(format, to);
    for index in 0..finder.len() {
        match finder.find(index) {
            Ok(member) => {
                // Half a member cannot be taken back: the answer breaks off.
                if let Err(error) = member.write(&mut archive) {
                    finder.failed(&error.to_string());
                    finder.close();
                    return;
                }
            }
            Err(fail) => {
                finder.failed(&fail.message);
                break;
            }
        }
    }
    finder.close();
    finish(archive, "");
}

/// Finds everything first, tells whether that worked, then sends the metadata and the archive.
fn multipart(
    mut finder: Finder,
    format: Format,
    boundary: &str,
    tell: oneshot::Sender<Result<()>>,
    mut to: Pipe,
) {
    let found: Result<Vec<Member>> = (0..finder.len()).map(|index| finder.find(index)).collect();
    let members = match found {
        Ok(members) => members,
        Err(fail) => {
            finder.failed(&fail.message);
            finder.close();
            drop(tell.send(Err(fail)));
            return;
        }
    };
    // Whoever asked may be gone; the first write notices.
    drop(tell.send(Ok(())));
    let job = finder.batch.job.clone();
    let outs = Outs { uuid: &job, out: members.iter().map(|m| &m.out).collect() };
    let metadata = serde_json::to_string(&outs).unwrap_or_default();
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\n\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"archive\"; filename=\"get-batch[{job}]\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    if let Err(error) = to.write_all(head.as_bytes()) {
        to.end(Err(error));
        return;
    }
    let mut archive = Archiver::new(format, to);
    let written = members.into_iter().try_for_each(|member| member.write(&mut archive));
    if let Err(error) = written {
        finder.failed(&error.to_string());
        finder.close();
        return;
    }
    finder.close();
    finish(archive, &format!("\r\n--{boundary}--\r\n"));
}

/// Ends the archive and what it is wrapped in.
fn finish(archive: Archiver<Pipe>, tail: &str) {
    if let Ok(mut to) = archive.finish() {
        let written = to.write_all(tail.as_bytes());
        to.end(written);
    }
}
