//! How a command fails: an exit code, what went wrong, and what to do next.

use std::{
    error::Error as _,
    fmt::{self, Write},
    io,
};

use longshore::{BucketName, Error, ErrorKind, Location, Resource, Scheme, transfer::TransferError};

use crate::interrupt::Signal;

/// Exit codes, part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command failed.
    Failed,
    /// The command line or the configuration is wrong; nothing was done.
    Usage,
    /// Some items failed, the others are done.
    SomeFailed,
    /// A signal ended it.
    Interrupted(Signal),
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::Interrupted(signal) => signal.exit_code(),
        }
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell.
    Told(Box<Told>),
    /// The reader of standard output went away. Said to nobody; `done` if nothing else was to do.
    Closed {
        /// Whether the output was all that the command was for.
        done: bool,
    },
}

/// A failure with its explanation.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) exit: Exit,
    /// What was being done, such as `cannot copy a to b`; empty if the rest says it.
    pub(crate) context: String,
    /// What went wrong.
    pub(crate) cause: Cause,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Cause {
    Text(String),
    Error(Error),
    Transfer(TransferError),
}

impl Cause {
    /// The error behind it, for those who branch on it.
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Self::Text(_) => None,
            Self::Error(error) => Some(error),
            Self::Transfer(error) => Some(error.reason()),
        }
    }
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let cause = Cause::Text(message.into());
        Self::Told(Box::new(Told { exit, context: String::new(), cause, hint: None }))
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A call failed; `context` says what it was for.
    pub(crate) fn of(context: impl Into<String>, error: Error) -> Self {
        let (exit, hint) = (exit_of(&error), hint(&error));
        Self::Told(Box::new(Told { exit, context: context.into(), cause: Cause::Error(error), hint }))
    }

    /// A transfer failed; it says itself what it was.
    pub(crate) fn transfer(error: TransferError) -> Self {
        let (exit, hint) = (exit_of(error.reason()), hint(error.reason()));
        Self::Told(Box::new(Told { exit, context: String::new(), cause: Cause::Transfer(error), hint }))
    }

    /// Reading or writing here failed.
    pub(crate) fn io(context: impl Into<String>, error: io::Error) -> Self {
        Self::of(context, Error::new(ErrorKind::LocalIo, "").with_source(error))
    }

    /// A signal ended it.
    pub(crate) fn interrupted(signal: Signal) -> Self {
        Self::new(Exit::Interrupted(signal), signal.to_string())
    }

    /// Adds what to do next, unless that is known already.
    pub(crate) fn or_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint.get_or_insert_with(|| hint.into());
        }
        self
    }

    /// Replaces what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint = Some(hint.into());
        }
        self
    }

    /// Whether it is only that somebody asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Told(told) => {
                matches!(told.exit, Exit::Interrupted(_))
                    || told.cause.error().is_some_and(|error| error.kind() == ErrorKind::Cancelled)
            }
            Self::Closed { .. } => false,
        }
    }

    /// The same in the middle of work that has effects: it is not done.
    pub(crate) fn unfinished(self) -> Self {
        match self {
            Self::Closed { .. } => Self::Closed { done: false },
            told @ Self::Told(_) => told,
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Told(told) => told.exit.code(),
            Self::Closed { done } => u8::from(!done),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.context.is_empty() {
            write!(f, "{}: ", self.context)?;
        }
        match &self.cause {
            Cause::Text(text) => f.write_str(text),
            Cause::Error(error) => f.write_str(&explain(error)),
            Cause::Transfer(error) => write!(f, "{error}: {}", explain(error.reason())),
        }
    }
}

fn exit_of(error: &Error) -> Exit {
    match error.kind() {
        ErrorKind::InvalidConfig => Exit::Usage,
        // A name that is wrong by itself was refused before anything was sent.
        ErrorKind::InvalidInput if error.status().is_none() => Exit::Usage,
        _ => Exit::Failed,
    }
}

/// An error with its causes in one line, and what went wrong besides.
pub(crate) fn explain(error: &Error) -> String {
    let mut text = match (error.kind(), error.message().is_empty(), error.source()) {
        // A bare file error says nothing that its cause does not say better.
        (ErrorKind::LocalIo, true, Some(cause)) => {
            let mut text = cause.to_string();
            let mut deeper = cause.source();
            while let Some(cause) = deeper {
                let _ = write!(text, ": {cause}");
                deeper = cause.source();
            }
            text
        }
        _ => error.chain(),
    };
    if let Some(excerpt) = error.response_excerpt().map(str::trim).filter(|excerpt| !excerpt.is_empty()) {
        let start: String = excerpt.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = write!(text, " [answer: {start}]");
    }
    for other in error.related() {
        let _ = write!(text, " [besides: {}]", other.chain());
    }
    text
}

/// What to do about an error that speaks for itself.
fn hint(error: &Error) -> Option<String> {
    if let Some(io) = local_cause(error) {
        return local_hint(io).map(str::to_owned);
    }
    if error.operation().starts_with("supabase.")
        && let Some(hint) = supabase_hint(error.kind(), error.message())
    {
        return Some(hint.to_owned());
    }
    if let Some(hint) = cloud_hint(error) {
        return Some(hint.to_owned());
    }
    Some(match (error.kind(), error.resource()) {
        (ErrorKind::NotFound, Some(place)) if is_bucket_missing(error) => match bucket_of(place) {
            Some(bucket) => missing_bucket(&bucket),
            None => return None,
        },
        (ErrorKind::NotFound, Some(Resource::Object { scheme, bucket, key })) => {
            let folder = key.as_str().rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            format!("see what is there with `longshore ls {}/{folder}`", written(*scheme, bucket))
        }
        (ErrorKind::PermissionDenied, Some(place)) => match bucket_of(place) {
            Some(bucket) => format!(
                "the access mask of {bucket} or the rights of your token forbid this; ask whoever owns the bucket, or use another token (AIS_AUTHN_TOKEN)"
            ),
            None => "your token does not allow this; use another one (AIS_AUTHN_TOKEN)".to_owned(),
        },
        (ErrorKind::Unauthenticated, _) => {
            "log in with `longshore authn login USER`, or give a valid token in AIS_AUTHN_TOKEN".to_owned()
        }
        (ErrorKind::Transport | ErrorKind::Timeout, _) => {
            "check that the server runs and that the address is right (--endpoint, AIS_ENDPOINT, or `endpoint` in the profile)".to_owned()
        }
        (ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Busy, _) => {
            "the server is busy or not ready; try again later, or with a smaller --concurrency".to_owned()
        }
        (ErrorKind::QuotaExceeded, _) => "free space at the server, or choose another bucket".to_owned(),
        (ErrorKind::ChecksumMismatch, _) => {
            "bytes were damaged on the way or at rest; run the command again, and tell the operators if it stays".to_owned()
        }
        (ErrorKind::PreconditionFailed, _) => "the object was changed meanwhile; run the command again".to_owned(),
        (ErrorKind::InvalidInput, _) if error.message().starts_with("unknown scheme") => {
            "a local file of such a name is written with `./` in front".to_owned()
        }
        (ErrorKind::InvalidInput, _) if error.message().starts_with("supabase://") => ENCODE.to_owned(),
        _ => return None,
    })
}

/// What to do about a bucket that is not there.
pub(crate) fn missing_bucket(bucket: &str) -> String {
    let service = scheme_of(bucket);
    format!(
        "create the bucket with `longshore mb {bucket}`, or see those that exist with `longshore ls {service}`"
    )
}

/// What to do about names that Supabase does not take.
const ENCODE: &str = "--encode-keys writes such names with other characters, and reads them back";

/// What to do about an error of Supabase that its users know by other names.
fn supabase_hint(kind: ErrorKind, message: &str) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Unauthenticated => {
            "give a key that the project knows in SUPABASE_SERVICE_ROLE_KEY or SUPABASE_KEY"
        }
        ErrorKind::PermissionDenied => {
            "the row-level policies of the project forbid this to whoever the key stands for; use the service_role key \
             (SUPABASE_SERVICE_ROLE_KEY), or add a policy"
        }
        ErrorKind::Transport | ErrorKind::Timeout => {
            "check that the server runs and that the address is right (SUPABASE_URL)"
        }
        ErrorKind::InvalidInput if message.contains("cannot hold an object named") => ENCODE,
        ErrorKind::QuotaExceeded => {
            "the object is over the limit of the bucket or of the project; \
             `longshore supabase bucket update --size-limit` changes the first"
        }
        _ => return None,
    })
}

/// What to do about an error of Apolo or of a cloud, whose users log in elsewhere than those of a cluster.
fn cloud_hint(error: &Error) -> Option<&'static str> {
    use ErrorKind::{PermissionDenied, Timeout, Transport, Unauthenticated};
    let own = match error.resource() {
        Some(Resource::Bucket { scheme, .. } | Resource::Object { scheme, .. }) => *scheme == Scheme::Blob,
        _ => false,
    };
    let service = if own { "apolo" } else { error.operation().split('.').next().unwrap_or_default() };
    Some(match (service, error.kind()) {
        ("apolo", Unauthenticated) => "log in with `apolo login`, or give a valid token in APOLO_TOKEN",
        ("apolo", PermissionDenied) => "your rights in the project do not allow this; ask whoever manages it",
        ("apolo", Transport | Timeout) => {
            "check that the platform can be reached and that its address is right (APOLO_API_URL)"
        }
        ("s3", Unauthenticated) => {
            "give a valid key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, with AWS_SESSION_TOKEN if it is a temporary one"
        }
        ("s3", PermissionDenied) => {
            "the rights of your key or the policy of the bucket do not allow this; use another key (AWS_ACCESS_KEY_ID)"
        }
        ("s3", Transport | Timeout) => {
            "check that the service can be reached and that its address is right (AWS_ENDPOINT_URL, or `s3-endpoint` in the profile)"
        }
        ("az", Unauthenticated) => "give a valid AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
        ("az", PermissionDenied) => {
            "your key or signature does not allow this; use another one (AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN)"
        }
        ("az", Transport | Timeout) => {
            "check that the service can be reached and that its address is right (AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ENDPOINT)"
        }
        ("gs", Unauthenticated) => {
            "log in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
        }
        ("gs", PermissionDenied) => {
            "your account may not do this; use another one (GOOGLE_APPLICATION_CREDENTIALS), or ask for a role on the bucket"
        }
        ("gs", Transport | Timeout) => {
            "check that the service can be reached and that its address is right (GOOGLE_BASE_URL)"
        }
        _ => return None,
    })
}

/// Whether it is the bucket that is not there, rather than the object.
pub(crate) fn is_bucket_missing(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && (matches!(error.resource(), Some(Resource::Bucket { .. }))
            || matches!(error.code(), Some("ErrBckNotFound" | "ErrRemoteBckNotFound" | "NoSuchBucket")))
}

fn bucket_of(place: &Resource) -> Option<String> {
    match place {
        Resource::Bucket { scheme, bucket } | Resource::Object { scheme, bucket, .. } => {
            Some(written(*scheme, bucket))
        }
        _ => None,
    }
}

/// A bucket as it is written on the command line; what follows `blob://` is a cluster.
fn written(scheme: Scheme, bucket: &BucketName) -> String {
    if scheme == Scheme::Blob { format!("blob:{bucket}") } else { format!("{scheme}://{bucket}") }
}

fn scheme_of(bucket: &str) -> &str {
    let end = bucket.find("://").map(|at| at + 3).or_else(|| bucket.find(':').map(|at| at + 1));
    end.map_or(bucket, |end| &bucket[..end])
}

/// The error of the local system behind it, if a file is what failed.
fn local_cause(error: &Error) -> Option<&io::Error> {
    if error.kind() != ErrorKind::LocalIo {
        return None;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn local_hint(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free space there or choose another destination, then run the command again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "check who owns it and its permissions, or choose another place"
        }
        io::ErrorKind::NotFound => "check the spelling; a relative path starts at the current folder",
        io::ErrorKind::IsADirectory => {
            "it is a folder: end it in `/` to copy into it, or use -r to copy all of it"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands where a folder is needed; choose another destination"
        }
        _ => return None,
    })
}

/// Reads a place from the command line.
pub(crate) fn parse_location(text: &str) -> Result<Location, Failure> {
    Location::parse(text).map_err(|error| Failure::of("", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(failure: Failure) -> Told {
        match failure {
            Failure::Told(told) => *told,
            Failure::Closed { .. } => panic!("nothing told"),
        }
    }

    fn bucket_error() -> Error {
        Error::new(ErrorKind::NotFound, "bucket \"ais://b\" does not exist")
            .with_code("ErrBckNotFound")
            .with_resource(Resource::Object {
                scheme: longshore::Scheme::Ais,
                bucket: "b".parse().unwrap(),
                key: "k".parse().unwrap(),
            })
    }

    #[test]
    fn a_missing_bucket_tells_how_to_make_one() {
        let told = told(Failure::of("cannot copy x to ais://b/k", bucket_error()));
        assert_eq!(told.exit, Exit::Failed);
        assert!(told.to_string().starts_with("cannot copy x to ais://b/k: ais://b/k: bucket"), "{told}");
        assert!(told.hint.unwrap().contains("`longshore mb ais://b`"));
    }

    #[test]
    fn bad_names_are_usage_errors() {
        let failure = parse_location("foo://b/k").unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(told(failure).hint.unwrap().contains("./"));
        let server_said = Error::new(ErrorKind::InvalidInput, "no").with_status(http_400());
        assert_eq!(Failure::of("", server_said).exit_code(), 1);
    }

    fn http_400() -> http::StatusCode {
        http::StatusCode::BAD_REQUEST
    }

    #[test]
    fn file_errors_say_what_to_do() {
        let failure = told(Failure::io("cannot write /x", io::Error::from(io::ErrorKind::StorageFull)));
        assert_eq!(failure.to_string(), "cannot write /x: no storage space");
        assert!(failure.hint.unwrap().contains("free space"));
    }

    #[test]
    fn the_first_hint_stays_unless_replaced() {
        let failure = Failure::usage("x").or_hint("a").or_hint("b");
        assert_eq!(told(failure).hint.as_deref(), Some("a"));
        assert_eq!(told(Failure::usage("x").or_hint("a").hint("b")).hint.as_deref(), Some("b"));
    }
}
