//! Everything the command says, in one type of message with a text and a JSON form, through one writer.
//!
//! Results go to standard output, everything else to standard error. With `--json` both are NDJSON, one
//! object a line with a `type`. Progress bars are taken off the terminal while a line is written.

use std::{
    fmt,
    io::{self, BufWriter, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use indicatif::MultiProgress;
use serde::Serialize;

use crate::{
    failure::{Failure, Told},
    units::{count, show_duration, show_rate, show_size},
};

/// What a command says.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Message<'a> {
    /// A bucket in a listing.
    Bucket { url: String },
    /// A common prefix in a listing.
    Prefix {
        url: String,
        #[serde(skip)]
        long: bool,
    },
    /// An object in a listing.
    Object {
        url: String,
        size: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        modified: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        checksum: Option<String>,
        #[serde(skip)]
        long: bool,
    },
    /// The end of a listing.
    Total { objects: u64, prefixes: u64, bytes: u64 },
    /// The end of a listing of buckets.
    Buckets { buckets: u64 },
    /// All that is known about one object or bucket.
    Stat(&'a Stat),
    /// A user, role, cluster or token of an AuthN service.
    Authn(&'a Entity),
    /// A job, node or other thing of an AIStore cluster.
    Ais(&'a Entity),
    /// A thing of an Apolo cluster.
    Apolo(&'a Entity),
    /// A bucket was made.
    BucketCreated { url: String },
    /// A bucket was removed.
    BucketRemoved { url: String },
    /// A URL that needs no credentials.
    Signed {
        url: String,
        signed_url: String,
        method: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in_seconds: Option<u64>,
    },
    /// An object was removed.
    Removed { url: String },
    /// A file or object was copied.
    Copied { source: String, destination: String, bytes: u64 },
    /// A transfer that was interrupted.
    Unfinished {
        direction: &'static str,
        url: String,
        path: String,
        bytes: u64,
        done: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        changed: Option<String>,
        running: bool,
    },
    /// An interrupted transfer will not be taken up.
    GivenUp { url: String },
    /// Something that would be done, but for `--dry-run`.
    Would {
        action: &'static str,
        source: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        destination: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// A name under which two places differ: `+` only the first has it, `-` only the second, `!` both.
    Difference { sign: char, name: String },
    /// What is below a prefix.
    Usage { url: String, objects: u64, bytes: u64 },
    /// The end of a command that treats many items.
    Summary(Summary),
    /// How far a command has come.
    Progress {
        bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        items: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_items: Option<u64>,
        failed: u64,
        bytes_per_second: u64,
        seconds: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        eta_seconds: Option<u64>,
    },
    /// Something worth knowing that is no error.
    Notice { message: String },
    /// The command, or one item of many, failed.
    Error(ErrorReport),
    /// Where the embedded server is, for `dev --json`.
    #[cfg(feature = "dev")]
    #[serde(untagged)]
    Server {
        aistore: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        authn: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        s3: Option<S3Server>,
        #[serde(skip_serializing_if = "Option::is_none")]
        supabase: Option<Box<SupabaseServer>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        apolo: Option<Box<ApoloServer>>,
    },
    /// A line of text that is the result itself.
    #[cfg(feature = "dev")]
    #[serde(untagged)]
    Line { line: String },
}

/// An embedded Supabase Storage service. Its keys open nothing but what this server holds.
#[cfg(feature = "dev")]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SupabaseServer {
    pub(crate) url: String,
    pub(crate) anon_key: String,
    pub(crate) service_role_key: String,
    pub(crate) publishable_key: String,
    pub(crate) secret_key: String,
    pub(crate) jwt_secret: String,
    pub(crate) s3_access_key: String,
    pub(crate) s3_secret_key: String,
    pub(crate) s3_region: String,
}

/// An embedded Apolo buckets service. Its tokens open nothing but what this server holds.
#[cfg(feature = "dev")]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ApoloServer {
    pub(crate) url: String,
    pub(crate) cluster: String,
    pub(crate) org: String,
    pub(crate) project: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) passed_config: String,
}

/// An embedded S3 endpoint. Its keys open nothing but what this server holds.
#[cfg(feature = "dev")]
#[derive(Clone, Debug, Serialize)]
pub(crate) struct S3Server {
    pub(crate) url: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// Facts in the order in which they are shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Stat {
    pub(crate) url: String,
    #[serde(flatten)]
    pub(crate) facts: serde_json::Map<String, serde_json::Value>,
}

/// One thing of a service with its facts in the order in which they are shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entity {
    /// What it is: `user`, `role`, `job`, `node` and so on.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) facts: serde_json::Map<String, serde_json::Value>,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Stat { url: format!("{} {}", self.kind, self.name), facts: self.facts.clone() }.fmt(f)
    }
}

/// What a command did in all.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// What was done, in the past tense: `copied`, `removed`.
    pub(crate) action: &'static str,
    /// What was counted: `file`, `object`.
    #[serde(skip)]
    pub(crate) noun: &'static str,
    pub(crate) succeeded: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
    /// Needed nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unchanged: u64,
    /// Removed because the source lacks it.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) removed: u64,
    /// Headers and keys of metadata that the destination could not hold.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    pub(crate) seconds: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A failure in both forms.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ErrorReport {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    exit: u8,
}

impl From<&Told> for ErrorReport {
    fn from(told: &Told) -> Self {
        let error = told.cause.error();
        Self {
            message: told.to_string(),
            kind: error.map(|e| e.kind().to_string()),
            status: error.and_then(longshore::Error::status).map(|status| status.as_u16()),
            code: error.and_then(|e| e.code()).map(str::to_owned),
            hint: told.hint.clone(),
            exit: told.exit.code(),
        }
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { url }
            | Self::Prefix { url, long: false }
            | Self::Object { url, long: false, .. } => f.write_str(&printable(url)),
            Self::Prefix { url, long: true } => write!(f, "{:>20}  {:>10}  {}", "", "-", printable(url)),
            Self::Object { url, size, modified, long: true, .. } => {
                let modified = modified.as_deref().unwrap_or("-");
                write!(f, "{modified:>20}  {:>10}  {}", show_size(*size), printable(url))
            }
            Self::Total { objects, prefixes: 0, bytes } => {
                write!(f, "total: {}, {}", count(*objects, "object"), show_size(*bytes))
            }
            Self::Total { objects, prefixes, bytes } => {
                let (objects, prefixes) = (count(*objects, "object"), count(*prefixes, "prefix"));
                write!(f, "total: {objects}, {}, and {prefixes}", show_size(*bytes))
            }
            Self::Buckets { buckets } => write!(f, "total: {}", count(*buckets, "bucket")),
            Self::Stat(stat) => stat.fmt(f),
            Self::Authn(entity) | Self::Ais(entity) | Self::Apolo(entity) => entity.fmt(f),
            Self::BucketCreated { url } => write!(f, "created {url}"),
            Self::BucketRemoved { url } => write!(f, "removed bucket {url}"),
            Self::Signed { signed_url, .. } => f.write_str(signed_url),
            Self::Removed { url } => write!(f, "removed {}", printable(url)),
            Self::Copied { source, destination, .. } => {
                write!(f, "copied {} to {}", printable(source), printable(destination))
            }
            Self::Unfinished { direction, url, path, bytes, done, changed, running } => {
                let (url, path) = (printable(url), printable(path));
                match *direction {
                    "upload" => write!(f, "upload of {path} to {url}")?,
                    _ => write!(f, "download of {url} to {path}")?,
                }
                write!(f, ": {} of {}", show_size(*done), show_size(*bytes))?;
                match (running, changed) {
                    (true, _) => f.write_str(", running"),
                    (false, Some(changed)) => write!(f, ", last moved {changed}"),
                    (false, None) => Ok(()),
                }
            }
            Self::Would { action, source, destination, .. } => {
                write!(f, "would {action} {}", printable(source))?;
                destination.iter().try_for_each(|to| write!(f, " to {}", printable(to)))
            }
            Self::Difference { sign, name } => write!(f, "{sign} {}", printable(name)),
            Self::Usage { url, objects, bytes } => {
                let objects = count(*objects, "object");
                write!(f, "{:>10}  {objects:>16}  {}", show_size(*bytes), printable(url))
            }
            Self::GivenUp { url } => write!(f, "gave up the transfer of {}", printable(url)),
            Self::Summary(summary) => summary.fmt(f),
            #[cfg(feature = "dev")]
            Self::Server { aistore, .. } => f.write_str(aistore),
            #[cfg(feature = "dev")]
            Self::Line { line } => f.write_str(line),
            Self::Progress { .. } => crate::progress::line(f, self),
            Self::Notice { message } => f.write_str(&printable(message)),
            Self::Error(report) => {
                write!(f, "error: {}", printable(&report.message))?;
                report.hint.iter().try_for_each(|hint| write!(f, "\nhint: {}", printable(hint)))
            }
        }
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.url))?;
        let width = self.facts.keys().map(String::len).max().unwrap_or_default() + 1;
        for (name, value) in &self.facts {
            let label = format!("{}:", name.replace('_', " "));
            match value {
                serde_json::Value::String(text) => write!(f, "\n  {label:width$} {}", printable(text))?,
                serde_json::Value::Object(pairs) => {
                    write!(f, "\n  {label}")?;
                    for (key, value) in pairs {
                        let text = value
                            .as_str()
                            .map_or_else(|| value.to_string(), |text| printable(text).into_owned());
                        write!(f, "\n    {}: {text}", printable(key))?;
                    }
                }
                value => write!(f, "\n  {label:width$} {value}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = std::time::Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        write!(f, "{} {}", self.action, count(self.succeeded, self.noun))?;
        if let Some(bytes) = self.bytes {
            write!(f, ", {}", show_size(bytes))?;
        }
        write!(f, " in {}", show_duration(time))?;
        if let Some(bytes) = self.bytes.filter(|bytes| *bytes > 0) {
            write!(f, " ({})", show_rate(bytes, time))?;
        }
        for (number, what) in
            [(self.unchanged, "unchanged"), (self.skipped, "skipped"), (self.removed, "removed")]
        {
            if number > 0 {
                write!(f, ", {number} {what}")?;
            }
        }
        if self.lost > 0 {
            write!(f, ", {} of metadata lost", count(self.lost, "piece"))?;
        }
        if self.failed > 0 {
            write!(f, ", {} failed", self.failed)?;
        }
        Ok(())
    }
}

/// Names come from strangers: a control character in one must not drive the terminal, nor break the line.
fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let mut shown = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        shown.into()
    } else {
        text.into()
    }
}

/// Where messages go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output(Arc<Shared>);

struct Shared {
    json: bool,
    quiet: bool,
    verbose: bool,
    bars: MultiProgress,
    stdout: Mutex<BufWriter<io::Stdout>>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("json", &self.0.json)
            .field("quiet", &self.0.quiet)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Writes to the process's own standard output and error.
    pub(crate) fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        let bars = MultiProgress::new();
        let stdout = Mutex::new(BufWriter::with_capacity(64 << 10, io::stdout()));
        Self(Arc::new(Shared { json, quiet, verbose, bars, stdout }))
    }

    pub(crate) fn is_json(&self) -> bool {
        self.0.json
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.0.quiet
    }

    /// Whether single items of a large command are worth a line.
    pub(crate) fn shows_items(&self) -> bool {
        self.0.json || (self.0.verbose && !self.0.quiet)
    }

    /// The bars that this output works around.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.0.bars
    }

    /// Writes a result; it may stay in memory until [`flush`](Self::flush).
    pub(crate) fn print(&self, message: &Message<'_>) -> Result<(), Failure> {
        let line = self.line(message);
        self.write(line.as_bytes())
    }

    /// Writes raw bytes of an object.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = self.0.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        stdout.write_all(bytes).map_err(output_failure)
    }

    /// Writes a result and sends it off.
    pub(crate) fn print_now(&self, message: &Message<'_>) -> Result<(), Failure> {
        self.print(message)?;
        self.flush()
    }

    /// Sends off what [`print`](Self::print) kept.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        let flush = || self.0.stdout.lock().unwrap_or_else(PoisonError::into_inner).flush();
        // Bars share the terminal with the results only if both go to one.
        let result = if io::stdout().is_terminal() { self.0.bars.suspend(flush) } else { flush() };
        result.map_err(output_failure)
    }

    /// A result of a listing whose end is no part of it: to standard output as JSON, else to standard error.
    pub(crate) fn conclude(&self, message: &Message<'_>) -> Result<(), Failure> {
        if self.0.json {
            return self.print_now(message);
        }
        self.flush()?;
        self.notice(message);
        Ok(())
    }

    /// Tells something on standard error, unless told to be quiet.
    pub(crate) fn notice(&self, message: &Message<'_>) {
        if !self.0.quiet {
            self.tell(message);
        }
    }

    /// The same for a text.
    pub(crate) fn notice_text(&self, message: impl Into<String>) {
        self.notice(&Message::Notice { message: message.into() });
    }

    /// Tells something on standard error in any case.
    pub(crate) fn tell(&self, message: &Message<'_>) {
        let line = self.line(message);
        // When standard error is gone there is nobody left to tell.
        let write = || io::stderr().lock().write_all(line.as_bytes()).is_ok();
        if io::stderr().is_terminal() {
            self.0.bars.suspend(write)
        } else {
            write()
        };
    }

    fn line(&self, message: &Message<'_>) -> String {
        let mut line = if self.0.json {
            serde_json::to_string(message)
                .unwrap_or_else(|error| format!("{{\"type\":\"bug\",\"message\":\"{error}\"}}"))
        } else {
            message.to_string()
        };
        line.push('\n');
        line
    }
}

fn output_failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed { done: true },
        _ => Failure::io("cannot write to standard output", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(message: &Message<'_>) -> (String, String) {
        (message.to_string(), serde_json::to_string(message).unwrap())
    }

    #[test]
    fn every_message_has_two_forms() {
        let object = Message::Object {
            url: "ais://b/k".into(),
            size: 2048,
            modified: Some("2024-05-01T12:00:00Z".into()),
            version: None,
            checksum: None,
            long: true,
        };
        assert_eq!(
            both(&object),
            (
                "2024-05-01T12:00:00Z     2.0 KiB  ais://b/k".into(),
                r#"{"type":"object","url":"ais://b/k","size":2048,"modified":"2024-05-01T12:00:00Z"}"#.into()
            )
        );
        #[cfg(feature = "dev")]
        {
            let server = Message::Server {
                aistore: "http://127.0.0.1:1".into(),
                authn: None,
                s3: None,
                supabase: None,
                apolo: None,
            };
            assert_eq!(both(&server).1, r#"{"aistore":"http://127.0.0.1:1"}"#);
        }
        let total = Message::Total { objects: 1, prefixes: 2, bytes: 10 };
        assert_eq!(both(&total).0, "total: 1 object, 10 B, and 2 prefixes");
        assert_eq!(both(&total).1, r#"{"type":"total","objects":1,"prefixes":2,"bytes":10}"#);
    }

    #[test]
    fn errors_carry_what_scripts_branch_on() {
        let error = longshore::Error::new(longshore::ErrorKind::PermissionDenied, "no")
            .with_code("ErrBucketAccessDenied")
            .with_status(http::StatusCode::FORBIDDEN);
        let Failure::Told(told) = Failure::of("cannot remove x", error).or_hint("ask") else { panic!() };
        let (text, json) = both(&Message::Error(ErrorReport::from(&*told)));
        assert_eq!(text, "error: cannot remove x: no (HTTP 403, ErrBucketAccessDenied)\nhint: ask");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["type"], "error");
        assert_eq!((json["status"].as_u64(), json["exit"].as_u64()), (Some(403), Some(1)));
        assert_eq!(json["kind"], "permission denied");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(printable("naïve ☃"), "naïve ☃");
        let Failure::Told(told) = Failure::usage("a\u{1b}[2Jb").hint("c\nd") else { panic!() };
        assert_eq!(both(&Message::Error((&*told).into())).0, "error: a\\u{1b}[2Jb\nhint: c\\nd");
        assert_eq!(both(&Message::Notice { message: "a\rb".into() }).0, "a\\rb");
    }

    #[test]
    fn summaries_add_up() {
        let summary = Summary {
            action: "copied",
            noun: "file",
            succeeded: 3,
            skipped: 0,
            failed: 1,
            bytes: Some(4 << 20),
            seconds: 2.0,
            ..Summary::default()
        };
        assert_eq!(summary.to_string(), "copied 3 files, 4.0 MiB in 2.00 s (2.0 MiB/s), 1 failed");
        let json = serde_json::to_value(Message::Summary(summary)).unwrap();
        assert_eq!((json["type"].as_str(), json["failed"].as_u64()), (Some("summary"), Some(1)));
        assert!(json.get("skipped").is_none());
    }
}
