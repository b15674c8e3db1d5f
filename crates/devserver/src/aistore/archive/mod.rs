//! Reading inside archives: one member, many members, and their names for listings.

mod tar;
mod zip;

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures_util::stream::{self, StreamExt as _};
use http::header::{CONTENT_TYPE, RANGE};
use regex::Regex;
use tokio::sync::{mpsc, oneshot};

use self::tar::Tar;
use self::zip::Ranges;
use super::error::{Fail, Result};
use super::node::Cx;
use super::objects::Object;
use super::query::{Query, encode_form};
use super::reply::Reply;
use crate::http::Source;
use crate::storage::{BodyReader, ObjectKey, Storage};

/// Bytes that go from the reading thread to the connection at a time, and how many such pieces may wait.
const PIECE: usize = 128 * 1024;
const QUEUE: usize = 4;
const MODES: [&str; 5] = ["regexp", "prefix", "suffix", "substr", "wdskey"];

/// A format of archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Tar,
    Tgz,
    Zip,
}

impl Format {
    fn by_extension(name: &str) -> Option<Self> {
        [(".tar", Self::Tar), (".tgz", Self::Tgz), (".tar.gz", Self::Tgz), (".zip", Self::Zip)]
            .into_iter()
            .find_map(|(extension, format)| name.ends_with(extension).then_some(format))
    }

    fn by_mime(mime: &str) -> Option<Self> {
        match mime {
            "application/x-tar" => Some(Self::Tar),
            "application/x-tgz" | "application/x-gzip" | "application/gzip" => Some(Self::Tgz),
            "application/zip" => Some(Self::Zip),
            _ => Self::by_extension(&format!(".{}", mime.trim_start_matches('.'))),
        }
    }

    fn by_magic(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Tgz),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }
}

/// An object that is read as an archive.
#[derive(Debug)]
struct Shard {
    whole: BodyReader,
    len: u64,
}

impl Ranges for Shard {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.whole.reopen(offset, len)))
    }
}

impl Shard {
    fn find(storage: &Storage, key: &ObjectKey) -> Result<Option<Self>> {
        let opened = storage.open_object(key, |record| Ok::<_, Fail>((0, record.size)))?;
        let Some(opened) = opened else { return Ok(None) };
        let (record, whole) = opened?;
        Ok(Some(Self { whole, len: record.size }))
    }

    fn format(&self, mime: &str, name: &str) -> Result<Format> {
        if !mime.is_empty() {
            return Format::by_mime(mime)
                .ok_or_else(|| Fail::bad(format!("unknown mime type {mime:?}")).tcode("errUnknownMime"));
        }
        if let Some(format) = Format::by_extension(name) {
            return Ok(format);
        }
        let mut head = Vec::new();
        self.open(0, self.len.min(tar::BLOCK as u64))?.read_to_end(&mut head)?;
        Format::by_magic(&head)
            .ok_or_else(|| Fail::bad(format!("unrecognized or unsupported file format: {name:?}")))
    }

    /// The archive as a TAR; not for ZIP.
    fn tar(&self, format: Format) -> io::Result<Tar<Box<dyn Read + Send>>> {
        let plain = self.open(0, self.len)?;
        Ok(Tar::new(if format == Format::Tgz { Box::new(MultiGzDecoder::new(plain)) } else { plain }))
    }
}

/// What is wanted from an archive.
#[derive(Debug)]
pub(crate) enum Wanted {
    One(String),
    Many { mode: String, pattern: String },
}

impl Wanted {
    /// What a query asks for; empty values count as absent.
    pub(crate) fn from_query(query: &Query) -> Option<Self> {
        let path = query.value("archpath").trim_start_matches('/');
        let mode = query.value("archmode");
        if !path.is_empty() {
            return Some(Self::One(path.to_owned()));
        }
        let pattern = query.value("archregx").to_owned();
        (!mode.is_empty()).then(|| Self::Many { mode: mode.to_owned(), pattern })
    }

    /// As messages name it.
    fn display(&self) -> String {
        match self {
            Self::One(path) => format!("(archpath={path})"),
            Self::Many { mode, pattern } => format!("(archregx={pattern}, archmode={mode})"),
        }
    }
}

/// What the gateway refuses before it redirects.
pub(crate) fn check_query(query: &Query) -> Result<()> {
    let refuse = |name: &str, value: &str, why: String| {
        Err(Fail::bad(format!("dpq: '{name}={}', err: {why}", encode_form(value))))
    };
    let (path, mode) = (query.value("archpath"), query.value("archmode"));
    if path.split('/').any(|c| c == "..") {
        return refuse("archpath", path, format!("invalid archpath {path:?}"));
    }
    if !mode.is_empty() && !MODES.contains(&mode) {
        let modes = MODES.join(" ");
        return refuse(
            "archmode",
            mode,
            format!("invalid matching mode {mode:?}, expecting one of: [{modes}]"),
        );
    }
    if !path.is_empty() && !mode.is_empty() {
        let why = "dpq: archpath=\"archpath\" (match one) and archregx=\"archregx\" (match many) are mutually exclusive";
        return refuse("archpath", path, why.to_owned());
    }
    Ok(())
}

/// Which members match.
#[derive(Debug)]
enum Matcher {
    Expression(Regex),
    Text { mode: String, pattern: String },
}

impl Matcher {
    fn new(mode: String, pattern: String) -> std::result::Result<Self, regex::Error> {
        if mode == "regexp" {
            return Regex::new(&pattern).map(Self::Expression);
        }
        Ok(Self::Text { mode, pattern })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Expression(expression) => expression.is_match(name),
            Self::Text { pattern, .. } if pattern.is_empty() => true,
            Self::Text { mode, pattern } => match mode.as_str() {
                "prefix" => name.starts_with(pattern),
                "suffix" => name.ends_with(pattern),
                "substr" => name.contains(pattern),
                _ => name.rsplit_once('.').map_or(name, |(key, _)| key) == pattern,
            },
        }
    }
}

/// Where the reading thread puts what it finds.
#[derive(Debug)]
struct Output {
    /// Told once something was found, with its size if it is known.
    head: Option<oneshot::Sender<io::Result<Option<u64>>>>,
    body: mpsc::Sender<io::Result<Bytes>>,
}

impl Output {
    fn found(&mut self, size: Option<u64>) {
        if let Some(head) = self.head.take() {
            // Nobody may be waiting any more; the next write notices.
            let _ = head.send(Ok(size));
        }
    }

    /// Passes bytes on; false if the client is gone.
    fn write(&self, bytes: Vec<u8>) -> bool {
        self.body.blocking_send(Ok(Bytes::from(bytes))).is_ok()
    }

    /// Passes on what `from` yields.
    fn copy(&self, from: &mut impl Read) -> io::Result<bool> {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            if from.by_ref().take(PIECE as u64).read_to_end(&mut piece)? == 0 {
                return Ok(true);
            }
            if !self.write(piece) {
                return Ok(false);
            }
        }
    }

    fn fail(mut self, error: io::Error) {
        match self.head.take() {
            Some(head) => drop(head.send(Err(error))),
            None => drop(self.body.blocking_send(Err(error))),
        }
    }
}

fn one(shard: &Shard, format: Format, path: &str, output: &mut Output) -> io::Result<()> {
    if format == Format::Zip {
        let members = zip::members(shard)?;
        if let Some(member) = members.iter().find(|m| m.is_file() && m.name == path) {
            let mut content = zip::open(shard, member)?;
            output.found(Some(member.size));
            output.copy(&mut content)?;
        }
        return Ok(());
    }
    let mut tar = shard.tar(format)?;
    while let Some(member) = tar.next()? {
        if member.is_file && member.name == path {
            output.found(Some(member.size));
            output.copy(&mut tar)?;
            return Ok(());
        }
    }
    Ok(())
}

/// Writes a TAR of the members that match.
fn many(shard: &Shard, format: Format, matcher: &Matcher, output: &mut Output) -> io::Result<()> {
    let mut tar = shard.tar(format)?;
    let mut any = false;
    while let Some(member) = tar.next()? {
        if !member.is_file || !matcher.matches(&member.name) {
            continue;
        }
        any = true;
        output.found(None);
        let padding = usize::try_from(tar::padding(member.size)).unwrap_or(0);
        if !(output.write(member.header) && output.copy(&mut tar)? && output.write(vec![0; padding])) {
            return Ok(());
        }
    }
    if any {
        output.write(vec![0; 2 * tar::BLOCK]);
    }
    Ok(())
}

/// Answers GET of what is inside an object.
pub(crate) async fn get(cx: &Cx, object: &Object, wanted: Wanted) -> Result<Reply> {
    let display = object.display();
    let unsupported =
        |what: String| Err(Fail::bad(format!("cannot {what} - operation not supported")).tcode("ErrUnsupp"));
    if let Some(range) = cx.header(RANGE.as_str()) {
        let query = wanted.display();
        return unsupported(format!("range-read archived content range: {range}, arch query: {query}"));
    }
    let shard = Shard::find(&cx.cluster.storage, &object.key)?.ok_or_else(|| object.missing(cx))?;
    let format = shard.format(cx.query.value("archmime"), &object.key.name)?;
    let what = wanted.display();
    let (missing, content_type) = match &wanted {
        Wanted::One(path) => (path.clone(), "application/octet-stream"),
        // The original closes the connection and leaves the object locked.
        Wanted::Many { .. } if format == Format::Zip => {
            return unsupported(format!("match many {what} in a ZIP archive {display}"));
        }
        Wanted::Many { .. } => (what.clone(), "application/x-tar"),
    };
    let matcher = match wanted {
        Wanted::One(path) => {
            let own = path.strip_prefix(object.key.name.as_str()).and_then(|rest| rest.strip_prefix('/'));
            Err(own.map_or_else(|| path.clone(), str::to_owned))
        }
        Wanted::Many { mode, pattern } => Ok(Matcher::new(mode, pattern).map_err(|e| {
            let (node, why) = (cx.node_name(), e.to_string());
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Fail::bad(format!(
                "{node}: failed to extract files that match {what} from {display}, err: error parsing regexp: {why}"
            ))
            .tcode("ErrFailedTo")
        })?),
    };
    let (tell, told) = oneshot::channel();
    let (body, pieces) = mpsc::channel(QUEUE);
    // The thread ends with the archive, or at its next write once the client is gone.
    tokio::task::spawn_blocking(move || {
        let mut output = Output { head: Some(tell), body };
        let result = match &matcher {
            Ok(matcher) => many(&shard, format, matcher, &mut output),
            Err(path) => one(&shard, format, path, &mut output),
        };
        if let Err(error) = result {
            output.fail(error);
        }
    });
    let size = match told.await {
        Ok(Ok(size)) => size,
        Ok(Err(e)) if format == Format::Zip => {
            return Err(Fail::bad(format!("failed to open {display}: {e}")).tcode("wrapError"));
        }
        Ok(Err(e)) => return Err(Fail::bad(e.to_string())),
        Err(_) => {
            let node = cx.node_name();
            return Err(Fail::not_found(format!("{node}: {missing} in {display} does not exist")));
        }
    };
    let pieces = stream::unfold(pieces, |mut rx| async { rx.recv().await.map(|piece| (piece, rx)) });
    Ok(Reply::ok().with(CONTENT_TYPE, content_type).source(Source::stream(size, pieces.boxed())))
}

/// Names and sizes of the files in an object that is an archive by its name, sorted; `None` if it is none, or cannot
/// be read as one.
pub(crate) fn members(storage: &Storage, key: &ObjectKey) -> Option<Vec<(String, u64)>> {
    let format = Format::by_extension(&key.name)?;
    let shard = Shard::find(storage, key).ok()??;
    let mut members = read_members(&shard, format).ok()?;
    members.sort_by(|a, b| a.0.cmp(&b.0));
    Some(members)
}

fn read_members(shard: &Shard, format: Format) -> io::Result<Vec<(String, u64)>> {
    if format == Format::Zip {
        let members = zip::members(shard)?.into_iter();
        return Ok(members.filter(zip::Member::is_file).map(|m| (m.name, m.size)).collect());
    }
    let mut tar = shard.tar(format)?;
    let mut members = Vec::new();
    while let Some(member) = tar.next()? {
        if member.is_file {
            members.push((member.name, member.size));
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        assert_eq!(Format::by_extension("a/b.tar.gz"), Some(Format::Tgz));
        assert_eq!(Format::by_extension("tar"), None);
        for mime in [".tar", "tar", "application/x-tar"] {
            assert_eq!(Format::by_mime(mime), Some(Format::Tar), "{mime}");
        }
        assert_eq!(Format::by_mime(".rar"), None);
    }

    #[test]
    fn modes() {
        let matches = |mode: &str, pattern: &str, name: &str| {
            Matcher::new(mode.to_owned(), pattern.to_owned()).expect("a matcher").matches(name)
        };
        assert!(matches("regexp", "00[12].json$", "img/001.json"));
        assert!(matches("wdskey", "img/002", "img/002.jpg"));
        assert!(!matches("wdskey", "002", "img/002.jpg"));
        assert!(matches("suffix", "", "anything"));
        assert!(!matches("substr", "x", "abc"));
    }

    #[test]
    fn queries() {
        let check = |text: &str| {
            let query = Query::parse(text).expect("a query");
            check_query(&query).map_err(|f| f.message).err()
        };
        assert_eq!(check("archpath=a&archregx="), None);
        assert!(
            check("archpath=..%2Fa").is_some_and(|m| m.starts_with("dpq: 'archpath=..%2Fa', err: invalid"))
        );
        assert!(check("archmode=glob").is_some_and(|m| m.contains("[regexp prefix suffix substr wdskey]")));
        assert!(check("archpath=a&archmode=prefix").is_some_and(|m| m.contains("mutually exclusive")));
    }
}
