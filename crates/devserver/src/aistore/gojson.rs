//! Complaints about JSON, worded as AIStore's decoder words them.
//!
//! The server decodes with a streaming parser whose messages quote the input around the place where it stopped.
//! Clients show these texts, and tests compare them, so the same walk is done here: [`check`] reads a document by a
//! [`Schema`] and reports the first mismatch. Values themselves are then decoded with `serde_json`.

use serde_json::Value;

use crate::raw;

/// What is expected at some place of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schema {
    Any,
    Bool,
    Text,
    Integer,
    /// An integer of 64 bits, or null.
    Long,
    /// An unsigned integer inside a string.
    QuotedInteger,
    /// A Go duration.
    Duration,
    /// A size such as `1MiB`.
    Size,
    /// An object whose values are all strings.
    TextMap,
    Struct(&'static Struct),
    /// A list of anything, decoded into the named Go type.
    List(&'static str),
    /// A list of structs, decoded into the named Go type.
    ListOf(&'static str, &'static Struct),
    /// An object read member by member, without a Go type of its own.
    Open(&'static [(&'static str, Self)]),
    /// A list read item by item, likewise.
    Each(&'static Self),
    /// A value with a decoder of its own, which gets all of its bytes.
    Own(fn(&[u8]) -> Result<(), String>),
}

/// A Go struct.
#[derive(Debug)]
pub(crate) struct Struct {
    /// Go name, `package.Type`.
    pub(crate) name: &'static str,
    /// JSON name, Go name, content.
    pub(crate) fields: &'static [(&'static str, &'static str, Schema)],
    /// Unknown fields are an error.
    pub(crate) strict: bool,
}

/// Checks `input`; the error is the decoder's text.
pub(crate) fn check(input: &[u8], schema: Schema) -> Result<(), String> {
    let mut reader = Reader { input, head: 0, error: None };
    reader.read(schema);
    reader.error.map_or(Ok(()), Err)
}

/// Encodes a decoded value the way it is encoded between two decoding steps: compact, keys sorted.
pub(crate) fn encode_sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let items: Vec<_> = keys
                .iter()
                .map(|k| format!("{}:{}", Value::from(k.as_str()), encode_sorted(&map[*k])))
                .collect();
            format!("{{{}}}", items.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(encode_sorted).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

struct Reader<'a> {
    input: &'a [u8],
    head: usize,
    error: Option<String>,
}

impl Reader<'_> {
    /// Reports a mismatch at the current place unless there was one before.
    fn report(&mut self, operation: &str, message: &str) {
        if self.error.is_none() {
            self.error = Some(self.describe(operation, message));
        }
    }

    fn describe(&self, operation: &str, message: &str) -> String {
        let window = |radius: usize| {
            let start = self.head.saturating_sub(radius);
            let end = (self.head + radius).min(self.input.len());
            (start, raw::escape(&self.input[start..end]))
        };
        let (start, near) = window(10);
        let (_, around) = window(50);
        let at = self.head - start;
        format!(
            "{operation}: {message}, error found in #{at} byte of ...|{near}|..., bigger context ...|{around}|..."
        )
    }

    fn wrap(&mut self, prefix: &str) {
        if let Some(error) = &mut self.error {
            error.insert_str(0, prefix);
        }
    }

    fn skip_space(&mut self) {
        while self.input.get(self.head).is_some_and(|b| b" \n\t\r".contains(b)) {
            self.head += 1;
        }
    }

    /// The next character that is no space, 0 at the end.
    fn next(&mut self) -> u8 {
        self.skip_space();
        let byte = self.input.get(self.head).copied();
        self.head += usize::from(byte.is_some());
        byte.unwrap_or(0)
    }

    fn peek(&mut self) -> u8 {
        self.skip_space();
        self.input.get(self.head).copied().unwrap_or(0)
    }

    fn expect(&mut self, operation: &str, what: &str, found: u8) {
        self.report(operation, &format!("{what}, but found {}", raw::escape(&[found])));
    }

    /// Skips `null` if it is next.
    fn null(&mut self) -> bool {
        let null = self.peek() == b'n';
        if null {
            self.head = (self.head + 4).min(self.input.len());
        }
        null
    }

    fn read(&mut self, schema: Schema) {
        match schema {
            Schema::Any => self.any(),
            Schema::Bool => match self.next() {
                b't' => self.head += 3,
                b'f' => self.head += 4,
                found => self.expect("ReadBool", "expect t or f", found),
            },
            Schema::Text => {
                if !self.null() {
                    self.text();
                }
            }
            Schema::Integer => self.integer("readUint64"),
            Schema::QuotedInteger => {
                if self.null() {
                    return;
                }
                match self.next() {
                    b'"' => {
                        if self.unsigned().is_some() {
                            let found = self.next();
                            if found != b'"' {
                                self.expect("stringModeNumberDecoder", "expect \"", found);
                            }
                        }
                    }
                    found => self.expect("stringModeNumberDecoder", "expect \"", found),
                }
            }
            Schema::Duration => self.unmarshal(|text| {
                if parse_duration(text).is_some() {
                    Ok(())
                } else {
                    Err(format!("time: invalid duration {text:?}"))
                }
            }),
            Schema::Size => self.unmarshal(|text| {
                if parse_size(text).is_some() { Ok(()) } else { Err(format!("invalid size {text:?}")) }
            }),
            Schema::Long => {
                if !self.null() {
                    self.signed();
                }
            }
            Schema::ListOf(name, item) => self.list_of(name, item),
            Schema::TextMap => self.text_map(),
            Schema::Open(fields) => self.open(fields),
            Schema::Each(item) => self.each(item),
            Schema::Own(check) => {
                self.skip_space();
                let start = self.head;
                self.any();
                if self.error.is_none()
                    && let Err(message) = check(&self.input[start..self.head])
                {
                    self.report("unmarshalerDecoder", &message);
                }
            }
            Schema::Struct(fields) => self.structure(fields),
            Schema::List(name) => match self.peek() {
                b'[' | b'n' => self.any(),
                _ => {
                    let found = self.next();
                    self.expect("decode slice", "expect [ or n", found);
                    self.wrap(&format!("{name}: "));
                }
            },
        }
    }

    /// Reads a string; returns its text without escapes resolved.
    fn text(&mut self) -> Option<String> {
        let found = self.next();
        if found != b'"' {
            self.expect("ReadString", "expects \" or n", found);
            return None;
        }
        let start = self.head;
        while let Some(&byte) = self.input.get(self.head) {
            self.head += 1;
            match byte {
                b'"' => return Some(raw::escape(&self.input[start..self.head - 1])),
                b'\\' => self.head += 1,
                _ => {}
            }
        }
        self.report("readStringSlowPath", "unexpected end of input");
        None
    }

    fn integer(&mut self, operation: &str) {
        if self.peek() == b'-' {
            self.head += 1;
        }
        if !self.next().is_ascii_digit() {
            self.report(operation, &not_a_digit());
            return;
        }
        while self.input.get(self.head).is_some_and(|b| b.is_ascii_digit() || b".eE+-".contains(b)) {
            self.head += 1;
        }
    }

    /// Reads digits as the original does: none after a leading zero, no more than 64 bits.
    fn unsigned(&mut self) -> Option<u64> {
        let first = self.head;
        let Some(mut value) = digit(self.next()) else {
            self.report("readUint64", &not_a_digit());
            return None;
        };
        if value == 0 {
            return self.no_fraction().then_some(0);
        }
        // The first eight digits are taken in one go, which shows in where an overflow is reported.
        let step = if self.input.len() - self.head > 10 { first + 8 } else { self.head };
        while let Some(next) = self.input.get(self.head).copied().and_then(digit) {
            let Some(longer) = value.checked_mul(10).and_then(|v| v.checked_add(next)) else {
                self.head = step;
                self.report("readUint64", "overflow");
                return None;
            };
            value = longer;
            self.head += 1;
        }
        self.no_fraction().then_some(value)
    }

    /// Reports a fraction, which the next character would begin.
    fn no_fraction(&mut self) -> bool {
        let fraction = self.input.get(self.head) == Some(&b'.');
        if fraction {
            self.report("assertInteger", "can not decode float as int");
        }
        !fraction
    }

    /// Reads an integer of 64 bits, with a sign.
    fn signed(&mut self) {
        let negative = self.peek() == b'-';
        if negative {
            self.head += 1;
        }
        let Some(value) = self.unsigned() else { return };
        if value > u64::from(negative) + i64::MAX.unsigned_abs() {
            self.report("ReadInt64", &format!("overflow: {value}"));
        }
    }

    fn list_of(&mut self, name: &str, item: &Struct) {
        match self.next() {
            b'n' => self.head = (self.head + 3).min(self.input.len()),
            b'[' if self.peek() == b']' => self.head += 1,
            b'[' => loop {
                self.structure(item);
                match self.next() {
                    b',' => {}
                    b']' => break,
                    found => {
                        self.expect("decode slice", "expect ]", found);
                        break;
                    }
                }
            },
            found => self.expect("decode slice", "expect [ or n", found),
        }
        self.wrap(&format!("{name}: "));
    }

    /// Reads a value with a decoder of its own: a string that `check` approves of.
    fn unmarshal(&mut self, check: impl Fn(&str) -> Result<(), String>) {
        if self.null() {
            return;
        }
        self.skip_space();
        let start = self.head;
        self.any();
        if self.error.is_some() {
            return;
        }
        let own = &self.input[start..self.head];
        let mut inner = Reader { input: own, head: 0, error: None };
        let text = inner.text();
        let result = match (inner.error, text) {
            (Some(error), _) => Err(error),
            (None, text) => check(&text.unwrap_or_default()),
        };
        if let Err(message) = result {
            self.report("unmarshalerDecoder", &message);
        }
    }

    fn open(&mut self, fields: &[(&str, Schema)]) {
        if self.null() {
            return;
        }
        let found = self.next();
        if found != b'{' {
            self.expect("ReadObjectCB", "expect { or n", found);
            return;
        }
        if self.peek() == b'}' {
            self.head += 1;
            return;
        }
        loop {
            if self.peek() != b'"' {
                let found = self.next();
                self.expect("ReadObjectCB", "expect \" after {", found);
                return;
            }
            let name = self.text().unwrap_or_default();
            if self.next() != b':' {
                self.report("ReadObject", "expect : after object field");
                return;
            }
            match fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(&name)) {
                Some((_, schema)) => self.read(*schema),
                None => self.any(),
            }
            if self.error.is_some() || self.next() != b',' {
                return;
            }
        }
    }

    fn each(&mut self, item: &Schema) {
        if self.null() {
            return;
        }
        let found = self.next();
        if found != b'[' {
            self.expect("ReadArrayCB", "expect [ or n", found);
            return;
        }
        if self.peek() == b']' {
            self.head += 1;
            return;
        }
        loop {
            self.read(*item);
            if self.error.is_some() || self.next() != b',' {
                return;
            }
        }
    }

    fn text_map(&mut self) {
        if self.null() {
            return;
        }
        let found = self.next();
        if found != b'{' {
            self.expect("ReadMapCB", "expect { or n", found);
            return;
        }
        if self.peek() == b'}' {
            self.head += 1;
            return;
        }
        loop {
            self.text();
            self.next();
            if !self.null() {
                self.text();
            }
            if self.error.is_some() || self.next() != b',' {
                return;
            }
        }
    }

    fn structure(&mut self, fields: &Struct) {
        if self.null() {
            return;
        }
        let found = self.next();
        if found != b'{' {
            self.expect("readObjectStart", "expect { or n", found);
            return;
        }
        if self.peek() == b'}' {
            self.head += 1;
            return;
        }
        loop {
            let found = self.peek();
            if found != b'"' {
                let found = if found == 0 { 0 } else { self.next() };
                let operation = if fields.strict { "ReadString" } else { "readFieldHash" };
                self.expect(operation, "expect \"", found);
                break;
            }
            let name = self.text().unwrap_or_default();
            let field = fields.fields.iter().find(|(json, _, _)| json.eq_ignore_ascii_case(&name));
            if field.is_none() && fields.strict {
                self.report("ReadObject", &format!("found unknown field: {name}"));
                break;
            }
            if self.next() != b':' {
                self.report("ReadObject", "expect : after object field");
                break;
            }
            match field {
                Some((_, go_name, schema)) => {
                    self.read(*schema);
                    self.wrap(&format!("{go_name}: "));
                }
                None => self.any(),
            }
            if self.next() != b',' {
                break;
            }
        }
        self.wrap(&format!("{}.", fields.name));
    }

    /// Reads anything.
    fn any(&mut self) {
        match self.peek() {
            b'{' => {
                self.head += 1;
                if self.peek() == b'}' {
                    self.head += 1;
                    return;
                }
                loop {
                    if self.peek() != b'"' {
                        let found = self.next();
                        self.report(
                            "ReadMapCB",
                            &format!("expect \" after {{, but found {}", char::from(found)),
                        );
                        return;
                    }
                    self.text();
                    if self.next() != b':' {
                        self.report("ReadMapCB", "expect : after object field");
                        return;
                    }
                    self.any();
                    if self.error.is_some() || self.next() != b',' {
                        return;
                    }
                }
            }
            b'[' => {
                self.head += 1;
                if self.peek() == b']' {
                    self.head += 1;
                    return;
                }
                loop {
                    self.any();
                    if self.error.is_some() || self.next() != b',' {
                        return;
                    }
                }
            }
            b'"' => {
                self.text();
            }
            b't' | b'n' => self.head = (self.head + 4).min(self.input.len()),
            b'f' => self.head = (self.head + 5).min(self.input.len()),
            b'-' | b'0'..=b'9' => self.integer("readNumber"),
            _ => {
                let found = self.next();
                self.report("Read", &format!("unexpected value type: {}", char::from(found)));
            }
        }
    }
}

/// The original prints an index of its digit table, which is -1 here, as a byte.
fn not_a_digit() -> String {
    format!("unexpected character: {}", raw::stand_in(0xff))
}

fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}

/// Nanoseconds of a Go duration such as `1h30m` or `250ms`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1.0, text), |t| (-1.0, t));
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, scale) =
            [("ns", 1.0), ("us", 1e3), ("\u{b5}s", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))?;
        total += number * scale;
        rest = &rest[unit.len()..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "durations of configurations are far below the limit"
    )]
    (!text.is_empty()).then_some((total * sign) as i64)
}

/// Bytes of a size such as `1MiB`, `20KiB`, `0B`, `1kb` or plain digits.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1_u64 << 40,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

/// A size as the server prints it: the largest unit that divides it, two decimals if none does.
pub(crate) fn format_size(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let Some((unit, scale)) = units.into_iter().find(|(_, scale)| bytes >= *scale) else {
        return format!("{bytes}B");
    };
    let hundredths = u128::from(bytes) * 100 / u128::from(scale);
    if hundredths.is_multiple_of(100) {
        return format!("{}{unit}", hundredths / 100);
    }
    format!("{}.{:02}{unit}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: Struct = Struct {
        name: "cmn.Inner",
        fields: &[
            ("on", "On", Schema::Bool),
            ("time", "Time", Schema::Duration),
            ("size", "Size", Schema::Size),
        ],
        strict: true,
    };
    const OUTER: Struct = Struct {
        name: "cmn.Outer",
        fields: &[("inner", "Inner", Schema::Struct(&INNER)), ("access", "Access", Schema::QuotedInteger)],
        strict: true,
    };
    const LOOSE: Struct =
        Struct { name: "apc.ActMsg", fields: &[("action", "Action", Schema::Text)], strict: false };

    fn outer(input: &str) -> String {
        check(input.as_bytes(), Schema::Struct(&OUTER)).err().unwrap_or_default()
    }

    #[test]
    fn accepted() {
        for input in [
            r#"{"inner":{"on":true,"time":"1h30m","size":"2MiB"},"access":"5"}"#,
            r#" { "inner" : null , "ACCESS" : null } "#,
            "{}",
            "null",
        ] {
            assert_eq!(outer(input), "", "{input}");
        }
        assert!(check(br#"{"other":[1,{"a":"b\""}],"action":"x"}"#, Schema::Struct(&LOOSE)).is_ok());
    }

    #[test]
    fn refused() {
        assert_eq!(
            outer(r#"{"nonsense":1}"#),
            "cmn.Outer.ReadObject: found unknown field: nonsense, error found in #10 byte of \
             ...|\"nonsense\":1}|..., bigger context ...|{\"nonsense\":1}|..."
        );
        assert_eq!(
            outer(r#"{"inner":{"on":"yes"}}"#),
            "cmn.Outer.Inner: cmn.Inner.On: ReadBool: expect t or f, but found \", error found in #10 byte of \
             ...|r\":{\"on\":\"yes\"}}|..., bigger context ...|{\"inner\":{\"on\":\"yes\"}}|..."
        );
        assert!(
            outer(r#"{"access":5}"#)
                .starts_with("cmn.Outer.Access: stringModeNumberDecoder: expect \", but found 5")
        );
        assert!(
            outer(r#"{"inner":{"time":"soon"}}"#)
                .contains("unmarshalerDecoder: time: invalid duration \"soon\"")
        );
        assert!(
            outer(r#"{"inner":{"size":2}}"#)
                .contains("unmarshalerDecoder: ReadString: expects \" or n, but found 2")
        );
        assert_eq!(
            check(b"{", Schema::Struct(&LOOSE)).unwrap_err(),
            "apc.ActMsg.readFieldHash: expect \", but found \0, error found in #1 byte of ...|{|..., bigger context ...|{|..."
        );
        assert!(
            check(b"[]", Schema::Struct(&LOOSE))
                .unwrap_err()
                .starts_with("readObjectStart: expect { or n, but found [,")
        );
    }

    #[test]
    fn units() {
        assert_eq!(parse_duration("1h30m"), Some(5_400_000_000_000));
        assert_eq!(parse_duration("250ms"), Some(250_000_000));
        assert_eq!(parse_duration("soon"), None);
        assert_eq!(parse_size("20KiB"), Some(20480));
        assert_eq!(parse_size("0B"), Some(0));
        assert_eq!(parse_size("x"), None);
        for text in ["0B", "512B", "20KiB", "1MiB", "1TiB", "1.50KiB"] {
            let bytes = if text == "1.50KiB" { Some(1536) } else { parse_size(text) };
            assert_eq!(format_size(bytes.unwrap_or(0)), text);
        }
    }

    #[test]
    fn sorted_encoding() {
        let value = serde_json::json!({"b": 1, "a": ["x", {"z": null, "y": true}]});
        assert_eq!(encode_sorted(&value), r#"{"a":["x",{"y":true,"z":null}],"b":1}"#);
    }
}
