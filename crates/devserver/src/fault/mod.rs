//! Faults: what the server does wrong on request.
//!
//! A [`Fault`] is a [`FaultKind`] and a selection of the requests that suffer it. Faults are tried in the order in
//! which they were added; the first that selects a request and is not used up applies.
//!
//! # Textual form
//!
//! `OPERATION[:SETTING...]:KIND[:SETTING...]`, for example `get:key=big*:reset-at=1MiB:count=2`.
//!
//! | part | values |
//! |---|---|
//! | operation | `any`, `get`, `head`, `put`, `delete`, `patch`, `post`, `list`, `copy`, `append`, `mpt-create`, `mpt-part`, `mpt-complete`, `mpt-abort`, `bucket` (any other bucket call), `cluster` (health, maps, jobs), `batch` |
//! | selection | `key=GLOB`, `bucket=GLOB` (`*` and `?`), `method=GET`, `node=gateway`, `node=target` |
//! | dosage | `count=N` (default: no limit), `skip=N` (lets the first N pass), `chance=0.25` with `seed=N` |
//! | kind | see [`FaultKind`] |
//!
//! Sizes take `KiB`, `MiB`, `GiB` or plain bytes; times `ms` or `s`. Unless `node=` says otherwise, a fault applies
//! where the operation is carried out: redirect faults at the gateway, the others at the node that gives the final
//! answer.

mod active;
mod parse;

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

pub use parse::ParseFaultError;

pub(crate) use active::{CutEnd, Plan, Shape};

use crate::journal::NodeKind;
use crate::sync::lock;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// `reset-at=N`: the connection is reset (RST) after N bytes of the body: of the answer's, or for an upload of the
    /// request's.
    ResetAt(u64),
    /// `stall-at=N`: after N bytes of the body nothing more happens; the connection stays open.
    StallAt(u64),
    /// `stall`: the answer's head never comes.
    StallHead,
    /// `delay=T`: the request is handled after a pause.
    Delay(Duration),
    /// `rate=N`: the body flows at N bytes per second.
    Rate(u64),
    /// `truncate-at=N`: the connection is closed in order after N bytes of a longer body that was announced whole.
    TruncateAt(u64),
    /// `short-by=N`: the body lacks its last N bytes, and the announced length agrees with that.
    ShortBy(u64),
    /// `extra=N`: N bytes more than announced follow the body on the connection.
    Extra(u64),
    /// `wrong-range=N`: a range request gets the range that lies N bytes further (or nearer, if there is none), with a
    /// `Content-Range` that says so.
    WrongRange(u64),
    /// `wrong-range-body=N`: as `wrong-range`, but `Content-Range` claims the range that was asked for.
    WrongRangeBody(u64),
    /// `ignore-range`: a range request gets 200 and the whole object.
    IgnoreRange,
    /// `status=503`, `status=503/2` (with `Retry-After: 2`): the request is refused.
    Status {
        /// HTTP status, 400 to 599.
        code: u16,
        /// Seconds of the `Retry-After` header.
        retry_after: Option<u64>,
    },
    /// `wrong-checksum`: checksum headers hold a value of the right form that is not the object's.
    WrongChecksum,
    /// `redirect-dead`: the redirect leads to a loopback port where nobody listens.
    RedirectDead,
    /// `redirect-to=http://HOST:PORT`: the redirect leads to another origin.
    RedirectTo(String),
    /// `redirect-loop`: the redirect leads back to the gateway.
    RedirectLoop,
    /// `replace`: before the request is handled, the object is overwritten with other bytes of the same length.
    Replace,
    /// `close`: the connection is closed before the head of the answer.
    Close,
    /// `byte-writes`: the answer is written to the connection one byte at a time.
    ByteWrites,
    /// `close-idle`: after the answer the connection is closed although it was announced as kept alive.
    CloseIdle,
    /// `restart=T`: the node's listener and all its connections are closed, and opened again after T.
    Restart(Duration),
    /// `no-space`, `no-space-at=N`: the disk is full when byte N of the body is to be written (507).
    NoSpaceAt(u64),
    /// `fail-after=N`: a list of the Apolo buckets service fails after N entries. One that is sent line by line ends with
    /// a line that says so, its status being 200; any other is a 500.
    FailAfter(u64),
    /// `unsettled=rebalancing`, `unsettled=interrupted`, `unsettled=maintenance`: the cluster says of a target that it moves
    /// objects about, that it was interrupted doing so, or that it is under maintenance.
    Unsettled(Unsettled),
}

/// Why a cluster is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsettled {
    /// A rebalance runs.
    Rebalancing,
    /// A rebalance did not get to its end.
    Interrupted,
    /// A target is under maintenance.
    Maintenance,
}

impl FaultKind {
    /// Faults of the redirect itself: they belong to the gateway.
    fn is_redirect(&self) -> bool {
        matches!(self, Self::RedirectDead | Self::RedirectTo(_) | Self::RedirectLoop)
    }
}

/// A fault and the requests that suffer it.
///
/// ```
/// use longshore_devserver::{Fault, FaultKind};
///
/// let fault = Fault::new(FaultKind::ResetAt(1 << 20)).operation("get").key("big*").count(2);
/// assert_eq!(fault.to_string(), "get:key=big*:reset-at=1048576:count=2");
/// assert_eq!("get:key=big*:reset-at=1MiB:count=2".parse::<Fault>().unwrap(), fault);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    kind: FaultKind,
    operation: String,
    key: Option<String>,
    bucket: Option<String>,
    method: Option<String>,
    node: Option<NodeKind>,
    count: Option<u64>,
    skip: u64,
    chance: Option<f64>,
    seed: u64,
}

impl Fault {
    /// A fault that every request suffers, without limit.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            operation: "any".into(),
            key: None,
            bucket: None,
            method: None,
            node: None,
            count: None,
            skip: 0,
            chance: None,
            seed: 0,
        }
    }

    /// Only requests of this operation; names are listed in the [crate documentation](crate).
    #[must_use]
    pub fn operation(mut self, name: impl Into<String>) -> Self {
        self.operation = name.into();
        self
    }

    /// Only requests for an object whose key matches the pattern (`*` and `?`).
    #[must_use]
    pub fn key(mut self, glob: impl Into<String>) -> Self {
        self.key = Some(glob.into());
        self
    }

    /// Only requests for a bucket whose name matches the pattern (`*` and `?`).
    #[must_use]
    pub fn bucket(mut self, glob: impl Into<String>) -> Self {
        self.bucket = Some(glob.into());
        self
    }

    /// Only requests with this HTTP method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only requests that reach this kind of node.
    #[must_use]
    pub fn node(mut self, node: NodeKind) -> Self {
        self.node = Some(node);
        self
    }

    /// At most this many requests. Default: no limit.
    #[must_use]
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Lets the first `skip` selected requests pass. Default: 0.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Applies to a selected request with this probability, drawn from a generator that starts at `seed`.
    #[must_use]
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.chance = Some(probability);
        self.seed = seed;
        self
    }

    /// What goes wrong.
    pub fn kind(&self) -> &FaultKind {
        &self.kind
    }

    fn selects(&self, target: &Candidate<'_>) -> bool {
        let here = match self.node {
            Some(node) => node == target.node,
            None if self.kind.is_redirect() => target.node == NodeKind::Gateway && target.redirected,
            None => target.node == NodeKind::Target || !target.redirected,
        };
        let glob = |pattern: &Option<String>, text: Option<&str>| {
            pattern.as_deref().is_none_or(|p| text.is_some_and(|t| glob_matches(p, t)))
        };
        here && (self.operation == "any" || self.operation == target.operation)
            && glob(&self.key, target.key)
            && glob(&self.bucket, target.bucket)
            && self.method.as_deref().is_none_or(|m| m.eq_ignore_ascii_case(target.method))
    }
}

/// The request that a fault may select.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) node: NodeKind,
    /// True if the node is a gateway that passes such requests on to a target.
    pub(crate) redirected: bool,
    pub(crate) operation: &'a str,
    pub(crate) method: &'a str,
    pub(crate) bucket: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
}

/// Identifies a fault that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

/// The faults of a running server. Changes apply to the next request.
#[derive(Debug, Default)]
pub struct Faults {
    inner: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    id: FaultId,
    fault: Fault,
    seen: u64,
    applied: u64,
    random: fastrand::Rng,
}

impl Faults {
    /// Arms a fault.
    pub fn add(&self, fault: Fault) -> FaultId {
        let mut list = lock(&self.inner);
        let id = FaultId(list.next);
        list.next += 1;
        let random = fastrand::Rng::with_seed(fault.seed);
        list.armed.push(Armed { id, fault, seen: 0, applied: 0, random });
        id
    }

    /// Arms a fault given in its textual form.
    pub fn add_str(&self, text: &str) -> Result<FaultId, ParseFaultError> {
        Ok(self.add(text.parse()?))
    }

    /// Disarms a fault; false if it was not armed.
    pub fn remove(&self, id: FaultId) -> bool {
        let mut list = lock(&self.inner);
        let before = list.armed.len();
        list.armed.retain(|a| a.id != id);
        list.armed.len() != before
    }

    /// Disarms all faults.
    pub fn clear(&self) {
        lock(&self.inner).armed.clear();
    }

    /// How many requests a fault was applied to; 0 once it is removed.
    pub fn applied(&self, id: FaultId) -> u64 {
        lock(&self.inner).armed.iter().find(|a| a.id == id).map_or(0, |a| a.applied)
    }

    /// The fault that the request suffers, counted as applied.
    pub(crate) fn choose(&self, candidate: &Candidate<'_>) -> Option<Fault> {
        let mut list = lock(&self.inner);
        for armed in &mut list.armed {
            if armed.fault.count.is_some_and(|c| armed.applied >= c) || !armed.fault.selects(candidate) {
                continue;
            }
            armed.seen += 1;
            if armed.seen <= armed.fault.skip {
                continue;
            }
            if armed.fault.chance.is_some_and(|p| armed.random.f64() >= p) {
                continue;
            }
            armed.applied += 1;
            return Some(armed.fault.clone());
        }
        None
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        parse::write(self, f)
    }
}

/// Shell-like match: `*` any run of characters, `?` one character.
fn glob_matches(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut pi, mut ti, mut star) = (0, 0, None);
    while ti < t.len() {
        if pi < p.len() && (p[pi] == '?' || (p[pi] != '*' && p[pi] == t[ti])) {
            pi += 1;
            ti += 1;
        } else if pi < p.len() && p[pi] == '*' {
            star = Some((pi, ti));
            pi += 1;
        } else if let Some((sp, st)) = star {
            pi = sp + 1;
            ti = st + 1;
            star = Some((sp, st + 1));
        } else {
            return false;
        }
    }
    p[pi..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(key: &str) -> Candidate<'_> {
        Candidate {
            node: NodeKind::Target,
            redirected: true,
            operation: "get",
            method: "GET",
            bucket: Some("b"),
            key: Some(key),
        }
    }

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("big*", "bigger", true),
            ("big*", "abig", false),
            ("*a?c*", "xxabcxx", true),
            ("a?", "a", false),
            ("*.txt", "a.txt.txt", true),
        ] {
            assert_eq!(glob_matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn skip_then_count() {
        let faults = Faults::default();
        let id = faults.add(Fault::new(FaultKind::Close).operation("get").skip(1).count(2));
        let hits: Vec<_> = (0..5).map(|_| faults.choose(&get("k")).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert_eq!(faults.applied(id), 2);
        assert!(faults.remove(id) && !faults.remove(id));
    }

    #[test]
    fn redirect_faults_apply_at_the_gateway_and_others_at_the_target() {
        let at_gateway = Candidate { node: NodeKind::Gateway, ..get("k") };
        let faults = Faults::default();
        faults.add(Fault::new(FaultKind::RedirectDead));
        assert!(faults.choose(&get("k")).is_none());
        assert!(faults.choose(&at_gateway).is_some());
        faults.clear();
        faults.add(Fault::new(FaultKind::Close));
        assert!(faults.choose(&at_gateway).is_none());
        assert!(faults.choose(&get("k")).is_some());
        let listing = Candidate { operation: "list", redirected: false, ..at_gateway };
        assert!(faults.choose(&listing).is_some());
    }

    #[test]
    fn chance_repeats_with_its_seed() {
        let draw = || {
            let faults = Faults::default();
            faults.add(Fault::new(FaultKind::Close).chance(0.5, 7));
            (0..32).map(|_| faults.choose(&get("k")).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
        assert!(draw().contains(&true) && draw().contains(&false));
    }
}
