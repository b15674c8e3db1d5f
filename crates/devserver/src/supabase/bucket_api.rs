//! Buckets.

use http::Method;
use serde_json::Value;

use super::caller::Caller;
use super::cx::{Cx, NoBody, NoHeader};
use super::error::{Fail, Result};
use super::names;
use super::rows::{Bucket, Object, document};
use super::s3;
use super::schema::{self, Change, Fields};
use super::time::{Micros, now};
use super::tus;
use crate::aistore::reply::Reply;
use crate::storage::{StorageError, Tables};

/// Objects that are removed in one transaction.
const BATCH: usize = 1000;

/// The bucket that is found in a transaction, or why not.
type Checked<T> = std::result::Result<std::result::Result<T, Fail>, StorageError>;

fn message(text: &str) -> Reply {
    Reply::json(format!(r#"{{"message":"{text}"}}"#))
}

/// `/bucket`.
pub(super) async fn all(cx: &mut Cx) -> Result<Reply> {
    if cx.method == Method::POST { create(cx).await } else { list(cx) }
}

/// `/bucket/{id}`.
pub(super) async fn one(cx: &mut Cx, id: &str) -> Result<Reply> {
    match cx.method {
        Method::PUT => update(cx, id).await,
        Method::DELETE => delete(cx, id).await,
        _ => get(cx, id),
    }
}

/// What can be set.
#[derive(Clone, Debug, Default)]
struct Wanted {
    public: Option<bool>,
    file_size_limit: Change<u64>,
    allowed_mime_types: Change<Vec<String>>,
}

impl Wanted {
    fn read(fields: &Fields) -> Result<Self> {
        let types = match fields.value("allowed_mime_types") {
            None => Change::Keep,
            Some(Value::Null) => Change::Set(None),
            Some(_) => {
                let mut types = fields.texts("allowed_mime_types", 0, None)?.unwrap_or_default();
                types.retain(|t| !t.is_empty());
                Change::Set(Some(types))
            }
        };
        Ok(Self {
            public: fields.boolean("public")?,
            file_size_limit: schema::size_limit(fields, "file_size_limit")?,
            allowed_mime_types: types,
        })
    }

    fn check(&self, most: u64) -> Result<()> {
        for rule in self.allowed_mime_types.wanted().into_iter().flatten() {
            names::check_mime_rule(rule)?;
        }
        match self.file_size_limit.wanted() {
            Some(limit) if *limit > most => Err(Fail::too_large()),
            _ => Ok(()),
        }
    }
}

/// Makes a bucket; `None` if its id or its name is taken.
pub(super) async fn make(cx: &Cx, mut bucket: Bucket) -> Result<Option<Bucket>> {
    let made = move |tables: &mut Tables<'_>| {
        let taken = Bucket::in_tables(tables)?.iter().any(|b| b.id == bucket.id || b.name == bucket.name);
        if taken {
            return Ok(None);
        }
        bucket.number = Bucket::take_number(tables)?;
        tables.put_row(&Bucket::key(&bucket.id), &bucket, &[])?;
        Ok(Some(bucket))
    };
    Ok(cx.service.storage.write(made).await?)
}

/// A bucket that is not stored yet.
pub(super) fn new_bucket(id: String, name: String, caller: &Caller) -> Bucket {
    let at = now();
    Bucket {
        number: 0,
        id,
        name,
        owner: caller.sub.clone(),
        public: false,
        file_size_limit: None,
        allowed_mime_types: None,
        created_at: at,
        updated_at: at,
    }
}

async fn create(cx: &mut Cx) -> Result<Reply> {
    let fields = cx.document().await?;
    fields.require(&["name"])?;
    let name = fields.text("name")?.unwrap_or_default();
    let id = fields.text("id")?.unwrap_or_else(|| name.clone());
    let wanted = Wanted::read(&fields)?;
    let kind = fields.choice("type", &["STANDARD", "ANALYTICS"])?;
    let caller = cx.caller(NoHeader::Missing)?;
    names::check_new_bucket(&name)?;
    if kind == Some("ANALYTICS") {
        let message = "The feature icebergCatalog is not enabled for this resource";
        return Err(Fail::new(409, "FeatureNotEnabled", message, "FeatureNotEnabled"));
    }
    wanted.check(cx.service.settings.file_size_limit)?;
    if !cx.service.frees(&caller) {
        return Err(Fail::row_security());
    }
    let mut bucket = new_bucket(id, name.clone(), &caller);
    bucket.public = wanted.public.unwrap_or_default();
    wanted.file_size_limit.apply(&mut bucket.file_size_limit);
    wanted.allowed_mime_types.apply(&mut bucket.allowed_mime_types);
    make(cx, bucket).await?.ok_or_else(|| Fail::exists("BucketAlreadyExists"))?;
    Ok(Reply::json(format!(r#"{{"name":{}}}"#, Value::from(name))))
}

fn get(cx: &Cx, id: &str) -> Result<Reply> {
    let caller = cx.caller(NoHeader::Missing)?;
    let bucket = Bucket::find(&cx.service.storage.snapshot()?, id)?;
    let bucket = bucket.filter(|_| cx.service.frees(&caller)).ok_or_else(Fail::no_bucket)?;
    Ok(Reply::json(document(&bucket.show(false))?))
}

/// Clients so old that they do not know the type of a bucket.
fn is_old(cx: &Cx) -> bool {
    let version = |text: &str| {
        let numbers: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let mut parts = numbers.split('.').map(|n| n.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        (next(), next(), next())
    };
    let below = |name: &str, prefix: &str, limit: (u32, u32, u32)| {
        let rest = cx.header(name).and_then(|v| v.strip_prefix(prefix));
        rest.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()) && version(v) < limit)
    };
    below("x-client-info", "supabase-py/", (2, 18, 0))
        || below("user-agent", "supabase-py/storage3 v", (0, 12, 1))
}

fn list(cx: &Cx) -> Result<Reply> {
    let query = cx.fields();
    let limit = query.integer("limit", 1, None)?;
    let offset = query.integer("offset", 0, None)?.unwrap_or(0);
    let column = query.choice("sortColumn", &["id", "name", "created_at", "updated_at"])?;
    let order = query.choice("sortOrder", &["asc", "desc"])?;
    let search = query.text("search")?.unwrap_or_default().to_lowercase();
    let caller = cx.caller(NoHeader::Missing)?;
    let mut buckets = Bucket::all(&cx.service.storage.snapshot()?)?;
    buckets.retain(|b| cx.service.frees(&caller) && b.name.to_lowercase().contains(&search));
    match column {
        Some("id") => buckets.sort_by(|a, b| a.id.cmp(&b.id)),
        Some("name") => buckets.sort_by(|a, b| a.name.cmp(&b.name)),
        Some("created_at") => buckets.sort_by_key(|b| b.created_at),
        Some(_) => buckets.sort_by_key(|b| b.updated_at),
        None => {}
    }
    if column.is_some() && order == Some("desc") {
        buckets.reverse();
    }
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    let take = limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let with_type = !is_old(cx);
    let shown: Vec<_> = buckets.iter().skip(skip).take(take).map(|b| b.show(with_type)).collect();
    Ok(Reply::json(document(&shown)?))
}

async fn update(cx: &mut Cx, id: &str) -> Result<Reply> {
    const KNOWN: [&str; 3] = ["public", "file_size_limit", "allowed_mime_types"];
    let fields = cx.document().await?;
    if !KNOWN.iter().any(|name| fields.has(name)) {
        let each = KNOWN.map(|name| format!("body must have required property '{name}'"));
        return Err(Fail::schema(format!("{}, body must match a schema in anyOf", each.join(", "))));
    }
    let wanted = Wanted::read(&fields)?;
    let caller = cx.caller(NoHeader::Missing)?;
    wanted.check(cx.service.settings.file_size_limit)?;
    if !cx.service.frees(&caller) {
        return Err(Fail::no_bucket());
    }
    let key = Bucket::key(id);
    let changed = cx.service.storage.write(move |tables| {
        let Some(mut bucket) = tables.row::<Bucket>(&key)?.map(|row| row.value) else { return Ok(false) };
        if let Some(public) = wanted.public {
            bucket.public = public;
        }
        wanted.file_size_limit.apply(&mut bucket.file_size_limit);
        wanted.allowed_mime_types.apply(&mut bucket.allowed_mime_types);
        tables.put_row(&key, &bucket, &[])?;
        Ok(true)
    });
    if changed.await? { Ok(message("Successfully updated")) } else { Err(Fail::no_bucket()) }
}

/// `POST /bucket/{id}/empty`.
pub(super) async fn empty(cx: &mut Cx, id: &str) -> Result<Reply> {
    cx.json(NoBody::Fine).await?;
    cx.caller(NoHeader::Missing)?.need_service()?;
    let bucket = Bucket::find(&cx.service.storage.snapshot()?, id)?.ok_or_else(Fail::no_bucket)?;
    remove_older(cx, &bucket, now()).await?;
    Ok(message("Empty bucket has been queued. Completion may take up to an hour."))
}

/// Removes the objects that were made before `at`.
async fn remove_older(cx: &Cx, bucket: &Bucket, at: Micros) -> Result<()> {
    let prefix = bucket.objects();
    let mut after = Vec::new();
    loop {
        let (prefix, from) = (prefix.clone(), std::mem::take(&mut after));
        let step = move |tables: &mut Tables<'_>| {
            let found = tables.rows::<Object>(&prefix, &from, BATCH)?;
            for (key, row) in &found {
                if row.value.created_at <= at {
                    tables.remove_row::<Object>(key)?;
                }
            }
            Ok(found.last().filter(|_| found.len() == BATCH).map(|(key, _)| key.clone()))
        };
        match cx.service.storage.write(step).await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

async fn delete(cx: &mut Cx, id: &str) -> Result<Reply> {
    cx.json(NoBody::Fine).await?;
    let caller = cx.caller(NoHeader::Missing)?;
    remove(cx, id, &caller).await?;
    Ok(message("Successfully deleted"))
}

/// Removes a bucket that is empty.
pub(super) async fn remove(cx: &Cx, id: &str, caller: &Caller) -> Result<()> {
    let (key, free) = (Bucket::key(id), cx.service.frees(caller));
    let gone = move |tables: &mut Tables<'_>| -> Checked<()> {
        let Some(row) = tables.row::<Bucket>(&key)? else { return Ok(Err(Fail::no_bucket())) };
        // Emptiness is checked with full rights, and before the caller's.
        if !tables.rows::<Object>(&row.value.objects(), &[], 1)?.is_empty() {
            let message = "The bucket you tried to delete is not empty";
            return Ok(Err(Fail::new(409, "ResourceNotEmpty", message, "ResourceNotEmpty")));
        }
        if !free {
            return Ok(Err(Fail::no_bucket()));
        }
        if s3::uploads_of(tables, row.value.number)? {
            let message = "The bucket is referenced by multipart uploads";
            return Ok(Err(Fail::new(409, "ResourceReferenced", message, "ResourceReferenced")));
        }
        tus::drop_uploads(tables, row.value.number)?;
        tables.take_row::<Bucket>(&key)?;
        Ok(Ok(()))
    };
    cx.service.storage.write(gone).await?
}
