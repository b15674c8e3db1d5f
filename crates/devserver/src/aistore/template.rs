//! Templates of object names: `img-{0001..0100..2}.jpg`, `img-@100`, `img-%06d`, or a plain prefix.
//!
//! A template is never expanded. The objects that begin with its literal start are walked and matched, so that a
//! template of a hundred million names costs no more than the bucket holds.

use super::error::{Fail, Result};

/// The longest number that fits.
const MAX_DIGITS: usize = 19;
/// Names from which on the original counts for longer than anyone waits.
const MANY: u64 = 10_000_000;

/// Which names are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// What every name begins with.
    pub(crate) prefix: String,
    /// Without ranges the template is a prefix.
    ranges: Vec<Range>,
}

/// Numbers, and the text that follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    start: u64,
    end: u64,
    step: u64,
    width: usize,
    gap: String,
}

impl Template {
    /// Reads a template; empty and `*` select everything.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(template) = Self::bash(text)? {
            return Ok(template);
        }
        if let Some(template) = Self::at(text).or_else(|| Self::printf(text)) {
            return Ok(template);
        }
        Ok(Self { prefix: text.strip_suffix('*').unwrap_or(text).to_owned(), ranges: Vec::new() })
    }

    /// `prefix{a..b..step}gap{c..d}suffix`; `None` without a pair of braces.
    fn bash(text: &str) -> Result<Option<Self>> {
        let pair = |s: &str| Some((s.find('{')?, s.find('}')?)).filter(|(open, close)| open < close);
        let Some((first, _)) = pair(text) else { return Ok(None) };
        let mut ranges = Vec::new();
        let mut rest = &text[first..];
        while let Some((open, close)) = pair(rest) {
            let range = Range::parse(text, &rest[open + 1..close])?;
            rest = &rest[close + 1..];
            let gap = rest[..rest.find('{').unwrap_or(rest.len())].to_owned();
            ranges.push(Range { gap, ..range });
        }
        Ok(Some(Self { prefix: text[..first].to_owned(), ranges }))
    }

    /// `prefix@100suffix`: 0 to 100.
    fn at(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once('@')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let end = rest[..digits].parse().ok()?;
        let range = Range { start: 0, end, step: 1, width: 0, gap: rest[digits..].to_owned() };
        Some(Self { prefix: prefix.to_owned(), ranges: vec![range] })
    }

    /// `prefix%06dsuffix`: all numbers.
    fn printf(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once('%')?;
        let (width, gap) = rest.split_once('d')?;
        let width = if width.is_empty() { 0 } else { width.strip_prefix('0')?.parse().ok()? };
        let range = Range { start: 0, end: u64::MAX, step: 1, width, gap: gap.to_owned() };
        Some(Self { prefix: prefix.to_owned(), ranges: vec![range] })
    }

    /// True if the original would count until it is stopped.
    pub(crate) fn is_endless(&self) -> bool {
        let count = |r: &Range| (r.end - r.start) / r.step;
        self.ranges.iter().map(count).fold(1_u64, |all, n| all.saturating_mul(n.saturating_add(1))) > MANY
    }

    /// True for a name that is meant.
    pub(crate) fn matches(&self, name: &str) -> bool {
        name.strip_prefix(self.prefix.as_str())
            .is_some_and(|rest| self.ranges.is_empty() || matches(&self.ranges, rest))
    }
}

fn matches(ranges: &[Range], text: &str) -> bool {
    let Some((range, more)) = ranges.split_first() else { return text.is_empty() };
    let digits = text.bytes().take(MAX_DIGITS).take_while(u8::is_ascii_digit).count();
    (1..=digits).any(|n| {
        let (number, rest) = text.split_at(n);
        range.has(number) && rest.strip_prefix(range.gap.as_str()).is_some_and(|rest| matches(more, rest))
    })
}

impl Range {
    fn parse(template: &str, inside: &str) -> Result<Self> {
        let invalid = |why: &str| {
            Fail::bad(format!("invalid 'bash' template {template:?}{why}")).tcode("errTemplateInvalid")
        };
        let parts: Vec<&str> = inside.split("..").collect();
        if !matches!(parts.len(), 2 | 3) {
            return Err(invalid(" (expecting e.g. 'prefix-{0001..0010..1}-suffix')"));
        }
        let numbers = parts.iter().map(|p| number(p)).collect::<Result<Vec<_>>>()?;
        let (start, end, step) = (numbers[0], numbers[1], numbers.get(2).copied().unwrap_or(1));
        if start > end {
            return Err(invalid(": 'start' cannot be greater than 'end'"));
        }
        let (Ok(start), Ok(end)) = (u64::try_from(start), u64::try_from(end)) else {
            return Err(invalid(": 'start' is negative"));
        };
        let step = u64::try_from(step).ok().filter(|s| *s > 0);
        let step = step.ok_or_else(|| invalid(": 'step' is non-positive"))?;
        Ok(Self { start, end, step, width: parts[0].len().min(parts[1].len()), gap: String::new() })
    }

    /// True for a number of the range, written with its padding.
    fn has(&self, text: &str) -> bool {
        let Ok(value) = text.parse::<u64>() else { return false };
        let written =
            text.len() == self.width || (text.len() > self.width && !text.starts_with('0')) || text == "0";
        written
            && text.len() >= self.width
            && (self.start..=self.end).contains(&value)
            && (value - self.start).is_multiple_of(self.step)
    }
}

fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| {
        Fail::bad(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")).tcode("NumError")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(template: &str, names: &[&str]) -> Vec<String> {
        let template = Template::parse(template).expect(template);
        names.iter().filter(|n| template.matches(n)).map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn ranges() {
        let padded =
            ["obj-0000.txt", "obj-0001.txt", "obj-0005.txt", "obj-0010.txt", "obj-1.txt", "obj-00001.txt"];
        assert_eq!(selects("obj-{0001..0003}.txt", &padded), ["obj-0001.txt"]);
        assert_eq!(
            selects("obj-{0000..0010..5}.txt", &padded),
            ["obj-0000.txt", "obj-0005.txt", "obj-0010.txt"]
        );
        assert_eq!(selects("n-{01..3}", &["n-1", "n-01", "n-3", "n-4"]), ["n-1", "n-3"]);
        assert_eq!(selects("n-{0..12..4}", &["n-0", "n-4", "n-6", "n-12"]), ["n-0", "n-4", "n-12"]);
        assert_eq!(selects("{0..3}", &["0", "3", "4", "00"]), ["0", "3"]);
        let two = ["obj-0000.txt", "obj-0001.txt", "obj-0010.txt", "obj-0020.txt"];
        assert_eq!(
            selects("obj-{000..001}{0..1}.txt", &two),
            ["obj-0000.txt", "obj-0001.txt", "obj-0010.txt"]
        );
    }

    #[test]
    fn other_styles() {
        assert_eq!(selects("p-@3-s", &["p-0-s", "p-3-s", "p-4-s", "p-3"]), ["p-0-s", "p-3-s"]);
        assert_eq!(selects("n-@3", &["n-3", "n-33"]), ["n-3"]);
        assert_eq!(selects("o-%04d.t", &["o-0001.t", "o-1.t", "o-12345.t"]), ["o-0001.t", "o-12345.t"]);
        assert_eq!(selects("x-*", &["x-a", "y"]), ["x-a"]);
        assert_eq!(selects("pre", &["pre", "pre/sub", "p"]), ["pre", "pre/sub"]);
        assert_eq!(selects("*", &["a", "b"]), ["a", "b"]);
        assert_eq!(selects("n-{1..3", &["n-1", "n-{1..3"]), ["n-{1..3"]);
        assert_eq!(selects("n-1..3}", &["n-1"]), Vec::<String>::new());
        assert_eq!(selects("\\{0..3}", &["0", "\\0"]), ["\\0"]);
        assert_eq!(selects("a@b", &["a@b", "a0"]), ["a@b"]);
    }

    #[test]
    fn refusals() {
        for (template, why) in [
            ("n-{3..1}", "'start' cannot be greater than 'end'"),
            ("n-{-1..2}", "'start' is negative"),
            ("n-{0..4..0}", "'step' is non-positive"),
            ("n-{0..4..-1}", "'step' is non-positive"),
            ("x-{a,b}", "(expecting e.g."),
            ("n-{}", "(expecting e.g."),
            ("n-{0..4..2..1}", "(expecting e.g."),
            ("n-{1..}", "parsing \"\": invalid syntax"),
            ("n-{ 1..3 }", "parsing \" 1\": invalid syntax"),
            ("n-{1..{2..3}}", "parsing \"{2\": invalid syntax"),
        ] {
            let fail = Template::parse(template).expect_err(template);
            assert!(fail.message.contains(why), "{template}: {}", fail.message);
        }
    }

    #[test]
    fn endless() {
        for (template, endless) in
            [("a-%d", true), ("a-{0..99999999}", true), ("a-{0..999}", false), ("a-{0..9999}{0..9999}", true)]
        {
            assert_eq!(Template::parse(template).expect(template).is_endless(), endless, "{template}");
        }
    }
}
