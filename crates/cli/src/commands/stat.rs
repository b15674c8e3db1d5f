//! `longshore stat`: all that is known about objects and buckets.

use clap::Args;
use longshore::{Attributes, BlobStore, HeadOptions, ObjectMeta, Scheme, StoreUrl, aistore::BucketProps};
use serde_json::{Map, Value, json};

use super::{apolo, store_url, supabase};
use crate::{
    app::App,
    failure::Failure,
    listing::{is_web, object_of, require_bucket},
    output::{Message, Stat},
    units::show_time,
};

/// Show all that a store says about objects and buckets
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Size, date, version, checksums and metadata of an object
     longshore stat ais://photos/2024/cat.jpg
  2. Properties of a bucket
     longshore stat ais://photos
  3. The size alone, for a script
     longshore --json stat ais://photos/2024/cat.jpg | jq .size")]
pub(crate) struct StatArgs {
    /// Store URLs of objects or buckets; keys are taken literally
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
}

pub(crate) async fn run(app: &App, args: StatArgs) -> Result<(), Failure> {
    let urls = args.urls.iter().map(|text| store_url(text)).collect::<Result<Vec<_>, _>>()?;
    for url in urls {
        if !is_web(&url) {
            require_bucket(&url)?;
        }
        let facts = if url.key().is_empty() { bucket(app, &url).await? } else { object(app, &url).await? };
        app.out.print_now(&Message::Stat(&Stat { url: url.to_string(), facts }))?;
    }
    Ok(())
}

async fn bucket(app: &App, url: &StoreUrl) -> Result<Map<String, Value>, Failure> {
    if url.scheme() == Scheme::Blob {
        return Ok(apolo::facts(&app.services.apolo_bucket(url).await?));
    }
    if url.scheme() == Scheme::Supabase {
        let bucket = app.services.supabase_bucket(url)?;
        let found = bucket.client().buckets().get(bucket.id()).await;
        let found = found.map_err(|error| Failure::of(format!("cannot look at {url}"), error))?;
        return Ok(supabase::facts(&found));
    }
    if matches!(url.scheme(), Scheme::S3 | Scheme::Gs | Scheme::Az) {
        let message = format!("{url} is a bucket, of which its service tells nothing but what is in it");
        return Err(Failure::usage(message).hint(format!("`longshore du {url}` counts that")));
    }
    let props = app.services.bucket(url).await?.head().await;
    Ok(bucket_facts(&props.map_err(|error| Failure::of(format!("cannot look at {url}"), error))?))
}

fn bucket_facts(props: &BucketProps) -> Map<String, Value> {
    let facts = [
        ("checksum", Some(json!(props.checksum_type))),
        ("versioning", Some(json!(props.versioning))),
        ("mirror_copies", props.mirror_copies.map(|copies| json!(copies))),
        ("erasure_coding", Some(json!(props.ec_enabled))),
        ("access", Some(json!(props.access.to_string()))),
        ("backend", props.backend.as_ref().map(|bucket| json!(bucket.to_string()))),
        ("id", Some(json!(props.id))),
    ];
    known(facts)
}

async fn object(app: &App, url: &StoreUrl) -> Result<Map<String, Value>, Failure> {
    let key = object_of(url)?;
    let meta = app.services.store(url).await?.head(&key, HeadOptions::default()).await;
    Ok(object_facts(&meta.map_err(|error| Failure::of(format!("cannot look at {url}"), error))?))
}

fn object_facts(meta: &ObjectMeta) -> Map<String, Value> {
    let mut facts = known([
        ("size", Some(json!(meta.size))),
        ("modified", meta.last_modified.and_then(show_time).map(Value::from)),
        ("created", meta.created.and_then(show_time).map(Value::from)),
        ("version", meta.version.clone().map(Value::from)),
        ("etag", meta.etag.clone().map(Value::from)),
        ("chunk_size", meta.chunk_size.map(Value::from)),
    ]);
    for checksum in &meta.checksums {
        facts.insert(checksum.kind().to_string(), checksum.to_hex().into());
    }
    let Attributes {
        content_type,
        cache_control,
        content_encoding,
        content_disposition,
        content_language,
        ..
    } = &meta.attributes;
    facts.extend(known([
        ("content_type", content_type.clone().map(Value::from)),
        ("cache_control", cache_control.clone().map(Value::from)),
        ("content_encoding", content_encoding.clone().map(Value::from)),
        ("content_disposition", content_disposition.clone().map(Value::from)),
        ("content_language", content_language.clone().map(Value::from)),
    ]));
    let metadata: Map<String, Value> =
        meta.attributes.metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    if !metadata.is_empty() {
        facts.insert("metadata".to_owned(), metadata.into());
    }
    facts
}

fn known<const N: usize>(facts: [(&str, Option<Value>); N]) -> Map<String, Value> {
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_in_text() {
        let mut meta = ObjectMeta::new("k".parse().unwrap(), 5);
        meta.version = Some("3".into());
        meta.checksums =
            vec!["crc32c".parse().and_then(|kind| longshore::Checksum::from_hex(kind, "00abcd0f")).unwrap()];
        meta.attributes =
            Attributes::default().with_content_type("text/plain").with_metadata("owner", "a\u{7}b");
        let stat = Stat { url: "ais://b/k".into(), facts: object_facts(&meta) };
        let expected = "ais://b/k\n  size:         5\n  version:      3\n  crc32c:       00abcd0f\n  \
                        content type: text/plain\n  metadata:\n    owner: a\\u{7}b";
        assert_eq!(stat.to_string(), expected);
    }
}
