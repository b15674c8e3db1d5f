//! Which objects of a bucket a group is: names, a range, or a template.

use std::fmt;

use longshore_core_types::{Error, ObjectKey, Result};

use crate::names::{check_object_name, invalid};

/// A selection of objects, never an empty one: to the server that would be the whole bucket.
///
/// ```
/// # use longshore_aistore::Collection;
/// let shards: Collection = "shard-{0000..0003}.tar".parse()?;
/// let names: Vec<String> = shards.names().unwrap().collect();
/// assert_eq!(names[3], "shard-0003.tar");
/// assert!("shard-{3..1}".parse::<Collection>().is_err());
/// # Ok::<(), longshore_core_types::Error>(())
/// ```
#[doc(alias = "ObjectNames")]
#[doc(alias = "ObjectTemplate")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Names(Vec<String>),
    Template { text: String, parts: Template },
    Prefix(String),
}

/// A template that was read: text, ranges and text in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    ranges: Vec<(String, NumberRange)>,
    suffix: String,
}

/// Numbers of a template, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NumberRange {
    first: u64,
    last: u64,
    step: u64,
    width: usize,
}

impl NumberRange {
    /// How many they are; one too few of all that there are, which are too many anyway.
    fn count(&self) -> u64 {
        ((self.last - self.first) / self.step).saturating_add(1)
    }
}

/// Most names that a template may stand for: the server counts through them all, however few exist.
const MOST_NAMES: u64 = 10_000_000;

/// Most digits of a number: no part of a name has more characters.
const MOST_DIGITS: usize = 255;

impl Collection {
    /// These objects. `InvalidInput` if there are none, one twice, or a name that AIStore does not accept.
    pub fn names_of<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        if names.is_empty() {
            return Err(invalid("a selection of no objects would be the whole bucket to the server"));
        }
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        if let Some([name, ..]) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(invalid(format!("{name:?} is selected twice")));
        }
        for name in &names {
            check_object_name(&ObjectKey::new(name)?, false)?;
        }
        Ok(Self(Kind::Names(names)))
    }

    /// All objects whose names start with this; the empty prefix is refused, see [`everything`](Self::everything).
    pub fn prefix(prefix: impl Into<String>) -> Result<Self> {
        let prefix = prefix.into();
        crate::names::check_prefix(&prefix)?;
        if prefix.is_empty() {
            return Err(invalid("the empty prefix selects the whole bucket; if that is meant, say so"));
        }
        // The server reads some texts as a range or as an endless count, and drops a final `*`.
        if prefix.ends_with('*') || prefix.contains(['{', '}', '%', '@']) {
            return Err(invalid(format!("the server reads {prefix:?} as a template, not as a prefix")));
        }
        Ok(Self(Kind::Prefix(prefix)))
    }

    /// All objects of the bucket.
    pub fn everything() -> Self {
        Self(Kind::Prefix(String::new()))
    }

    /// Numbered objects: `prefix`, a number of at least `width` digits, `suffix`.
    #[doc(alias = "ObjectRange")]
    pub fn range(
        prefix: &str,
        numbers: std::ops::RangeInclusive<u64>,
        width: usize,
        step: u64,
        suffix: &str,
    ) -> Result<Self> {
        if width > MOST_DIGITS {
            return Err(invalid(format!("a number of {width} digits; {MOST_DIGITS} is most")));
        }
        let (first, last) = numbers.into_inner();
        format!("{prefix}{{{first:0width$}..{last:0width$}..{step}}}{suffix}").parse()
    }

    /// The names, one by one; `None` of a prefix, which only the cluster can resolve.
    pub fn names(&self) -> Option<Box<dyn Iterator<Item = String> + Send + '_>> {
        match &self.0 {
            Kind::Names(names) => Some(Box::new(names.iter().cloned())),
            Kind::Template { parts, .. } => Some(Box::new(parts.names())),
            Kind::Prefix(_) => None,
        }
    }

    /// The name at this place; `None` behind the last, and of a prefix.
    pub(crate) fn name_at(&self, index: u64) -> Option<String> {
        match &self.0 {
            Kind::Names(names) => names.get(usize::try_from(index).ok()?).cloned(),
            Kind::Template { parts, .. } => (index < parts.count()).then(|| parts.name(index)),
            Kind::Prefix(_) => None,
        }
    }

    /// Whether it is a template with a range in braces.
    pub(crate) fn is_braces(&self) -> bool {
        matches!(&self.0, Kind::Template { text, .. } if text.contains('{'))
    }

    /// As the selection goes over the wire.
    pub(crate) fn to_wire(&self) -> Selection<'_> {
        match &self.0 {
            Kind::Names(names) => Selection { names: Some(names), template: None },
            Kind::Template { text, .. } => Selection { names: None, template: Some(text) },
            Kind::Prefix(prefix) => Selection { names: None, template: Some(prefix) },
        }
    }
}

/// The selection fields of a message.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Selection<'a> {
    #[serde(rename = "objnames", skip_serializing_if = "Option::is_none")]
    names: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
}

impl std::str::FromStr for Collection {
    type Err = Error;

    /// Reads a template: `prefix{first..last[..step]}suffix` with any number of ranges, or `prefix@last-suffix`.
    ///
    /// A text without a range is refused: to the server it would be a prefix, which [`Collection::prefix`] says
    /// plainly.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(parts) = read_braces(text)? {
            return Ok(Self(Kind::Template { text: text.to_owned(), parts }));
        }
        if let Some(parts) = read_at(text)? {
            return Ok(Self(Kind::Template { text: text.to_owned(), parts }));
        }
        if text.contains('%') {
            return Err(invalid(format!("the template {text:?} counts without end on the server")));
        }
        Err(invalid(format!("{text:?} has no range such as {{1..9}}; the server would read it as a prefix")))
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Names(names) if names.len() == 1 => f.write_str(&names[0]),
            Kind::Names(names) => write!(f, "{} objects", names.len()),
            Kind::Template { text, .. } => f.write_str(text),
            Kind::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

fn malformed(text: &str, why: &str) -> Error {
    invalid(format!("the template {text:?} is malformed: {why}"))
}

/// `None` if there are no braces at all.
fn read_braces(text: &str) -> Result<Option<Template>> {
    if !text.contains(['{', '}']) {
        return Ok(None);
    }
    let (mut ranges, mut rest) = (Vec::new(), text);
    loop {
        match (rest.find('{'), rest.find('}')) {
            (Some(open), Some(close)) if open < close => {
                let range = read_range(text, &rest[open + 1..close])?;
                ranges.push((rest[..open].to_owned(), range));
                rest = &rest[close + 1..];
            }
            (None, None) => break,
            // The server would read the whole text as a prefix.
            _ => return Err(malformed(text, "braces do not match")),
        }
    }
    check_names(text, Template { ranges, suffix: rest.to_owned() }).map(Some)
}

fn read_range(text: &str, range: &str) -> Result<NumberRange> {
    let parts: Vec<&str> = range.split("..").collect();
    let number = |digits: &str| -> Result<u64> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed(
                text,
                "a range is {first..last} or {first..last..step}, of decimal digits",
            ));
        }
        digits.parse().map_err(|_| malformed(text, "a number is too large"))
    };
    let (first, last, step) = match parts.as_slice() {
        [first, last] => (first, last, 1),
        [first, last, step] => (first, last, number(step)?),
        _ => return Err(malformed(text, "a range is {first..last} or {first..last..step}")),
    };
    let width = first.len().min(last.len());
    if width > MOST_DIGITS {
        return Err(malformed(text, "a number has more than 255 digits"));
    }
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(malformed(text, "a range ends before it begins"));
    }
    if step == 0 {
        return Err(malformed(text, "the step of a range is 0"));
    }
    Ok(NumberRange { first, last, step, width })
}

/// `prefix@100suffix`: numbers from 0 on. `None` if there is no number behind an `@`.
fn read_at(text: &str) -> Result<Option<Template>> {
    let (mut ranges, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('@') {
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Ok(None);
        }
        let end = at + 1 + digits;
        let last = rest[at + 1..end].parse().map_err(|_| malformed(text, "a number is too large"))?;
        ranges.push((rest[..at].to_owned(), NumberRange { first: 0, last, step: 1, width: 0 }));
        rest = &rest[end..];
    }
    if ranges.is_empty() {
        return Ok(None);
    }
    check_names(text, Template { ranges, suffix: rest.to_owned() }).map(Some)
}

fn check_names(text: &str, template: Template) -> Result<Template> {
    let count = template.ranges.iter().try_fold(1_u64, |all, (_, range)| all.checked_mul(range.count()));
    if count.is_none_or(|count| count > MOST_NAMES) {
        return Err(malformed(
            text,
            "it stands for more than 10,000,000 names, which a cluster counts through",
        ));
    }
    // All names differ in digits only, so the first one stands for them.
    if let Some(name) = template.names().next() {
        check_object_name(&ObjectKey::new(name)?, false)?;
    }
    Ok(template)
}

impl Template {
    /// All names, the rightmost range fastest.
    fn names(&self) -> impl Iterator<Item = String> + Send + '_ {
        (0..self.count()).map(|index| self.name(index))
    }

    /// How many names it stands for, which was checked to be no overflow.
    fn count(&self) -> u64 {
        self.ranges.iter().map(|(_, range)| range.count()).product()
    }

    fn name(&self, mut index: u64) -> String {
        let mut numbers: Vec<String> = Vec::with_capacity(self.ranges.len());
        for (_, range) in self.ranges.iter().rev() {
            let number = range.first + index % range.count() * range.step;
            numbers.push(format!("{number:0width$}", width = range.width));
            index /= range.count();
        }
        let numbers = numbers.iter().rev();
        let pieces = self.ranges.iter().zip(numbers).flat_map(|((gap, _), number)| [gap, number]);
        let mut name: String = pieces.map(String::as_str).collect();
        name.push_str(&self.suffix);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Vec<String> {
        let collection: Collection = text.parse().unwrap();
        collection.names().unwrap().collect()
    }

    #[test]
    fn templates_as_a_cluster_reads_them() {
        for (template, names) in [
            ("obj-{0001..0003}.txt", &["obj-0001.txt", "obj-0002.txt", "obj-0003.txt"][..]),
            ("obj-{0000..0010..5}.txt", &["obj-0000.txt", "obj-0005.txt", "obj-0010.txt"]),
            ("n-{0..12..4}", &["n-0", "n-4", "n-8", "n-12"]),
            ("n-{01..3}", &["n-1", "n-2", "n-3"]),
            ("n-{5..5}", &["n-5"]),
            ("o-{000..001}{0..1}.t", &["o-0000.t", "o-0001.t", "o-0010.t", "o-0011.t"]),
            ("{0..3}", &["0", "1", "2", "3"]),
            ("p-@3-s", &["p-0-s", "p-1-s", "p-2-s", "p-3-s"]),
            ("n-@1", &["n-0", "n-1"]),
        ] {
            assert_eq!(expand(template), names, "{template}");
        }
    }

    #[test]
    fn what_a_cluster_refuses_or_misreads_is_refused() {
        for bad in [
            "n-{3..1}",
            "n-{-1..2}",
            "n-{0..4..0}",
            "n-{0..4..-1}",
            "x-{a..c}",
            "x-{a,b}",
            "n-{1.3}",
            "n-{}",
            "n-{1..}",
            "n-{..3}",
            "n-{0..4..2..1}",
            "n-{ 1..3 }",
            "n-{1..{2..3}}",
            "n-{1..3",
            "n-1..3}",
            "obj-%04d.txt",
            "lit",
            "x-*",
            "*",
            "",
            "n-{0..99999999}",
            "n-{0..18446744073709551615}",
            "n-@18446744073709551615",
            &format!("n-{{{0}..{0}1}}", "0".repeat(70_000)),
            "../{1..2}",
            "a//{1..2}",
        ] {
            assert!(bad.parse::<Collection>().is_err(), "{bad}");
        }
        for bad in ["", "x*", "a%d", "../x", "/x", "a@3", "n-{1..3"] {
            assert!(Collection::prefix(bad).is_err(), "{bad}");
        }
        assert!(Collection::names_of([] as [&str; 0]).is_err());
        assert!(Collection::names_of(["a", "a"]).is_err());
        assert!(Collection::names_of(["../a"]).is_err());
        assert!(Collection::prefix("pre/").is_ok());
    }

    #[test]
    fn numbered_objects() {
        let range = Collection::range("img-", 8..=12, 3, 2, ".jpg").unwrap();
        assert_eq!(range.to_string(), "img-{008..012..2}.jpg");
        let names: Vec<String> = range.names().unwrap().collect();
        assert_eq!(names, ["img-008.jpg", "img-010.jpg", "img-012.jpg"]);
        assert!(Collection::range("img-", 0..=u64::MAX, 0, 1, "").is_err());
        assert!(Collection::range("img-", 0..=1, usize::MAX, 1, "").is_err());
    }
}
