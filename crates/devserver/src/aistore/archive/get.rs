//! Reading inside archives: one member, many members, and their names for listings.

use std::io::{self, Read, Write as _};

use http::header::{CONTENT_TYPE, RANGE};
use regex::Regex;
use tokio::sync::oneshot;

use super::pipe::{Pipe, pipe};
use super::shard::{Format, Shard};
use super::{tar, zip};
use crate::aistore::error::{Fail, Result};
use crate::aistore::node::Cx;
use crate::aistore::objects::Object;
use crate::aistore::query::{Query, encode_form};
use crate::aistore::reply::Reply;
use crate::http::Source;
use crate::storage::{ObjectKey, Storage};

const MODES: [&str; 5] = ["regexp", "prefix", "suffix", "substr", "wdskey"];

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
    body: Pipe,
}

impl Output {
    fn found(&mut self, size: Option<u64>) {
        if let Some(head) = self.head.take() {
            // Nobody may be waiting any more; the next write notices.
            let _ = head.send(Ok(size));
        }
    }

    fn end(mut self, result: io::Result<()>) {
        match (result, self.head.take()) {
            (Err(error), Some(head)) => drop(head.send(Err(error))),
            (result, _) => self.body.end(result),
        }
    }
}

/// The content of the member of this name, and its size.
pub(crate) fn open_member(
    shard: &Shard,
    format: Format,
    path: &str,
) -> io::Result<Option<(u64, Box<dyn Read + Send>)>> {
    if format == Format::Zip {
        let members = zip::members(shard)?;
        let Some(member) = members.iter().find(|m| m.is_file() && m.name == path) else { return Ok(None) };
        return Ok(Some((member.size, zip::open(shard, member)?)));
    }
    let mut tar = shard.tar(format)?;
    while let Some(member) = tar.next()? {
        if member.is_file && member.name == path {
            return Ok(Some((member.size, Box::new(tar))));
        }
    }
    Ok(None)
}

fn one(shard: &Shard, format: Format, path: &str, output: &mut Output) -> io::Result<()> {
    if let Some((size, mut content)) = open_member(shard, format, path)? {
        output.found(Some(size));
        io::copy(&mut content, &mut output.body)?;
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
        output.body.write_all(&member.header)?;
        io::copy(&mut tar, &mut output.body)?;
        tar::pad(&mut output.body, member.size)?;
    }
    if any { tar::end(&mut output.body) } else { Ok(()) }
}

/// What is wrong with an expression, in the words of Go where they are known.
pub(crate) fn explain(error: &regex::Error, pattern: &str) -> String {
    let text = error.to_string();
    let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    match why.as_str() {
        "unclosed character class" => {
            format!("missing closing ]: `{}`", &pattern[pattern.rfind('[').unwrap_or(0)..])
        }
        "unclosed group" => format!("missing closing ): `{pattern}`"),
        "unopened group" => format!("unexpected ): `{pattern}`"),
        "repetition operator missing expression" => {
            let operator = pattern.find(['*', '+', '?']).map_or(pattern, |at| &pattern[at..=at]);
            format!("missing argument to repetition operator: `{operator}`")
        }
        _ => why,
    }
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
        Wanted::Many { mode, pattern } => Ok(Matcher::new(mode, pattern.clone()).map_err(|e| {
            let (node, why) = (cx.node_name(), explain(&e, &pattern));
            Fail::bad(format!(
                "{node}: failed to extract files that match {what} from {display}, err: error parsing regexp: {why}"
            ))
            .tcode("ErrFailedTo")
        })?),
    };
    let (tell, told) = oneshot::channel();
    let (body, pieces) = pipe();
    // The thread ends with the archive, or at its next write once the client is gone.
    tokio::task::spawn_blocking(move || {
        let mut output = Output { head: Some(tell), body };
        let result = match &matcher {
            Ok(matcher) => many(&shard, format, matcher, &mut output),
            Err(path) => one(&shard, format, path, &mut output),
        };
        output.end(result);
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
    Ok(Reply::ok().with(CONTENT_TYPE, content_type).source(Source::stream(size, pieces)))
}

/// Names and sizes of the files in an object that is an archive by its name, sorted; `None` if it is none.
pub(crate) fn members(storage: &Storage, key: &ObjectKey) -> Result<Option<Vec<(String, u64)>>> {
    let Some(format) = Format::by_extension(&key.name) else { return Ok(None) };
    let Some(shard) = Shard::find(storage, key)? else { return Ok(None) };
    let mut members = read_members(&shard, format).map_err(|e| {
        // The original leaves it out, and with it what lies behind it on the same disk.
        let name = &key.name;
        Fail::bad(format!(
            "cannot list what is in the archive {name:?}: {e}; AIStore would leave objects out"
        ))
    })?;
    members.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Some(members))
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
    fn expressions_are_explained() {
        let why = |pattern: &str| {
            let error = Matcher::new("regexp".into(), pattern.to_owned()).expect_err(pattern);
            explain(&error, pattern)
        };
        assert_eq!(why("["), "missing closing ]: `[`");
        assert_eq!(why("(a"), "missing closing ): `(a`");
        assert_eq!(why("a)"), "unexpected ): `a)`");
        assert_eq!(why("*a"), "missing argument to repetition operator: `*`");
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
