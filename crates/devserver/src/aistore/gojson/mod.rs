//! Complaints about JSON, worded as AIStore's decoder words them.
//!
//! The server decodes with a streaming parser whose messages quote the input around the place where it stopped.
//! Clients show these texts, and tests compare them, so the same walk is done here: [`check`] reads a document by a
//! [`Schema`] and reports the first mismatch. Values themselves are then decoded with `serde_json`.

mod reader;
mod units;

use serde_json::Value;

pub(crate) use units::{format_size, parse_duration, parse_size};

use reader::Reader;

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
    Reader::new(input).check(schema)
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
    fn sorted_encoding() {
        let value = serde_json::json!({"b": 1, "a": ["x", {"z": null, "y": true}]});
        assert_eq!(encode_sorted(&value), r#"{"a":["x",{"y":true,"z":null}],"b":1}"#);
    }
}
