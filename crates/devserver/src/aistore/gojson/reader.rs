//! The walk through a document, step by step as the original's decoder takes them.

use super::units::{parse_duration, parse_size};
use super::{Schema, Struct};
use crate::raw;

/// A walk through a document that stops at the first mismatch.
pub(super) struct Reader<'a> {
    input: &'a [u8],
    head: usize,
    error: Option<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, head: 0, error: None }
    }

    /// Reads the document; the error is the first mismatch.
    pub(super) fn check(mut self, schema: Schema) -> Result<(), String> {
        self.read(schema);
        self.error.map_or(Ok(()), Err)
    }

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
            b'[' if self.closes(b']') => {}
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
        let mut inner = Reader::new(own);
        let text = inner.text();
        let result = match (inner.error, text) {
            (Some(error), _) => Err(error),
            (None, text) => check(&text.unwrap_or_default()),
        };
        if let Err(message) = result {
            self.report("unmarshalerDecoder", &message);
        }
    }

    /// Reads the start of an object or a list; true if there is something in it. `null` stands for an empty one.
    fn opens(&mut self, operation: &str, open: u8, close: u8) -> bool {
        if self.null() {
            return false;
        }
        let found = self.next();
        if found != open {
            self.expect(operation, &format!("expect {} or n", char::from(open)), found);
            return false;
        }
        !self.closes(close)
    }

    /// Skips the end of what holds nothing.
    fn closes(&mut self, close: u8) -> bool {
        let empty = self.peek() == close;
        self.head += usize::from(empty);
        empty
    }

    /// True if another item follows.
    fn goes_on(&mut self) -> bool {
        self.error.is_none() && self.next() == b','
    }

    fn open(&mut self, fields: &[(&str, Schema)]) {
        if !self.opens("ReadObjectCB", b'{', b'}') {
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
            if !self.goes_on() {
                return;
            }
        }
    }

    fn each(&mut self, item: &Schema) {
        if !self.opens("ReadArrayCB", b'[', b']') {
            return;
        }
        loop {
            self.read(*item);
            if !self.goes_on() {
                return;
            }
        }
    }

    fn text_map(&mut self) {
        if !self.opens("ReadMapCB", b'{', b'}') {
            return;
        }
        loop {
            self.text();
            self.next();
            if !self.null() {
                self.text();
            }
            if !self.goes_on() {
                return;
            }
        }
    }

    fn structure(&mut self, fields: &Struct) {
        if !self.opens("readObjectStart", b'{', b'}') {
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
                self.any_object();
            }
            b'[' => {
                self.head += 1;
                self.any_list();
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

    fn any_object(&mut self) {
        if self.closes(b'}') {
            return;
        }
        loop {
            if self.peek() != b'"' {
                let found = self.next();
                self.report("ReadMapCB", &format!("expect \" after {{, but found {}", char::from(found)));
                return;
            }
            self.text();
            if self.next() != b':' {
                self.report("ReadMapCB", "expect : after object field");
                return;
            }
            self.any();
            if !self.goes_on() {
                return;
            }
        }
    }

    fn any_list(&mut self) {
        if self.closes(b']') {
            return;
        }
        loop {
            self.any();
            if !self.goes_on() {
                return;
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
