//! Calls on buckets, caches and the service as a whole.

use longshore_core_types::Result;
use longshore_supabase::{BucketColumn, BucketSettings, SizeLimit, SortOrder};
use serde_json::{Map, Value};

use super::{
    calls::{Call, body, name, no_body},
    wanted,
};
use crate::{calls::Pairs, recorded::Request};

pub(crate) fn read(request: &Request, segments: &[&str]) -> Option<Call> {
    let mut pairs = Pairs(request.target().1);
    let call = match (request.method.as_str(), segments) {
        // Asked without a token where nobody checks one.
        ("GET", ["status"]) => {
            Call::new(wanted::nothing, |client| async move { client.status().await.map(|()| Value::Null) })
        }
        ("GET", ["version"]) => {
            Call::new(wanted::text, |client| async move { client.version().await.map(Value::from) })
        }
        ("GET", ["health"]) => {
            Call::new(wanted::healthy, |client| async move { client.health().await.map(Value::from) })
        }
        ("GET", ["bucket"]) => list(&mut pairs)?,
        ("POST", ["bucket"]) => create(body(request)?)?,
        (method, ["bucket", id]) if !id.is_empty() => one(request, method, name(&[id])?)?,
        ("POST", ["bucket", id, "empty"]) => {
            no_body(request)?;
            let id = name(&[id])?;
            Call::new(wanted::nothing, |client| async move {
                client.buckets().empty(id).await.map(|()| Value::Null)
            })
        }
        ("DELETE", ["cdn", rest @ ..]) => {
            no_body(request)?;
            purge(rest, pairs.flag("transformations")?)?
        }
        _ => return None,
    };
    pairs.end()?;
    Some(call)
}

fn one(request: &Request, method: &str, id: String) -> Option<Call> {
    Some(match method {
        "GET" => Call::new(wanted::bucket, |client| async move {
            Ok(wanted::of_bucket(&client.buckets().get(id).await?))
        }),
        "PUT" => {
            let settings = settings(body(request)?)?;
            Call::new(wanted::nothing, |client| async move {
                client.buckets().update(id).settings(settings?).await.map(|()| Value::Null)
            })
        }
        "DELETE" => {
            no_body(request)?;
            Call::new(wanted::nothing, |client| async move {
                client.buckets().delete(id).await.map(|()| Value::Null)
            })
        }
        _ => return None,
    })
}

/// What a list of buckets is asked for.
pub(super) struct Asked {
    pub(super) limit: Option<u32>,
    pub(super) offset: Option<u64>,
    pub(super) search: Option<String>,
    pub(super) sort: Option<(BucketColumn, SortOrder)>,
}

pub(super) fn asked(pairs: &mut Pairs) -> Option<Asked> {
    let number = |text: Option<String>| text.map(|text| text.parse::<u32>().ok());
    let (limit, offset) = (number(pairs.take("limit")), number(pairs.take("offset")));
    let (search, column) = (pairs.take("search"), pairs.take("sortColumn"));
    let column = match column.as_deref() {
        None => None,
        Some("id") => Some(BucketColumn::Id),
        Some("name") => Some(BucketColumn::Name),
        Some("created_at") => Some(BucketColumn::CreatedAt),
        Some("updated_at") => Some(BucketColumn::UpdatedAt),
        Some(_) => return None,
    };
    // The client always says both.
    let sort = match (column, pairs.take("sortOrder").as_deref()) {
        (None, None) => None,
        (Some(column), Some("asc")) => Some((column, SortOrder::Ascending)),
        (Some(column), Some("desc")) => Some((column, SortOrder::Descending)),
        _ => return None,
    };
    if matches!(limit, Some(None)) || matches!(offset, Some(None)) {
        return None;
    }
    Some(Asked { limit: limit.flatten(), offset: offset.flatten().map(u64::from), search, sort })
}

fn list(pairs: &mut Pairs) -> Option<Call> {
    let asked = asked(pairs)?;
    Some(Call::new(wanted::buckets, move |client| async move {
        let mut list = client.buckets().list();
        if let Some(limit) = asked.limit {
            list = list.limit(limit);
        }
        if let Some(offset) = asked.offset {
            list = list.offset(offset);
        }
        if let Some(search) = asked.search {
            list = list.search(search);
        }
        if let Some((column, order)) = asked.sort {
            list = list.sort_by(column, order);
        }
        Ok(list.await?.iter().map(wanted::of_bucket).collect())
    }))
}

/// What the values mean; a wrong size is for the client to refuse.
fn settings(mut map: Map<String, Value>) -> Option<Result<BucketSettings>> {
    let mut settings = BucketSettings::default();
    map.remove("id");
    map.remove("name");
    // What a bucket is unless it is said otherwise.
    if map.get("type").is_some_and(|kind| kind == "STANDARD") {
        map.remove("type");
    }
    match map.remove("public") {
        None => {}
        Some(Value::Bool(public)) => settings.public = Some(public),
        Some(_) => return None,
    }
    match map.remove("file_size_limit") {
        None => {}
        Some(Value::Null) => settings.file_size_limit = Some(None),
        Some(Value::Number(bytes)) => {
            settings.file_size_limit = Some(Some(SizeLimit::Bytes(bytes.as_u64()?)));
        }
        // A number in quotes is a number to the client.
        Some(Value::String(text)) if text.parse::<u64>().is_ok() => return None,
        Some(Value::String(text)) => match text.parse() {
            Ok(limit) => settings.file_size_limit = Some(Some(limit)),
            Err(error) => return Some(Err(error)),
        },
        Some(_) => return None,
    }
    match map.remove("allowed_mime_types") {
        None => {}
        Some(Value::Null) => settings.allowed_mime_types = Some(None),
        Some(Value::Array(types)) => {
            let types = types.iter().map(|kind| Some(kind.as_str()?.to_owned())).collect::<Option<_>>()?;
            settings.allowed_mime_types = Some(Some(types));
        }
        Some(_) => return None,
    }
    map.is_empty().then_some(Ok(settings))
}

fn create(map: Map<String, Value>) -> Option<Call> {
    let text = |key: &str| map.get(key).map(|value| value.as_str().map(str::to_owned));
    let name = text("name")??;
    let id = match text("id") {
        None => name.clone(),
        Some(id) => id?,
    };
    let settings = settings(map)?;
    Some(Call::new(wanted::nothing, |client| async move {
        let create = client.buckets().create(&id).settings(settings?);
        let create = if name == id { create } else { create.name(name) };
        create.await.map(|()| Value::Null)
    }))
}

fn purge(rest: &[&str], transformed: bool) -> Option<Call> {
    Some(match rest {
        [] => Call::new(wanted::nothing, move |client| async move {
            client.purge_cache(transformed).await.map(|()| Value::Null)
        }),
        [bucket] if !bucket.is_empty() => {
            let bucket = name(&[bucket])?;
            Call::new(wanted::nothing, move |client| async move {
                client.bucket(bucket)?.purge_bucket_cache(transformed).await.map(|()| Value::Null)
            })
        }
        [bucket, key @ ..] if !bucket.is_empty() => {
            let (bucket, key) = (name(&[bucket])?, name(key)?);
            Call::new(wanted::nothing, move |client| async move {
                client.bucket(bucket)?.purge_cache(key, transformed).await.map(|()| Value::Null)
            })
        }
        _ => return None,
    })
}
