//! What a batch is asked to hold.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::access::bits;
use crate::aistore::buckets::Bucket;
use crate::aistore::cloud;
use crate::aistore::error::{Fail, Result};
use crate::aistore::gojson::{self, Schema};
use crate::aistore::guard;
use crate::aistore::names::{BucketName, Namespace, Provider, check_object_name};
use crate::aistore::node::Cx;

/// A list of entries and the form of the answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) entries: Vec<Entry>,
    /// Empty for the default.
    pub(super) mime: String,
    /// What is missing becomes an empty member.
    pub(super) continues: bool,
    /// Names of members do without the bucket.
    pub(super) names_only: bool,
    /// The answer is the archive alone, sent while it is made.
    pub(super) streams: bool,
}

/// An object, or a file inside it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bucket: Arc<Bucket>,
    pub(super) objname: String,
    /// The provider as answers repeat it: empty if the entry named no bucket.
    pub(super) provider: &'static str,
    pub(super) archpath: String,
    pub(super) opaque: Option<String>,
    start: i64,
    length: i64,
}

impl Entry {
    /// True if not all of it is wanted.
    pub(super) fn is_ranged(&self) -> bool {
        self.start != 0 || self.length != 0
    }

    /// Offset and length of what is wanted of `size` bytes.
    pub(super) fn range(&self, size: u64) -> Result<(u64, u64)> {
        let (start, length) = (self.start, self.length);
        if !self.is_ranged() {
            return Ok((0, size));
        }
        let open = length == -1;
        let from = u64::try_from(start).ok().filter(|from| *from < size);
        let len = from.and_then(|from| {
            if open {
                Some(size - from)
            } else {
                u64::try_from(length).ok().filter(|len| *len <= size - from)
            }
        });
        from.zip(len).ok_or_else(|| {
            let asked =
                if open { format!("start={start}") } else { format!("start={start},length={length}") };
            Fail::bad(format!("size={size}: not satisfiable range [{asked}]")).tcode("ErrRangeNotSatisfiable")
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    #[serde(rename = "in")]
    entries: Option<Vec<EntryDocument>>,
    mime: Option<String>,
    coer: bool,
    onob: bool,
    strm: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EntryDocument {
    objname: String,
    bucket: String,
    provider: String,
    uname: String,
    archpath: String,
    opaque: Option<String>,
    start: i64,
    length: i64,
}

static REQUEST: Schema = Schema::Open(&[("in", Schema::Each(&Schema::Own(check_entry)))]);

/// Checks an entry by itself; the error is the decoder's text.
fn check_entry(bytes: &[u8]) -> std::result::Result<(), String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if let Some(opaque) = value["opaque"].as_str()
        && let Err(error) = STANDARD.decode(opaque)
    {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            _ => opaque.len(),
        };
        return Err(format!("illegal base64 data at input byte {at}"));
    }
    let entry: EntryDocument = serde_json::from_value(value).map_err(|e| e.to_string())?;
    let name = &entry.objname;
    check_object_name(name).map_err(|fail| fail.message)?;
    if entry.archpath.split('/').any(|c| c == "..") {
        return Err(format!("invalid archpath {:?} (oname: {name:?})", entry.archpath));
    }
    let (start, length) = (entry.start, entry.length);
    if start < 0 || length < -1 || (start != 0 && length == 0) {
        let asked =
            if length == -1 { format!("start={start}") } else { format!("start={start},length={length}") };
        return Err(format!("not satisfiable range [{asked} (oname: {name:?})]"));
    }
    Ok(())
}

/// Reads the list, as far as its buckets exist and the caller may read them.
pub(super) async fn decode(cx: &Cx, default: Option<&Arc<Bucket>>) -> Result<Request> {
    gojson::check(&cx.json, REQUEST).map_err(Fail::bad)?;
    let document: Option<Document> =
        serde_json::from_slice(&cx.json).map_err(|e| Fail::bad(e.to_string()))?;
    let document = document.unwrap_or_default();
    let asked = document.entries.unwrap_or_default();
    if asked.is_empty() {
        return Err(Fail::bad("moss: empty input"));
    }
    let mut known: Vec<Arc<Bucket>> = default.into_iter().cloned().collect();
    let mut entries = Vec::with_capacity(asked.len());
    for entry in asked {
        let (bucket, provider) = if let Some(name) = bucket_of(&entry)? {
            let bucket = if let Some(bucket) = known.iter().find(|b| b.name == name) {
                Arc::clone(bucket)
            } else {
                cloud::admit(cx, &name).await?;
                guard::bucket(cx, &name, bits::GET)?
            };
            (bucket, name.provider.as_str())
        } else {
            let missing =
                || Fail::bad(format!("missing bucket specification for object {:?}", entry.objname));
            (Arc::clone(default.ok_or_else(missing)?), "")
        };
        if !known.iter().any(|b| b.id == bucket.id) {
            known.push(Arc::clone(&bucket));
        }
        entries.push(Entry {
            bucket,
            objname: entry.objname,
            provider,
            archpath: entry.archpath.trim_start_matches('/').to_owned(),
            opaque: entry.opaque.filter(|o| !o.is_empty()),
            start: entry.start,
            length: entry.length,
        });
    }
    Ok(Request {
        entries,
        mime: document.mime.unwrap_or_default(),
        continues: document.coer,
        names_only: document.onob,
        streams: document.strm,
    })
}

/// The bucket that an entry itself names.
fn bucket_of(entry: &EntryDocument) -> Result<Option<BucketName>> {
    let uname = &entry.uname;
    if !uname.is_empty() {
        if uname.matches('/').count() < 3 {
            return Err(Fail::bad("bucket name is missing"));
        }
        let (bucket, object) = BucketName::parse_uname(uname)?;
        if !object.is_empty() {
            let got = bucket.object(object);
            return Err(Fail::bad(format!("parse-uname {uname:?}: not expecting object name (got {got:?})")));
        }
        return Ok(Some(bucket));
    }
    if entry.bucket.is_empty() {
        return Ok(None);
    }
    let provider = Provider::parse(&entry.provider)?;
    let bucket = BucketName { provider, namespace: Namespace::default(), name: entry.bucket.clone() };
    bucket.check()?;
    Ok(Some(bucket))
}

/// Checks the list that comes with the second request, though it counts no more.
pub(super) fn check_again(cx: &Cx) -> Result<()> {
    let node = cx.node_name();
    let failed = |e: String| {
        Fail::bad(format!("{node}: failed to unmarshal [*apc.MossReq] (GET), err: {e} (ml.go, #584)"))
    };
    if cx.json.iter().all(u8::is_ascii_whitespace) {
        return Err(failed("EOF".into()));
    }
    gojson::check(&cx.json, REQUEST).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(entry: &str) -> String {
        check_entry(entry.as_bytes()).err().unwrap_or_default()
    }

    #[test]
    fn entries() {
        assert_eq!(refusal(r#"{"objname":"a","opaque":"+/8gaWQ=","start":2,"length":3}"#), "");
        assert_eq!(refusal(r#"{"objname":"a","start":2,"length":-1}"#), "");
        assert_eq!(refusal(r#"{"objname":"a","opaque":"%%%"}"#), "illegal base64 data at input byte 0");
        assert_eq!(
            refusal(r#"{"objname":"a","start":3}"#),
            "not satisfiable range [start=3,length=0 (oname: \"a\")]"
        );
        assert_eq!(
            refusal(r#"{"objname":"s","archpath":"../x"}"#),
            "invalid archpath \"../x\" (oname: \"s\")"
        );
        assert_eq!(refusal(r#"{"objname":""}"#), "invalid object name \"\"");
    }
}
