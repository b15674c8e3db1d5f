//! Documents and queries checked against what a route describes: types are converted where the original's validator
//! does so, and refusals are in its words.

use serde_json::{Map, Value};

use super::error::{Fail, Result};

/// The members of a document, or the parameters of a query.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    /// Where they stand: `body`, `body/sortBy`, `querystring`.
    at: String,
    map: Map<String, Value>,
}

impl Fields {
    pub(super) fn body(value: Value) -> Result<Self> {
        Self::object("body", value)
    }

    fn object(at: &str, value: Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { at: at.to_owned(), map }),
            _ => Err(Fail::schema(format!("{at} must be object"))),
        }
    }

    /// The parameters of a query; of those given twice, the last.
    pub(super) fn query(pairs: &[(String, String)]) -> Self {
        let map = pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Self { at: "querystring".into(), map }
    }

    fn bad(&self, name: &str, what: &str) -> Fail {
        Fail::schema(format!("{}/{name} {what}", self.at))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Refuses if one of `names` is missing.
    pub(super) fn require(&self, names: &[&str]) -> Result<()> {
        match names.iter().find(|name| !self.has(name)) {
            None => Ok(()),
            Some(name) => Err(Fail::schema(format!("{} must have required property '{name}'", self.at))),
        }
    }

    /// The raw value of a member.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.map.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        text(value).map(Some).ok_or_else(|| self.bad(name, "must be string"))
    }

    pub(super) fn integer(&self, name: &str, least: i64, most: Option<i64>) -> Result<Option<i64>> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        let number = integer(value).ok_or_else(|| self.bad(name, "must be integer"))?;
        if number < least {
            return Err(self.bad(name, &format!("must be >= {least}")));
        }
        if let Some(most) = most.filter(|most| number > *most) {
            return Err(self.bad(name, &format!("must be <= {most}")));
        }
        Ok(Some(number))
    }

    pub(super) fn number(&self, name: &str, least: f64, most: f64) -> Result<Option<f64>> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(n) => n.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.bad(name, "must be number"))?;
        if number < least {
            return Err(self.bad(name, &format!("must be >= {least}")));
        }
        if number > most {
            return Err(self.bad(name, &format!("must be <= {most}")));
        }
        Ok(Some(number))
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        let flag = match value {
            Value::Bool(flag) => *flag,
            Value::Null => false,
            Value::String(text) if text == "true" => true,
            Value::String(text) if text == "false" => false,
            Value::Number(n) if n.as_f64() == Some(1.0) => true,
            Value::Number(n) if n.as_f64() == Some(0.0) => false,
            _ => return Err(self.bad(name, "must be boolean")),
        };
        Ok(Some(flag))
    }

    /// One of a few words.
    pub(super) fn choice(&self, name: &str, allowed: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(word) = self.text(name)? else { return Ok(None) };
        let found = allowed.iter().find(|a| **a == word);
        found.copied().map(Some).ok_or_else(|| self.bad(name, "must be equal to one of the allowed values"))
    }

    /// A list of texts; a single one counts as a list of one.
    pub(super) fn texts(&self, name: &str, least: usize, most: Option<usize>) -> Result<Option<Vec<String>>> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        let items = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(_) | Value::Null => return Err(self.bad(name, "must be array")),
            one => vec![one],
        };
        if items.len() < least {
            return Err(self.bad(name, &format!("must NOT have fewer than {least} items")));
        }
        if let Some(most) = most.filter(|most| items.len() > *most) {
            return Err(self.bad(name, &format!("must NOT have more than {most} items")));
        }
        let each = |(index, item): (usize, &Value)| {
            text(item).ok_or_else(|| self.bad(&format!("{name}/{index}"), "must be string"))
        };
        items.into_iter().enumerate().map(each).collect::<Result<_>>().map(Some)
    }

    /// A document inside the document.
    pub(super) fn inner(&self, name: &str) -> Result<Option<Self>> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        Self::object(&format!("{}/{name}", self.at), value.clone()).map(Some)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

/// A whole number, also from what converts to one.
fn integer(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    let whole = |n: f64| (n.fract() == 0.0 && n.abs() < 9e18).then_some(n as i64);
    match value {
        Value::Number(n) => n.as_i64().or_else(|| n.as_f64().and_then(whole)),
        Value::String(text) if !text.trim().is_empty() => text.trim().parse().ok().and_then(whole),
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Null => Some(0),
        _ => None,
    }
}

/// What a document says of a setting that may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Change<T> {
    /// Nothing.
    #[default]
    Keep,
    /// That it is to be this, or nothing.
    Set(Option<T>),
}

impl<T> Change<T> {
    /// What is to be, if anything is said.
    pub(super) fn wanted(&self) -> Option<&T> {
        match self {
            Self::Set(Some(value)) => Some(value),
            _ => None,
        }
    }

    pub(super) fn apply(self, to: &mut Option<T>) {
        if let Self::Set(value) = self {
            *to = value;
        }
    }
}

/// A limit on the size of files as documents give it: a number of bytes, or text such as `20MB`.
pub(super) fn size_limit(fields: &Fields, name: &str) -> Result<Change<u64>> {
    const PATTERN: &str = r#"must match pattern "^[0-9]+(?:\.[0-9]+)?(?:[gG][bB]|[mM][bB]|[kK][bB]|[bB])$""#;
    let Some(value) = fields.value(name) else { return Ok(Change::Keep) };
    if value.is_null() {
        return Ok(Change::Set(None));
    }
    if let Value::String(text) = value
        && let Some(bytes) = parse_size(text)
    {
        return Ok(Change::Set(Some(bytes)));
    }
    let first = match integer(value) {
        Some(bytes) if bytes >= 0 => return Ok(Change::Set(u64::try_from(bytes).ok())),
        Some(_) => vec!["must be >= 0"],
        // Text that is no number at all fails twice.
        None if value.is_string() => {
            vec!["must be integer", "must pass \"finite\" keyword validation"]
        }
        None => vec!["must be integer"],
    };
    let all = first.into_iter().chain([PATTERN, "must match a schema in anyOf"]);
    let at = format!("{}/{name}", fields.at);
    Err(Fail::schema(all.map(|what| format!("{at} {what}")).collect::<Vec<_>>().join(", ")))
}

/// Decimal units, rounded to three digits.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return None;
    }
    let factor = match unit.to_ascii_lowercase().as_str() {
        "gb" => 1e9,
        "mb" => 1e6,
        "kb" => 1e3,
        "b" => 1.0,
        _ => return None,
    };
    let bytes: f64 = number.parse::<f64>().ok()? * factor;
    // Printed with three digits and read again.
    let rounded: f64 = format!("{bytes:.2e}").parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and checked")]
    let bytes = rounded.round() as u64;
    (rounded < 1e18).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::body(value).unwrap()
    }

    #[test]
    fn conversions() {
        let f = fields(json!({"n": "100", "b": "true", "t": 12345, "l": "one", "z": null}));
        assert_eq!(f.integer("n", 1, None).unwrap(), Some(100));
        assert_eq!(f.boolean("b").unwrap(), Some(true));
        assert_eq!(f.text("t").unwrap().as_deref(), Some("12345"));
        assert_eq!(f.texts("l", 1, None).unwrap(), Some(vec!["one".to_owned()]));
        assert_eq!(f.text("z").unwrap().as_deref(), Some(""));
        assert_eq!(f.integer("absent", 0, None).unwrap(), None);
    }

    #[test]
    fn refusals() {
        let message = |r: Result<Option<i64>>| r.unwrap_err().message;
        let f = fields(json!({"limit": 0, "x": 1.5, "l": []}));
        assert_eq!(message(f.integer("limit", 1, None)), "body/limit must be >= 1");
        assert_eq!(message(f.integer("x", 1, None)), "body/x must be integer");
        assert_eq!(f.texts("l", 1, None).unwrap_err().message, "body/l must NOT have fewer than 1 items");
        assert_eq!(
            f.require(&["limit", "name"]).unwrap_err().message,
            "body must have required property 'name'"
        );
        assert_eq!(Fields::body(json!([])).unwrap_err().message, "body must be object");
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("10MB", 10_000_000), ("1.5kb", 1500), ("1234KB", 1_230_000), ("7b", 7), ("1GB", 1_000_000_000)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["10TB", "10 MB", "MB", "1.MB", "-1b", "1e3kb"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        let limit = |v: Value| size_limit(&fields(json!({"file_size_limit": v})), "file_size_limit");
        assert_eq!(limit(json!("100")).unwrap(), Change::Set(Some(100)));
        assert_eq!(limit(json!(null)).unwrap(), Change::Set(None));
        let pattern = r#"body/file_size_limit must match pattern "^[0-9]+(?:\.[0-9]+)?(?:[gG][bB]|[mM][bB]|[kK][bB]|[bB])$", body/file_size_limit must match a schema in anyOf"#;
        let start = |v: Value| limit(v).unwrap_err().message.replace(pattern, "...");
        assert_eq!(start(json!(-1)), "body/file_size_limit must be >= 0, ...");
        assert_eq!(start(json!(10.5)), "body/file_size_limit must be integer, ...");
        assert_eq!(
            start(json!("10TB")),
            "body/file_size_limit must be integer, body/file_size_limit must pass \"finite\" keyword validation, ..."
        );
    }
}
