//! The `Range` header, read as AIStore reads it.

use http::StatusCode;

use super::error::{Fail, Result};

/// A part of an object, checked against its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Span {
    /// `Content-Range` for an object of `size` bytes. An empty span gives the odd text of the original.
    pub(crate) fn content_range(self, size: u64) -> String {
        let end = i128::from(self.start) + i128::from(self.len) - 1;
        format!("bytes {}-{end}/{size}", self.start)
    }

    /// The span moved by `shift`, backwards if it would pass the end; the same span if there is no room at all.
    pub(crate) fn displaced(self, shift: u64, size: u64) -> Self {
        let forward = self.start.checked_add(shift).filter(|s| s + self.len <= size);
        let start = forward.or_else(|| self.start.checked_sub(shift)).unwrap_or(self.start);
        Self { start, ..self }
    }
}

fn malformed(text: &str, why: &str) -> Fail {
    Fail::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("read range {text:?} is invalid {why}"))
}

/// Reads the header's value for the object called `object`.
pub(crate) fn parse(header: &str, size: u64, object: &str) -> Result<Span> {
    let Some(specs) = header.strip_prefix("bytes=") else { return Err(malformed(header, "(prefix)")) };
    if specs.trim().is_empty() {
        // The original closes the connection and keeps the object locked; see the crate's README.
        return Err(Fail::bad(format!("read range {header:?} is empty")));
    }
    let mut specs = specs.split(',').map(str::trim);
    let spec = specs.next().unwrap_or_default();
    let Some((first, last)) = spec.split_once('-') else { return Err(malformed(header, "(-)")) };
    if specs.next().is_some() {
        return Err(Fail::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            format!("cannot multi-range read {object} - operation not supported"),
        )
        .tcode("ErrUnsupp"));
    }
    let number = |text: &str| text.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok());
    if first.is_empty() {
        if last.is_empty() || last.starts_with('-') {
            return Err(malformed(spec, "as per RFC 7233 Section 2.1"));
        }
        let n = number(last).ok_or_else(|| malformed(spec, "(suffix)"))?.min(size);
        return Ok(Span { start: size - n, len: n });
    }
    let start = number(first).ok_or_else(|| malformed(spec, "(start)"))?;
    let end = if last.is_empty() {
        None
    } else {
        Some(number(last).filter(|&e| e >= start).ok_or_else(|| malformed(spec, "(end)"))?)
    };
    if start >= size {
        let message = format!("size={size}: not satisfiable range [{spec}]");
        return Err(Fail::new(StatusCode::RANGE_NOT_SATISFIABLE, message)
            .tcode("ErrRangeNotSatisfiable")
            .header("content-range", &format!("bytes */{size}")));
    }
    let end = end.map_or(size - 1, |e| e.min(size - 1));
    Ok(Span { start, len: end - start + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(header: &str, size: u64) -> Option<(u64, u64)> {
        parse(header, size, "ais://b/o").ok().map(|s| (s.start, s.len))
    }

    #[test]
    fn spans() {
        assert_eq!(span("bytes=0-4", 18), Some((0, 5)));
        assert_eq!(span("bytes= 0-4", 18), Some((0, 5)));
        assert_eq!(span("bytes=6-", 18), Some((6, 12)));
        assert_eq!(span("bytes=10-999", 18), Some((10, 8)));
        assert_eq!(span("bytes=-5", 18), Some((13, 5)));
        assert_eq!(span("bytes=-100", 18), Some((0, 18)));
    }

    #[test]
    fn odd_content_ranges() {
        assert_eq!(Span { start: 18, len: 0 }.content_range(18), "bytes 18-17/18");
        assert_eq!(Span { start: 0, len: 0 }.content_range(0), "bytes 0--1/0");
        assert_eq!(span("bytes=-0", 18), Some((18, 0)));
        assert_eq!(span("bytes=-5", 0), Some((0, 0)));
    }

    #[test]
    fn refusals() {
        for (header, message) in [
            ("bytes=18-", "size=18: not satisfiable range [18-]"),
            ("bytes=5-2", "read range \"5-2\" is invalid (end)"),
            ("items=0-4", "read range \"items=0-4\" is invalid (prefix)"),
            ("bytes=abc", "read range \"bytes=abc\" is invalid (-)"),
            ("bytes=-", "read range \"-\" is invalid as per RFC 7233 Section 2.1"),
            ("bytes=--5", "read range \"--5\" is invalid as per RFC 7233 Section 2.1"),
            ("bytes=0-99999999999999999999", "read range \"0-99999999999999999999\" is invalid (end)"),
            ("bytes=0-1,4-5", "cannot multi-range read ais://b/o - operation not supported"),
        ] {
            let error = parse(header, 18, "ais://b/o").expect_err(header);
            assert_eq!((error.message.as_str(), error.status.as_u16()), (message, 416));
        }
        assert_eq!(parse("bytes=", 18, "o").expect_err("empty").status.as_u16(), 400);
    }

    #[test]
    fn displacement_stays_inside() {
        assert_eq!(Span { start: 0, len: 4 }.displaced(1, 8), Span { start: 1, len: 4 });
        assert_eq!(Span { start: 4, len: 4 }.displaced(1, 8), Span { start: 3, len: 4 });
        assert_eq!(Span { start: 0, len: 8 }.displaced(1, 8), Span { start: 0, len: 8 });
    }
}
