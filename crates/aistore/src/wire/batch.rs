//! Reading many objects in one request.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use longshore_core_types::{Error, ErrorKind, Idempotency, ObjectKey, Result};
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
    /// Bytes of the object, if the caller knows them.
    pub(crate) size: Option<u64>,
    /// What the caller attached.
    pub(crate) opaque: Option<Bytes>,
}

impl Input {
    pub(crate) fn new(bucket: BucketRef, key: ObjectKey) -> Self {
        Self { bucket, key, member: None, start: 0, length: None, size: None, opaque: None }
    }

    /// Whether only the object's size tells if what is delivered is what was asked for: a cluster may deliver the whole
    /// object where the range lies outside of it, and the whole may be as long as the range.
    pub(crate) fn needs_size(&self) -> bool {
        self.start > 0
    }

    /// How many bytes are to be delivered, given the size of the object if it is [needed](Self::needs_size).
    /// `RangeNotSatisfiable` if the object does not have them.
    pub(crate) fn expected(&self, size: u64) -> Result<Option<u64>> {
        if !self.needs_size() {
            return Ok(self.length);
        }
        let length = match self.length {
            Some(length) => {
                Some(length).filter(|_| self.start.checked_add(length).is_some_and(|end| end <= size))
            }
            None => size.checked_sub(self.start).filter(|length| *length > 0),
        };
        if length.is_some() {
            return Ok(length);
        }
        let asked = self.length.map_or_else(|| "all".to_owned(), |length| length.to_string());
        let message =
            format!("the object has {size} bytes, and {asked} from byte {} on are asked for", self.start);
        Err(Error::new(ErrorKind::RangeNotSatisfiable, message))
    }

    /// Refuses what the server would refuse or take for something else.
    pub(crate) fn check(&self) -> Result<()> {
        check_object_name(&self.key, true)?;
        if self.length == Some(0) {
            return Err(invalid(format!("a range of no bytes of {} is asked for", self.key)));
        }
        if self.length.is_some_and(|length| i64::try_from(length).is_err()) {
            return Err(invalid("a range is too long"));
        }
        if let Some(member) = &self.member
            && (member.trim_start_matches('/').is_empty() || member.split('/').any(|part| part == ".."))
        {
            return Err(invalid(format!("{member:?} is not a path inside an archive")));
        }
        Ok(())
    }

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
    opaque: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<i64>,
}

pub(crate) fn get(bucket: Option<&BucketRef>, inputs: &[Input], params: &BatchParams) -> Result<Request> {
    if inputs.is_empty() {
        return Err(invalid("a batch needs something to read"));
    }
    inputs.iter().try_for_each(Input::check)?;
    let message = Message {
        inputs: inputs.iter().map(wire_input).collect(),
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

fn wire_input(input: &Input) -> WireInput<'_> {
    WireInput {
        objname: input.key.as_str(),
        bucket: input.bucket.name().as_str(),
        provider: input.bucket.provider().as_str(),
        uname: (!input.bucket.namespace().is_global()).then(|| input.bucket.uname()),
        archpath: input.member.as_deref(),
        opaque: input.opaque.as_ref().map(|bytes| STANDARD.encode(bytes)),
        start: (input.start > 0).then_some(input.start),
        length: match input.length {
            Some(length) => i64::try_from(length).ok(),
            // Without a length the server refuses a start.
            None => (input.start > 0).then_some(-1),
        },
    }
}

/// What an answer says of one thing that was asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    #[serde(default, deserialize_with = "loose_u64")]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) err_msg: String,
    #[serde(default)]
    opaque: Option<String>,
}

impl Described {
    /// Whether it carries what was attached to the input.
    pub(crate) fn belongs_to(&self, input: &Input) -> bool {
        let said = self.opaque.as_deref().filter(|text| !text.is_empty()).map(|text| STANDARD.decode(text));
        match (said, input.opaque.as_deref().filter(|bytes| !bytes.is_empty())) {
            (Some(Ok(said)), Some(asked)) => said == asked,
            (None, None) => true,
            _ => false,
        }
    }
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
        let input = Input::new("b".parse().unwrap(), ObjectKey::new("o").unwrap());
        assert!(get(None, std::slice::from_ref(&input), &params).is_ok());
        let refused = |input: Input| get(None, &[input], &params).is_err();
        assert!(refused(Input { length: Some(0), ..input.clone() }));
        assert!(refused(Input { key: ObjectKey::new("../o").unwrap(), ..input.clone() }));
        assert!(refused(Input { member: Some("a/../b".into()), ..input.clone() }));
        assert!(refused(Input { member: Some(String::new()), ..input }));
    }

    #[test]
    fn ranges_lie_inside_the_object() {
        let input = Input::new("b".parse().unwrap(), ObjectKey::new("o").unwrap());
        let of = |start, length| Input { start, length, ..input.clone() };
        assert_eq!(of(0, None).expected(10).unwrap(), None);
        assert_eq!(of(0, Some(10)).expected(0).unwrap(), Some(10), "the answer itself tells");
        assert_eq!(of(2, Some(8)).expected(10).unwrap(), Some(8));
        assert_eq!(of(2, None).expected(10).unwrap(), Some(8));
        for (start, length) in [(2, Some(9)), (10, None), (11, None), (10, Some(10)), (u64::MAX, Some(1))] {
            let error = of(start, length).expected(10).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable, "{start} {length:?}");
        }
    }

    #[test]
    fn what_is_attached_comes_back() {
        let input = Input::new("b".parse().unwrap(), ObjectKey::new("o").unwrap());
        let with = Input { opaque: Some(Bytes::from_static(b"\xfb\xff id")), ..input.clone() };
        assert_eq!(wire_input(&with).opaque.as_deref(), Some("+/8gaWQ="));
        let said =
            parse_description(br#"{"out":[{"size":1,"opaque":"+/8gaWQ="},{"size":1},{"opaque":"%"}]}"#)
                .unwrap();
        assert!(said[0].belongs_to(&with) && !said[1].belongs_to(&with) && !said[2].belongs_to(&with));
        assert!(!said[0].belongs_to(&input) && said[1].belongs_to(&input));
    }
}
