//! Action messages: the JSON body of most calls.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::error::{Fail, Result};
use super::gojson::{self, Schema, Struct};

static ACTION: Struct = Struct {
    name: "apc.ActMsg",
    fields: &[
        ("value", "Value", Schema::Any),
        ("action", "Action", Schema::Text),
        ("name", "Name", Schema::Text),
    ],
    strict: false,
};

/// `{"action":..,"name":..,"value":..}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "named as on the wire")]
pub(crate) struct Action {
    #[serde(deserialize_with = "nullable")]
    pub(crate) action: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    pub(crate) value: Value,
}

fn nullable<'de, D: serde::Deserializer<'de>>(text: D) -> std::result::Result<String, D::Error> {
    Ok(Option::<String>::deserialize(text)?.unwrap_or_default())
}

impl Action {
    /// Decodes a body; the error is the decoder's text, `EOF` for an empty body.
    pub(crate) fn decode(body: &Bytes) -> std::result::Result<Self, String> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err("EOF".into());
        }
        gojson::check(body, Schema::Struct(&ACTION))?;
        serde_json::from_slice(body).map_err(|e| e.to_string())
    }

    /// Decodes the body of a call that cannot do without.
    pub(crate) fn required(body: &Bytes, method: &str, node: &str) -> Result<Self> {
        Self::decode(body).map_err(|e| {
            Fail::bad(format!(
                "{node}: failed to unmarshal [*apc.ActMsg] ({method}), err: {e} (htrun.go, #2910)"
            ))
        })
    }

    /// Text of the action in messages.
    pub(crate) fn display(&self) -> String {
        format!("actm[{}]", self.action)
    }
}

/// Decodes an action's value in the second step, after its form was checked.
pub(crate) fn decode_value<T: serde::de::DeserializeOwned + Default>(
    action: &Action,
    schema: Schema,
    node: &str,
) -> Result<T> {
    if action.value.is_null() {
        return Ok(T::default());
    }
    let fail = |e: String| {
        let kind = match action.value {
            Value::Object(_) => "map[string]interface {}",
            Value::String(_) => "string",
            Value::Array(_) => "[]interface {}",
            _ => "float64",
        };
        Fail::bad(format!("{node}: failed to unmarshal {} ({kind}), err: {e}", action.action))
    };
    gojson::check(gojson::encode_sorted(&action.value).as_bytes(), schema).map_err(fail)?;
    serde_json::from_value(action.value.clone()).map_err(|e| fail(e.to_string()))
}
