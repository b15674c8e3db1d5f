//! The textual form of faults.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Fault, FaultKind, Unsettled};
use crate::journal::NodeKind;

/// Names of operations that faults can select.
pub(super) const OPERATIONS: &[&str] = &[
    "any",
    "get",
    "head",
    "put",
    "delete",
    "patch",
    "post",
    "delete-many",
    "list",
    "copy",
    "append",
    "mpt-create",
    "mpt-part",
    "mpt-complete",
    "mpt-abort",
    "mpt-head",
    "mpt-list",
    "move",
    "sign",
    "bucket",
    "cluster",
    "batch",
    "login",
    "users",
    "roles",
    "clusters",
    "revoke",
    "authn",
];

/// Names of nodes that faults can select.
const NODES: &str = "gateway, target, authn, s3, supabase, apolo";

/// Why a textual fault is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad fault {text:?}: {reason}")]
pub struct ParseFaultError {
    text: String,
    reason: String,
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|reason| ParseFaultError { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Fault, String> {
    let mut items = split(text).into_iter();
    let operation = items.next().unwrap_or_default();
    if !OPERATIONS.contains(&operation) {
        return Err(format!("unknown operation {operation:?}, expected one of {}", OPERATIONS.join(", ")));
    }
    let mut fault = Fault::new(FaultKind::Close).operation(operation);
    let mut kind = None;
    let (mut chance, mut seed) = (None, 0);
    for item in items {
        let (name, value) = item.split_once('=').map_or((item, None), |(n, v)| (n, Some(v)));
        let value = |what: &str| value.ok_or_else(|| format!("{name} needs {what}"));
        match name {
            "key" => fault.key = Some(value("a pattern")?.to_owned()),
            "bucket" => fault.bucket = Some(value("a pattern")?.to_owned()),
            "method" => fault.method = Some(value("an HTTP method")?.to_ascii_uppercase()),
            "node" => {
                fault.node = Some(match value("a node")? {
                    "gateway" => NodeKind::Gateway,
                    "target" => NodeKind::Target,
                    "authn" => NodeKind::Authn,
                    "s3" => NodeKind::S3,
                    "supabase" => NodeKind::Supabase,
                    "apolo" => NodeKind::Apolo,
                    other => return Err(format!("unknown node {other:?}, expected one of {NODES}")),
                });
            }
            "count" => fault.count = Some(number(value("a number")?)?),
            "skip" => fault.skip = number(value("a number")?)?,
            "seed" => seed = number(value("a number")?)?,
            "chance" => {
                let text = value("a probability")?;
                let p: f64 = text.parse().map_err(|_| format!("{text:?} is no probability"))?;
                if !(0.0..=1.0).contains(&p) {
                    return Err(format!("probability {p} is not between 0 and 1"));
                }
                chance = Some(p);
            }
            _ => {
                let parsed = parse_kind(name, item.split_once('=').map(|(_, v)| v))?;
                if kind.replace(parsed).is_some() {
                    return Err("more than one kind of fault".into());
                }
            }
        }
    }
    fault.kind = kind.ok_or("it says where, but not what goes wrong")?;
    fault.chance = chance;
    fault.seed = seed;
    Ok(fault)
}

/// Splits at colons, but not inside the URL of `redirect-to=`.
fn split(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut rest = text;
    loop {
        let url = rest.strip_prefix("redirect-to=").and_then(|u| u.find("://").map(|i| (u, i)));
        let skip = match url {
            // Scheme and port belong to the URL: the item ends at the colon after the port.
            Some((u, scheme)) => {
                let host = scheme + 3;
                let port = u[host..].find(':').map_or(u.len(), |i| host + i + 1);
                "redirect-to=".len() + port
            }
            None => 0,
        };
        if let Some(end) = rest[skip..].find(':') {
            items.push(&rest[..skip + end]);
            rest = &rest[skip + end + 1..];
        } else {
            items.push(rest);
            return items;
        }
    }
}

fn parse_kind(name: &str, value: Option<&str>) -> Result<FaultKind, String> {
    let need = || value.ok_or_else(|| format!("{name} needs a value"));
    let bytes = || need().and_then(size);
    let none = |kind: FaultKind| match value {
        None => Ok(kind),
        Some(v) => Err(format!("{name} takes no value, got {v:?}")),
    };
    Ok(match name {
        "reset-at" => FaultKind::ResetAt(bytes()?),
        "stall-at" => FaultKind::StallAt(bytes()?),
        "stall" => none(FaultKind::StallHead)?,
        "delay" => FaultKind::Delay(duration(need()?)?),
        "rate" => FaultKind::Rate(bytes()?.max(1)),
        "truncate-at" => FaultKind::TruncateAt(bytes()?),
        "short-by" => FaultKind::ShortBy(bytes()?),
        "extra" => FaultKind::Extra(bytes()?),
        "wrong-range" => FaultKind::WrongRange(value.map_or(Ok(1), size)?),
        "wrong-range-body" => FaultKind::WrongRangeBody(value.map_or(Ok(1), size)?),
        "ignore-range" => none(FaultKind::IgnoreRange)?,
        "status" => {
            let text = need()?;
            let (code, after) = text.split_once('/').map_or((text, None), |(c, a)| (c, Some(a)));
            let code: u16 = code.parse().map_err(|_| format!("{code:?} is no status"))?;
            if !(400..600).contains(&code) {
                return Err(format!("status {code} is not between 400 and 599"));
            }
            FaultKind::Status { code, retry_after: after.map(number).transpose()? }
        }
        "wrong-checksum" => none(FaultKind::WrongChecksum)?,
        "redirect-dead" => none(FaultKind::RedirectDead)?,
        "redirect-to" => FaultKind::RedirectTo(need()?.to_owned()),
        "redirect-loop" => none(FaultKind::RedirectLoop)?,
        "replace" => none(FaultKind::Replace)?,
        "close" => none(FaultKind::Close)?,
        "byte-writes" => none(FaultKind::ByteWrites)?,
        "close-idle" => none(FaultKind::CloseIdle)?,
        "restart" => FaultKind::Restart(value.map_or(Ok(Duration::from_millis(100)), duration)?),
        "fail-after" => FaultKind::FailAfter(number(need()?)?),
        "unsettled" => FaultKind::Unsettled(match need()? {
            "rebalancing" => Unsettled::Rebalancing,
            "interrupted" => Unsettled::Interrupted,
            "maintenance" => Unsettled::Maintenance,
            other => {
                return Err(format!(
                    "unknown state {other:?}, expected rebalancing, interrupted or maintenance"
                ));
            }
        }),
        "no-space" => none(FaultKind::NoSpaceAt(0))?,
        "no-space-at" => FaultKind::NoSpaceAt(bytes()?),
        _ => return Err(format!("unknown setting or kind {name:?}")),
    })
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" | "K" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1_u64 << 30,
        unit => return Err(format!("unknown unit {unit:?} in {text:?}, expected KiB, MiB or GiB")),
    };
    number(digits)?.checked_mul(factor).ok_or_else(|| format!("{text:?} is too large"))
}

fn duration(text: &str) -> Result<Duration, String> {
    if let Some(ms) = text.strip_suffix("ms") {
        return number(ms).map(Duration::from_millis);
    }
    let seconds = text.strip_suffix('s').ok_or_else(|| format!("{text:?} needs a unit, ms or s"))?;
    number(seconds).map(Duration::from_secs)
}

pub(super) fn write(fault: &Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&fault.operation)?;
    for (name, value) in [("key", &fault.key), ("bucket", &fault.bucket), ("method", &fault.method)] {
        if let Some(value) = value {
            write!(f, ":{name}={value}")?;
        }
    }
    match fault.node {
        Some(NodeKind::Gateway) => f.write_str(":node=gateway")?,
        Some(NodeKind::Target) => f.write_str(":node=target")?,
        Some(NodeKind::Authn) => f.write_str(":node=authn")?,
        Some(NodeKind::S3) => f.write_str(":node=s3")?,
        Some(NodeKind::Supabase) => f.write_str(":node=supabase")?,
        Some(NodeKind::Apolo) => f.write_str(":node=apolo")?,
        None => {}
    }
    f.write_str(":")?;
    write_kind(&fault.kind, f)?;
    if fault.skip > 0 {
        write!(f, ":skip={}", fault.skip)?;
    }
    if let Some(count) = fault.count {
        write!(f, ":count={count}")?;
    }
    if let Some(chance) = fault.chance {
        write!(f, ":chance={chance}:seed={}", fault.seed)?;
    }
    Ok(())
}

fn write_kind(kind: &FaultKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        FaultKind::ResetAt(n) => write!(f, "reset-at={n}"),
        FaultKind::StallAt(n) => write!(f, "stall-at={n}"),
        FaultKind::StallHead => f.write_str("stall"),
        FaultKind::Delay(t) => write!(f, "delay={}ms", t.as_millis()),
        FaultKind::Rate(n) => write!(f, "rate={n}"),
        FaultKind::TruncateAt(n) => write!(f, "truncate-at={n}"),
        FaultKind::ShortBy(n) => write!(f, "short-by={n}"),
        FaultKind::Extra(n) => write!(f, "extra={n}"),
        FaultKind::WrongRange(n) => write!(f, "wrong-range={n}"),
        FaultKind::WrongRangeBody(n) => write!(f, "wrong-range-body={n}"),
        FaultKind::IgnoreRange => f.write_str("ignore-range"),
        FaultKind::Status { code, retry_after: None } => write!(f, "status={code}"),
        FaultKind::Status { code, retry_after: Some(s) } => write!(f, "status={code}/{s}"),
        FaultKind::WrongChecksum => f.write_str("wrong-checksum"),
        FaultKind::RedirectDead => f.write_str("redirect-dead"),
        FaultKind::RedirectTo(origin) => write!(f, "redirect-to={origin}"),
        FaultKind::RedirectLoop => f.write_str("redirect-loop"),
        FaultKind::Replace => f.write_str("replace"),
        FaultKind::Close => f.write_str("close"),
        FaultKind::ByteWrites => f.write_str("byte-writes"),
        FaultKind::CloseIdle => f.write_str("close-idle"),
        FaultKind::Restart(t) => write!(f, "restart={}ms", t.as_millis()),
        FaultKind::NoSpaceAt(0) => f.write_str("no-space"),
        FaultKind::NoSpaceAt(n) => write!(f, "no-space-at={n}"),
        FaultKind::FailAfter(n) => write!(f, "fail-after={n}"),
        FaultKind::Unsettled(Unsettled::Rebalancing) => f.write_str("unsettled=rebalancing"),
        FaultKind::Unsettled(Unsettled::Interrupted) => f.write_str("unsettled=interrupted"),
        FaultKind::Unsettled(Unsettled::Maintenance) => f.write_str("unsettled=maintenance"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in [
            "get:key=big*:reset-at=1048576:count=2",
            "any:close",
            "login:node=authn:status=503",
            "delete-many:node=s3:close",
            "put:bucket=b?:method=PUT:node=target:no-space-at=10:skip=1",
            "get:status=503/2",
            "get:status=429:chance=0.25:seed=9",
            "get:redirect-to=http://127.0.0.1:99:count=1",
            "get:redirect-to=http://example.invalid",
            "get:delay=20ms",
            "head:restart=100ms",
            "get:wrong-range=1",
            "get:wrong-range-body=4",
            "mpt-part:stall-at=0",
            "get:stall",
            "get:rate=100",
            "cluster:unsettled=maintenance:skip=2",
            "get:truncate-at=5",
            "get:short-by=1",
            "get:extra=3",
            "list:byte-writes",
            "get:close-idle",
            "get:replace:skip=1:count=1",
            "get:wrong-checksum",
            "get:ignore-range",
            "get:redirect-loop",
            "get:redirect-dead",
            "put:no-space",
        ] {
            assert_eq!(text.parse::<Fault>().map(|f| f.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("get:rate=1MiB".parse::<Fault>().map(|f| f.kind), Ok(FaultKind::Rate(1 << 20)));
        assert_eq!(
            "get:delay=2s".parse::<Fault>().map(|f| f.kind),
            Ok(FaultKind::Delay(Duration::from_secs(2)))
        );
    }

    #[test]
    fn what_is_refused() {
        for (text, reason) in [
            ("", "unknown operation"),
            ("fetch:close", "unknown operation"),
            ("get", "not what goes wrong"),
            ("get:count=1", "not what goes wrong"),
            ("get:close:stall", "more than one kind"),
            ("get:status=200", "between 400 and 599"),
            ("get:reset-at", "needs a value"),
            ("get:reset-at=5XB", "unknown unit"),
            ("get:delay=5", "needs a unit"),
            ("get:chance=2:close", "between 0 and 1"),
            ("get:node=x:close", "unknown node"),
            ("get:close=1", "takes no value"),
        ] {
            let error = text.parse::<Fault>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
