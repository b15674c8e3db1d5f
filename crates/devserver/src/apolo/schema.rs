//! Documents that requests carry, checked as the original's schemas check them.

use serde_json::{Map, Value};

use super::error::{Fail, Faults, Result};

const MISSING: &str = "Missing data for required field.";
const NULL: &str = "Field may not be null.";
const NO_STRING: &str = "Not a valid string.";
const UNKNOWN: &str = "Unknown field.";

/// A document whose fields are taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
    faults: Faults,
}

impl Fields {
    /// Reads a document; `list` is what is said of one that is no object.
    pub(super) fn parse(bytes: &[u8], list: &str) -> Result<Self> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(map)) => Ok(Self { map, faults: Faults::default() }),
            Ok(_) => Err(Fail::Unexpected(list.to_owned())),
            Err(error) => Err(Fail::value(python_error(bytes, &error))),
        }
    }

    /// The pairs of a query; one that stands twice is no text.
    pub(super) fn query(pairs: &[(String, String)]) -> Self {
        let mut map = Map::new();
        for (name, value) in pairs {
            let twice = map.contains_key(name);
            map.insert(name.clone(), if twice { Value::Array(Vec::new()) } else { value.clone().into() });
        }
        Self { map, faults: Faults::default() }
    }

    fn fault(&mut self, field: &str, text: &'static str) {
        self.faults.add(field, text);
    }

    /// A text that has to be there.
    pub(super) fn text(&mut self, field: &str) -> String {
        match self.map.remove(field) {
            None => self.fault(field, MISSING),
            Some(Value::Null) => self.fault(field, NULL),
            Some(Value::String(text)) => return text,
            Some(_) => self.fault(field, NO_STRING),
        }
        String::new()
    }

    /// A text that may be missing, but not null.
    pub(super) fn text_or(&mut self, field: &str, default: &str) -> String {
        if self.map.contains_key(field) { self.text(field) } else { default.to_owned() }
    }

    /// A text that may be missing or null.
    pub(super) fn text_or_null(&mut self, field: &str) -> Option<String> {
        match self.map.get(field) {
            None | Some(Value::Null) => {
                self.map.remove(field);
                None
            }
            Some(_) => Some(self.text(field)),
        }
    }

    /// The name of a bucket or of credentials.
    pub(super) fn name(&mut self) -> Option<String> {
        let given = self.map.get("name").is_some_and(Value::is_string);
        let name = self.text_or_null("name")?;
        if given && !name_matches(&name) {
            self.fault("name", "String does not match expected pattern.");
        }
        if given && !(3..=40).contains(&name.chars().count()) {
            self.fault("name", "Length must be between 3 and 40.");
        }
        Some(name)
    }

    /// A boolean in any of the forms that are taken for one; `None` if it is missing, `Some(None)` if it is null.
    #[expect(clippy::option_option, reason = "missing and null differ")]
    pub(super) fn boolean(&mut self, field: &str) -> Option<Option<bool>> {
        const TRUE: &[&str] = &["t", "true", "on", "y", "yes", "1"];
        const FALSE: &[&str] = &["f", "false", "off", "n", "no", "0"];
        let value = self.map.remove(field)?;
        let word = match &value {
            Value::Null => return Some(None),
            Value::Bool(value) => return Some(Some(*value)),
            Value::String(text) => text.to_ascii_lowercase(),
            other => other.to_string(),
        };
        if TRUE.contains(&word.as_str()) {
            return Some(Some(true));
        }
        if !FALSE.contains(&word.as_str()) {
            self.fault(field, "Not a valid boolean.");
        }
        Some(Some(false))
    }

    /// A number of seconds.
    pub(super) fn seconds(&mut self, field: &str, default: u64) -> u64 {
        let Some(value) = self.map.remove(field) else { return default };
        let number = match &value {
            Value::Null => return self.no_seconds(field, NULL),
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        };
        match number {
            None => self.no_seconds(field, "Not a valid integer."),
            Some(number) if number < 1 => self.no_seconds(field, "Duration must be greater than 0 seconds"),
            Some(number) => number.unsigned_abs(),
        }
    }

    fn no_seconds(&mut self, field: &str, text: &'static str) -> u64 {
        self.fault(field, text);
        0
    }

    /// An object that has to be there.
    pub(super) fn mapping(&mut self, field: &str) -> Map<String, Value> {
        match self.map.remove(field) {
            None => self.fault(field, MISSING),
            Some(Value::Null) => self.fault(field, NULL),
            Some(Value::Object(map)) => return map,
            Some(_) => self.fault(field, "Not a valid mapping type."),
        }
        Map::new()
    }

    /// A list of texts that has to be there.
    pub(super) fn texts(&mut self, field: &str) -> Vec<String> {
        match self.map.remove(field) {
            None => self.fault(field, MISSING),
            Some(Value::Null) => self.fault(field, NULL),
            Some(Value::Array(items)) => {
                let texts: Option<Vec<_>> = items.iter().map(|v| v.as_str().map(str::to_owned)).collect();
                match texts {
                    Some(texts) => return texts,
                    None => self.fault(field, NO_STRING),
                }
            }
            Some(_) => self.fault(field, "Not a valid list."),
        }
        Vec::new()
    }

    /// Fields that are accepted and count for nothing.
    pub(super) fn ignore(&mut self, fields: &[&str]) {
        for field in fields {
            self.map.remove(*field);
        }
    }

    /// Refuses the document if anything is wrong with it, or left of it.
    pub(super) fn done<T>(mut self, value: T) -> Result<T> {
        for field in self.map.keys() {
            self.faults.add(field, UNKNOWN);
        }
        self.faults.check(value)
    }
}

/// A small letter, then small letters, digits, `-` and `_`.
fn name_matches(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// What the original's parser says of text that is no JSON.
fn python_error(bytes: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (line, column) = (error.line().max(1), error.column().max(1));
    let before: usize = text.split_inclusive('\n').take(line - 1).map(|l| l.chars().count()).sum();
    let at = (before + column - 1).min(text.chars().count());
    let opened = text.chars().take(at).filter(|c| !c.is_whitespace()).last();
    let what = match opened {
        Some('{') => "Expecting property name enclosed in double quotes",
        Some('"' | ']' | '}') => "Expecting ',' delimiter",
        _ => "Expecting value",
    };
    format!("{what}: line {line} column {column} (char {at})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_documents() {
        let message = |text: &str| {
            let error = serde_json::from_str::<Value>(text).unwrap_err();
            python_error(text.as_bytes(), &error)
        };
        assert_eq!(message(""), "Expecting value: line 1 column 1 (char 0)");
        assert_eq!(
            message("{nope"),
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
        );
    }

    #[test]
    fn names() {
        for good in ["abc", "a--b", "a_b-", "a"] {
            assert!(name_matches(good), "{good}");
        }
        for bad in ["", "Abc", "1ab", "a.b", "abc\n"] {
            assert!(!name_matches(bad), "{bad}");
        }
    }
}
