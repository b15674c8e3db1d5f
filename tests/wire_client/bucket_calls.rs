//! Calls on buckets.

use longshore_aistore::{BucketPatch, ListFlags, ListProp, Provider};
use longshore_core_types::Namespace;
use serde_json::{Value, json};

use crate::{
    calls::{Call, Pairs, Place, place},
    job_calls::{bucket_job, summary},
    object_calls::{action, only_headers, presence},
    recorded::Request,
    wanted,
};

pub(crate) fn list_buckets(request: &Request, mut pairs: Pairs) -> Option<Call> {
    let (action, of, value) = action(request)?;
    (action == "list" && of.is_empty() && value.is_null()).then_some(())?;
    let provider = pairs.take("provider")?;
    let provider = Provider::ALL.into_iter().find(|known| known.as_str() == provider)?;
    let namespace = match pairs.take("namespace") {
        Some(text) => Some(Namespace::parse(&text).ok()?),
        None => None,
    };
    let presence = match pairs.take("presence") {
        Some(number) => Some(presence(&number)?),
        None => None,
    };
    pairs.end()?;
    Some(Call::new(wanted::buckets, move |client| async move {
        let cluster = client.cluster();
        let buckets = match (namespace, presence) {
            (None, None) => cluster.list_buckets(provider).await?,
            (Some(namespace), _) => cluster.list_buckets_in(provider, namespace).await?,
            (None, Some(presence)) => cluster.list_buckets_by_presence(provider, presence).await?,
        };
        Ok(buckets.iter().map(|bucket| json!(bucket.uname())).collect())
    }))
}

/// Properties as a patch that says the same.
fn patch(value: &Value) -> Option<BucketPatch> {
    fn walk(patch: BucketPatch, parents: &[&str], value: &Value) -> BucketPatch {
        match value {
            Value::Object(map) if !map.is_empty() => map.iter().fold(patch, |patch, (key, value)| {
                let mut parents = parents.to_vec();
                parents.push(key);
                walk(patch, &parents, value)
            }),
            _ => patch.set(parents, value.clone()),
        }
    }
    match value {
        Value::Object(map) if map.is_empty() => Some(BucketPatch::new()),
        Value::Object(_) => Some(walk(BucketPatch::new(), &[], value)),
        _ => None,
    }
}

pub(crate) fn bucket_call(request: &Request, place: Place, pairs: Pairs) -> Option<Call> {
    only_headers(request, &["ais-inv-name"])?;
    if request.method == "HEAD" {
        return bucket_head(place, pairs);
    }
    let (action, of, value) = action(request)?;
    match (request.method.as_str(), action.as_str()) {
        ("POST", "create-bck") => {
            pairs.end()?;
            of.is_empty().then_some(())?;
            let props = if value.is_null() { None } else { Some(patch(&value)?) };
            Some(Call::new(wanted::nothing, move |client| async move {
                let mut call = place.bucket(&client)?.create();
                if let Some(props) = props {
                    call = call.props(props);
                }
                call.await.map(|()| Value::Null)
            }))
        }
        ("DELETE", "destroy-bck") => {
            pairs.end()?;
            (of.is_empty() && value.is_null()).then_some(())?;
            Some(Call::new(wanted::nothing, move |client| async move {
                place.bucket(&client)?.delete().await.map(|()| Value::Null)
            }))
        }
        ("PATCH", "set-bprops") => {
            pairs.end()?;
            let patch = patch(&value)?;
            Some(Call::new(wanted::job, move |client| async move {
                let job = place.bucket(&client)?.set_props(&patch).await?;
                Ok(json!(job.map(|job| job.id().to_owned())))
            }))
        }
        ("PATCH", "reset-bprops") => {
            pairs.end()?;
            value.is_null().then_some(())?;
            Some(Call::new(wanted::job, move |client| async move {
                let job = place.bucket(&client)?.reset_props().await?;
                Ok(json!(job.map(|job| job.id().to_owned())))
            }))
        }
        ("GET", "list") => {
            pairs.end()?;
            list(request, place, &value)
        }
        _ => bucket_job(request, place, pairs, (&action, &of, &value)),
    }
}

pub(crate) fn bucket_info(bucket: &str, count: &str, mut pairs: Pairs) -> Option<Call> {
    let presence = presence(&pairs.take("presence")?)?;
    let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    let (prefix, count) = (crate::recorded::decode(prefix), count.eq_ignore_ascii_case("true"));
    let place = place(bucket, &mut pairs)?;
    pairs.end()?;
    Some(Call::new(wanted::info, move |client| async move {
        let call = place.bucket(&client)?.info().prefix(prefix).presence(presence).count_remote(count);
        let (props, found) = call.interval(std::time::Duration::from_millis(1)).await?;
        Ok(json!([wanted::bucket(&props), summary(&found)]))
    }))
}

fn bucket_head(place: Place, mut pairs: Pairs) -> Option<Call> {
    let presence = pairs.take("presence");
    let unregistered = pairs.flag("dont_add_remote_bck_md")?;
    pairs.end()?;
    match (presence.as_deref(), unregistered) {
        (None, false) => Some(Call::new(wanted::bucket_props, move |client| async move {
            Ok(wanted::bucket(&place.bucket(&client)?.head().await?))
        })),
        (None, true) => Some(Call::new(wanted::bucket_props, move |client| async move {
            Ok(wanted::bucket(&place.bucket(&client)?.head_unregistered().await?))
        })),
        (Some("2"), false) => Some(Call::new(wanted::bucket_props, move |client| async move {
            Ok(wanted::bucket(&place.bucket(&client)?.head_present().await?))
        })),
        (Some("1"), false) => Some(Call::new(wanted::exists, move |client| async move {
            Ok(json!(place.bucket(&client)?.exists().await?))
        })),
        _ => None,
    }
}

/// The flags that the client has names for.
fn list_flags(text: &str) -> Option<ListFlags> {
    let bits: u32 = text.parse().ok()?;
    let known = [
        ListFlags::CACHED,
        ListFlags::MISSING,
        ListFlags::DELETED,
        ListFlags::ARCHIVES,
        ListFlags::NAME_ONLY,
        ListFlags::NAME_SIZE,
        ListFlags::BUCKET_PRESENT,
        ListFlags::NO_REMOTE_HEAD,
        ListFlags::NO_REMOTE_ADD,
        ListFlags::NOT_CACHED,
        ListFlags::NO_RECURSION,
        ListFlags::DIFF,
        ListFlags::NO_DIRS,
        ListFlags::INVENTORY,
    ];
    let flags = known.into_iter().filter(|flag| bits & flag.bits() != 0);
    let flags = flags.fold(ListFlags::default(), |all, flag| all | flag);
    (flags.bits() == bits).then_some(flags)
}

fn list(request: &Request, place: Place, value: &Value) -> Option<Call> {
    let mut fields = value.as_object()?.clone();
    let mut text = |name: &str| -> Option<Option<String>> {
        match fields.remove(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text)),
            Some(_) => None,
        }
    };
    let (uuid, token) = (text("uuid")?.unwrap_or_default(), text("continuation_token")?.unwrap_or_default());
    let (prefix, target) = (text("prefix")?.unwrap_or_default(), text("target")?.unwrap_or_default());
    let props = text("props")?.unwrap_or_default();
    let flags = list_flags(&text("flags")??)?;
    let (start_after, time_format) = (text("start_after")?, text("time_format")?);
    let size = match fields.remove("pagesize") {
        Some(size) => u32::try_from(size.as_u64()?).ok()?,
        None => 0,
    };
    fields.is_empty().then_some(())?;
    // The server drops a final `*`, so the client does not send one; and it asks for no more than a page can
    // hold, names a page by both of its marks, and sends the start with the first page only.
    (!prefix.ends_with('*') && size <= 10_000 && uuid.is_empty() == token.is_empty()).then_some(())?;
    (start_after.is_none() || token.is_empty()).then_some(())?;
    let find = |word: &str| ListProp::ALL.iter().copied().find(|prop| prop.as_str() == word);
    let props: Vec<ListProp> = match props.as_str() {
        "" => Vec::new(),
        words => words.split(',').map(find).collect::<Option<_>>()?,
    };
    let inventory = request.header("ais-inv-name").map(str::to_owned);
    Some(Call::new(wanted::page, move |client| async move {
        let mut call = place.bucket(&client)?.list().prefix(prefix).props(props).flags(flags);
        if size > 0 {
            call = call.page_size(size);
        }
        if let Some(name) = start_after {
            call = call.start_after(name);
        }
        if let Some(layout) = time_format {
            call = call.time_format(layout);
        }
        if !target.is_empty() {
            call = call.target(target);
        }
        if let Some(name) = inventory {
            call = call.inventory(name);
        }
        if !token.is_empty() {
            call = call.resume(uuid, token);
        }
        Ok(wanted::listed(&call.await?))
    }))
}
