//! Reading many objects in one request.

use http::Method;
use longshore_core_types::{Idempotency, ObjectKey, Result};
use serde::{Deserialize, Serialize};

use super::{Request, bucket::null_default, from_json, object::with_bucket};
use crate::{
    names::{BucketRef, check_object_name, invalid},
    object::options::ArchiveFormat,
    smap::loose_u64,
};

/// One thing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) bucket: BucketRef,
    pub(crate) key: ObjectKey,
    pub(crate) member: Option<String>,
    pub(crate) start: u64,
    /// `None`: to the end.
    pub(crate) length: Option<u64>,
}

impl Input {
    /// Name of its entry in the archive that is answered, after the bucket's.
    pub(crate) fn entry_name(&self) -> String {
        match &self.member {
            Some(member) => format!("{}/{member}", self.key),
            None => self.key.to_string(),
        }
    }
}

/// Options of a request.
#[derive(Clone, Debug)]
pub(crate) struct BatchParams {
    pub(crate) format: ArchiveFormat,
    pub(crate) continue_on_error: bool,
    pub(crate) names_only: bool,
    pub(crate) colocation: u8,
    /// Only the archive; otherwise a description comes in front of it.
    pub(crate) streaming: bool,
}

impl Default for BatchParams {
    fn default() -> Self {
        Self {
            format: ArchiveFormat::Tar,
            continue_on_error: true,
            names_only: false,
            colocation: 0,
            streaming: true,
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "in")]
    inputs: Vec<WireInput<'a>>,
    mime: &'static str,
    coer: bool,
    onob: bool,
    strm: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    coloc: Option<u8>,
}

#[derive(Serialize)]
struct WireInput<'a> {
    objname: &'a str,
    bucket: &'a str,
    provider: &'a str,
    /// Only where name and provider do not say it: a namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    uname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archpath: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<i64>,
}

pub(crate) fn get(bucket: Option<&BucketRef>, inputs: &[Input], params: &BatchParams) -> Result<Request> {
    if inputs.is_empty() {
        return Err(invalid("a batch needs something to read"));
    }
    let message = Message {
        inputs: inputs.iter().map(wire_input).collect::<Result<_>>()?,
        mime: params.format.as_str(),
        coer: params.continue_on_error,
        onob: params.names_only,
        strm: params.streaming,
        coloc: (params.colocation > 0).then_some(params.colocation),
    };
    let mut request = match bucket {
        Some(bucket) => {
            let path = format!("/v1/ml/moss/{}", bucket.name());
            let request = Request::new(Method::GET, path, "aistore.batch.get", Idempotency::Idempotent);
            with_bucket(request, bucket).on(bucket.resource())
        }
        None => Request::new(Method::GET, "/v1/ml/moss", "aistore.batch.get", Idempotency::Idempotent),
    };
    if params.colocation > 0 {
        request = request.query("coloc", &params.colocation.to_string());
    }
    request.json(&message)
}

fn wire_input(input: &Input) -> Result<WireInput<'_>> {
    check_object_name(&input.key, true)?;
    let length = match input.length {
        Some(0) => return Err(invalid(format!("a range of no bytes of {} is asked for", input.key))),
        Some(length) => Some(i64::try_from(length).map_err(|_| invalid("a range is too long"))?),
        // Without a length the server refuses a start.
        None => (input.start > 0).then_some(-1),
    };
    if let Some(member) = &input.member
        && (member.trim_start_matches('/').is_empty() || member.split('/').any(|part| part == ".."))
    {
        return Err(invalid(format!("{member:?} is not a path inside an archive")));
    }
    Ok(WireInput {
        objname: input.key.as_str(),
        bucket: input.bucket.name().as_str(),
        provider: input.bucket.provider().as_str(),
        uname: (!input.bucket.namespace().is_global()).then(|| input.bucket.uname()),
        archpath: input.member.as_deref(),
        start: (input.start > 0).then_some(input.start),
        length,
    })
}

/// What an answer says of one thing that was asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    #[serde(default, deserialize_with = "loose_u64")]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) err_msg: String,
}

/// The description in front of an archive, one entry for each thing asked for, in order.
pub(crate) fn parse_description(body: &[u8]) -> Result<Vec<Described>> {
    #[derive(Deserialize)]
    struct Description {
        #[serde(default, deserialize_with = "null_default")]
        out: Vec<Described>,
    }
    Ok(from_json::<Description>(body, "the description of a batch")?.out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_checked() {
        let params = BatchParams::default();
        assert!(get(None, &[], &params).is_err());
        let input = Input {
            bucket: "b".parse().unwrap(),
            key: ObjectKey::new("o").unwrap(),
            member: None,
            start: 0,
            length: None,
        };
        assert!(get(None, std::slice::from_ref(&input), &params).is_ok());
        let refused = |input: Input| get(None, &[input], &params).is_err();
        assert!(refused(Input { length: Some(0), ..input.clone() }));
        assert!(refused(Input { key: ObjectKey::new("../o").unwrap(), ..input.clone() }));
        assert!(refused(Input { member: Some("a/../b".into()), ..input.clone() }));
        assert!(refused(Input { member: Some(String::new()), ..input }));
    }
}
