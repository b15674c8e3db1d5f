//! Calls on vector buckets, their indexes and vectors. Each is a POST of JSON.

use std::collections::HashSet;

use http::Method;
use longshore_core_types::{Idempotency, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Request;
use crate::names::invalid;

use Idempotency::{Idempotent, NotIdempotent};

/// Most vectors of one request that stores some, and most keys of one that deletes.
pub(crate) const MOST_WRITTEN: usize = 500;

/// Most keys of one request that reads.
pub(crate) const MOST_READ: usize = 100;

/// Most neighbours of one query.
const MOST_NEIGHBOURS: u32 = 100;

/// Longest key in characters.
const LONGEST_KEY: usize = 1024;

const MOST_DIMENSIONS: u32 = 4096;

/// The numbers of a vector, as bodies write them.
#[derive(Serialize)]
pub(crate) struct Data<'a> {
    pub(crate) float32: &'a [f32],
}

/// A vector, as bodies write it.
#[derive(Serialize)]
pub(crate) struct Row<'a> {
    pub(crate) key: &'a str,
    pub(crate) data: Data<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<&'a Map<String, Value>>,
}

/// An index by its names.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Index<'a> {
    #[serde(rename = "vectorBucketName")]
    pub(crate) bucket: &'a str,
    #[serde(rename = "indexName")]
    pub(crate) name: &'a str,
}

/// What a request says beside the names.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_results: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query_vector: Option<Data<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) return_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) return_metadata: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) return_distance: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) segment_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) segment_index: Option<u32>,
}

/// How an index is made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewIndex<'a> {
    #[serde(flatten)]
    index: Index<'a>,
    data_type: &'static str,
    dimension: u32,
    distance_metric: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_configuration: Option<MetadataConfiguration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetadataConfiguration<'a> {
    non_filterable_metadata_keys: &'a [String],
}

#[derive(Serialize)]
struct On<'a, T> {
    #[serde(flatten)]
    index: Index<'a>,
    #[serde(flatten)]
    asked: T,
}

fn post(name: &str, operation: &'static str, how: Idempotency, body: &impl Serialize) -> Result<Request> {
    Request::new(Method::POST, format!("/vector/{name}"), operation, how).json(body)
}

fn check_bucket(name: &str) -> Result<()> {
    if name.is_empty() { Err(invalid("a vector bucket needs a name")) } else { Ok(()) }
}

/// 3 to 63 characters: letters and digits of ASCII in lower case, and inside `.` and `-`.
fn check_index(index: Index<'_>) -> Result<()> {
    check_bucket(index.bucket)?;
    let name = index.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = name.starts_with(plain) && name.ends_with(plain);
    if (3..=63).contains(&name.len()) && ends && name.chars().all(|c| plain(c) || matches!(c, '.' | '-')) {
        return Ok(());
    }
    Err(invalid(format!(
        "{name:?} is not the name of a vector index: 3 to 63 of a-z, 0-9, and inside also `.` and `-`"
    )))
}

fn check_page(most: Option<u32>, limit: u32) -> Result<()> {
    match most {
        Some(most) if !(1..=limit).contains(&most) => {
            Err(invalid(format!("a page of {most} cannot be asked for; it is 1 to {limit}")))
        }
        _ => Ok(()),
    }
}

fn check_keys(keys: &[String], most: usize) -> Result<()> {
    if keys.is_empty() || keys.len() > most {
        return Err(invalid(format!("{} keys in one request; it is 1 to {most}", keys.len())));
    }
    keys.iter().try_for_each(|key| check_key(key))
}

fn check_key(key: &str) -> Result<()> {
    if key.is_empty() || key.chars().count() > LONGEST_KEY {
        return Err(invalid(format!("{key:?} is no key of a vector: it has 1 to {LONGEST_KEY} characters")));
    }
    Ok(())
}

fn check_numbers(of: &str, numbers: &[f32]) -> Result<()> {
    if numbers.is_empty() {
        return Err(invalid(format!("{of} has no numbers")));
    }
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(number) => Err(invalid(format!("{of} has {number}, which JSON cannot say"))),
        None => Ok(()),
    }
}

/// What every vector of one call must be.
pub(crate) fn check_vectors<'a>(vectors: impl Iterator<Item = (&'a str, &'a [f32])>) -> Result<()> {
    let (mut keys, mut dimension) = (HashSet::new(), None);
    for (key, numbers) in vectors {
        check_key(key)?;
        check_numbers(&format!("the vector {key:?}"), numbers)?;
        let first = *dimension.get_or_insert(numbers.len());
        if numbers.len() != first {
            let found = numbers.len();
            return Err(invalid(format!("the vector {key:?} has {found} numbers, the first {first}")));
        }
        if !keys.insert(key) {
            return Err(invalid(format!("there are two vectors {key:?}")));
        }
    }
    Ok(())
}

fn on_bucket(name: &str, operation: &'static str, how: Idempotency, bucket: &str) -> Result<Request> {
    check_bucket(bucket)?;
    post(name, operation, how, &serde_json::json!({ "vectorBucketName": bucket }))
}

pub(crate) fn create_bucket(bucket: &str) -> Result<Request> {
    on_bucket("CreateVectorBucket", "supabase.vectors.create_bucket", NotIdempotent, bucket)
}

pub(crate) fn get_bucket(bucket: &str) -> Result<Request> {
    on_bucket("GetVectorBucket", "supabase.vectors.get_bucket", Idempotent, bucket)
}

pub(crate) fn delete_bucket(bucket: &str) -> Result<Request> {
    on_bucket("DeleteVectorBucket", "supabase.vectors.delete_bucket", Idempotent, bucket)
}

pub(crate) fn list_buckets(asked: &Asked<'_>) -> Result<Request> {
    check_page(asked.max_results, 500)?;
    post("ListVectorBuckets", "supabase.vectors.list_buckets", Idempotent, asked)
}

pub(crate) fn create_index(
    index: Index<'_>,
    dimension: u32,
    distance_metric: &'static str,
    unfiltered: &[String],
) -> Result<Request> {
    check_index(index)?;
    if !(1..=MOST_DIMENSIONS).contains(&dimension) {
        return Err(invalid(format!("an index has 1 to {MOST_DIMENSIONS} dimensions, not {dimension}")));
    }
    if unfiltered.len() > 10 {
        return Err(invalid(format!("{} keys of metadata without filters; 10 is most", unfiltered.len())));
    }
    let metadata_configuration = (!unfiltered.is_empty())
        .then_some(MetadataConfiguration { non_filterable_metadata_keys: unfiltered });
    let new = NewIndex { index, data_type: "float32", dimension, distance_metric, metadata_configuration };
    post("CreateIndex", "supabase.vectors.create_index", NotIdempotent, &new)
}

pub(crate) fn get_index(index: Index<'_>) -> Result<Request> {
    check_index(index)?;
    post("GetIndex", "supabase.vectors.get_index", Idempotent, &index)
}

pub(crate) fn delete_index(index: Index<'_>) -> Result<Request> {
    check_index(index)?;
    post("DeleteIndex", "supabase.vectors.delete_index", Idempotent, &index)
}

pub(crate) fn list_indexes(bucket: &str, asked: &Asked<'_>) -> Result<Request> {
    #[derive(Serialize)]
    struct Of<'a> {
        #[serde(rename = "vectorBucketName")]
        bucket: &'a str,
        #[serde(flatten)]
        asked: &'a Asked<'a>,
    }
    check_bucket(bucket)?;
    check_page(asked.max_results, 500)?;
    post("ListIndexes", "supabase.vectors.list_indexes", Idempotent, &Of { bucket, asked })
}

/// Vectors that were checked.
pub(crate) fn put(index: Index<'_>, vectors: &[Row<'_>]) -> Result<Request> {
    #[derive(Serialize)]
    struct Vectors<'a> {
        vectors: &'a [Row<'a>],
    }
    check_index(index)?;
    if vectors.is_empty() {
        return Err(invalid("there are no vectors to store"));
    }
    // Stored over those of the same keys.
    post("PutVectors", "supabase.vectors.put", Idempotent, &On { index, asked: Vectors { vectors } })
}

pub(crate) fn get(index: Index<'_>, asked: &Asked<'_>) -> Result<Request> {
    check_index(index)?;
    check_keys(asked.keys.unwrap_or_default(), MOST_READ)?;
    post("GetVectors", "supabase.vectors.get", Idempotent, &On { index, asked })
}

pub(crate) fn list(index: Index<'_>, asked: &Asked<'_>) -> Result<Request> {
    check_index(index)?;
    check_page(asked.max_results, 1000)?;
    if let (Some(count), Some(number)) = (asked.segment_count, asked.segment_index)
        && (!(1..=16).contains(&count) || number >= count)
    {
        return Err(invalid(format!("there is no segment {number} of {count}; 16 is most")));
    }
    post("ListVectors", "supabase.vectors.list", Idempotent, &On { index, asked })
}

pub(crate) fn query(index: Index<'_>, asked: &Asked<'_>) -> Result<Request> {
    check_index(index)?;
    if let Some(data) = &asked.query_vector {
        check_numbers("the vector that is asked for", data.float32)?;
    }
    match asked.top_k {
        Some(1..=MOST_NEIGHBOURS) => {}
        other => {
            let number = other.unwrap_or_default();
            return Err(invalid(format!("{number} neighbours; it is 1 to {MOST_NEIGHBOURS}")));
        }
    }
    post("QueryVectors", "supabase.vectors.query", Idempotent, &On { index, asked })
}

pub(crate) fn delete(index: Index<'_>, keys: &[String]) -> Result<Request> {
    check_index(index)?;
    check_keys(keys, MOST_WRITTEN)?;
    let asked = Asked { keys: Some(keys), ..Asked::default() };
    post("DeleteVectors", "supabase.vectors.delete", Idempotent, &On { index, asked })
}

#[cfg(test)]
mod tests {
    use longshore_core_types::ErrorKind;

    use super::*;

    const INDEX: Index<'_> = Index { bucket: "b", name: "idx" };

    #[test]
    fn what_the_server_would_refuse() {
        for name in ["", "ab", "Abc", "a_c", "-ab", "ab.", &"a".repeat(64)] {
            assert!(get_index(Index { bucket: "b", name }).is_err(), "{name}");
        }
        assert!(get_index(Index { bucket: "b", name: "a.b-c" }).is_ok());
        assert!(get_index(Index { bucket: "", name: "abc" }).is_err());
        let page = |most| Asked { max_results: Some(most), ..Asked::default() };
        let top = |most| Asked { top_k: Some(most), ..Asked::default() };
        let segment = |index, count| Asked {
            segment_index: Some(index),
            segment_count: Some(count),
            ..Asked::default()
        };
        let keys: Vec<String> = (0..501).map(|n| n.to_string()).collect();
        let read = |keys| Asked { keys: Some(keys), ..Asked::default() };
        let refused = [
            create_bucket(""),
            create_index(INDEX, 0, "cosine", &[]),
            create_index(INDEX, 4097, "cosine", &[]),
            create_index(INDEX, 3, "cosine", &keys[..11]),
            list_buckets(&page(501)),
            list_indexes("b", &page(0)),
            list(INDEX, &page(1001)),
            list(INDEX, &segment(2, 2)),
            query(INDEX, &top(101)),
            query(INDEX, &Asked::default()),
            get(INDEX, &read(&keys[..101])),
            delete(INDEX, &keys),
            delete(INDEX, &[String::new()]),
            put(INDEX, &[]),
        ];
        for (number, request) in refused.into_iter().enumerate() {
            assert_eq!(request.unwrap_err().kind(), ErrorKind::InvalidInput, "{number}");
        }
    }

    #[test]
    fn vectors_that_do_not_fit_together() {
        let check = |vectors: &[(&str, &[f32])]| check_vectors(vectors.iter().copied());
        assert!(check(&[("a", &[1.0, 2.0]), ("b", &[0.0, 0.5])]).is_ok());
        for wrong in [
            &[("a", &[1.0_f32][..]), ("b", &[1.0, 2.0])][..],
            &[("a", &[1.0]), ("a", &[2.0])],
            &[("", &[1.0])],
            &[("a", &[])],
            &[("a", &[f32::NAN])],
        ] {
            assert_eq!(check(wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong:?}");
        }
    }
}
