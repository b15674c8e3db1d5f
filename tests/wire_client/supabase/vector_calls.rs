//! Calls on analytics and vector buckets.

use longshore_supabase::{DistanceMetric, Vector};
use serde_json::{Map, Value};

use super::{
    bucket_calls::asked,
    calls::{Call, body, name, no_body},
    wanted,
};
use crate::{calls::Pairs, recorded::Request};

pub(crate) fn read(request: &Request, segments: &[&str]) -> Option<Call> {
    let mut pairs = Pairs(request.target().1);
    let call = match (request.method.as_str(), segments) {
        ("GET", ["iceberg", "bucket"]) => warehouses(&mut pairs)?,
        ("POST", ["iceberg", "bucket"]) => {
            let mut fields = Fields(body(request)?);
            let name = fields.text("name")??;
            fields.end()?;
            Call::new(wanted::warehouse, |client| async move {
                Ok(wanted::of_warehouse(&client.analytics().create(name).await?))
            })
        }
        ("DELETE", ["iceberg", "bucket", id]) => {
            no_body(request)?;
            let id = name(&[id])?;
            Call::new(wanted::nothing, |client| async move {
                client.analytics().delete(id).await.map(|()| Value::Null)
            })
        }
        ("POST", ["vector", operation]) => vector(operation, Fields(body(request)?))?,
        _ => return None,
    };
    pairs.end()?;
    Some(call)
}

/// The fields of a body, of which none may be left.
struct Fields(Map<String, Value>);

impl Fields {
    /// The outer `None`: it is something else.
    #[expect(clippy::option_option, reason = "wrong, absent or present")]
    fn text(&mut self, name: &str) -> Option<Option<String>> {
        match self.0.remove(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text)),
            Some(_) => None,
        }
    }

    #[expect(clippy::option_option, reason = "wrong, absent or present")]
    fn number(&mut self, name: &str) -> Option<Option<u32>> {
        match self.0.remove(name) {
            None => Some(None),
            Some(value) => Some(Some(u32::try_from(value.as_u64()?).ok()?)),
        }
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        match self.0.remove(name) {
            None => Some(false),
            Some(value) => value.as_bool(),
        }
    }

    fn keys(&mut self) -> Option<Vec<String>> {
        serde_json::from_value(self.0.remove("keys")?).ok()
    }

    fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the service's numbers are of single precision")]
fn numbers(mut vector: Value) -> Option<Vec<f32>> {
    let Value::Array(numbers) = vector["float32"].take() else { return None };
    numbers.iter().map(|number| Some(number.as_f64()? as f32)).collect()
}

fn warehouses(pairs: &mut Pairs) -> Option<Call> {
    let asked = asked(pairs)?;
    Some(Call::new(wanted::warehouses, move |client| async move {
        let mut list = client.analytics().list();
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
        Ok(list.await?.iter().map(wanted::of_warehouse).collect())
    }))
}

fn vector(operation: &str, mut fields: Fields) -> Option<Call> {
    match operation {
        "ListVectorBuckets" => return buckets(fields),
        "ListIndexes" => return indexes(fields),
        _ => {}
    }
    let bucket = fields.text("vectorBucketName")??;
    let call = match operation {
        "CreateVectorBucket" => Call::new(wanted::nothing, |client| async move {
            client.vectors().create(bucket).await.map(|()| Value::Null)
        }),
        "GetVectorBucket" => Call::new(wanted::vector_bucket, |client| async move {
            Ok(wanted::of_vector_bucket(&client.vectors().get(bucket).await?))
        }),
        "DeleteVectorBucket" => Call::new(wanted::nothing, |client| async move {
            client.vectors().delete(bucket).await.map(|()| Value::Null)
        }),
        _ => {
            let index = fields.text("indexName")??;
            return on_index(operation, bucket, index, fields);
        }
    };
    fields.end()?;
    Some(call)
}

fn buckets(mut fields: Fields) -> Option<Call> {
    let (prefix, most, after) =
        (fields.text("prefix")?, fields.number("maxResults")?, fields.text("nextToken")?);
    fields.end()?;
    Some(Call::new(wanted::vector_buckets, move |client| async move {
        let mut list = client.vectors().list();
        if let Some(prefix) = prefix {
            list = list.prefix(prefix);
        }
        if let Some(most) = most {
            list = list.limit(most);
        }
        if let Some(after) = after {
            list = list.after(after);
        }
        let page = list.await?;
        let rows: Value = page.buckets.iter().map(wanted::of_vector_bucket).collect();
        Ok(serde_json::json!([rows, page.next]))
    }))
}

fn indexes(mut fields: Fields) -> Option<Call> {
    let bucket = fields.text("vectorBucketName")??;
    fields.end()?;
    Some(Call::new(wanted::indexes, move |client| async move {
        let page = client.vectors().bucket(bucket).list_indexes().await?;
        let rows: Value = page.indexes.iter().map(wanted::of_index).collect();
        Ok(serde_json::json!([rows, page.next]))
    }))
}

fn on_index(operation: &str, bucket: String, name: String, mut fields: Fields) -> Option<Call> {
    let call = match operation {
        "CreateIndex" => {
            fields.text("dataType")?.filter(|kind| kind == "float32")?;
            let dimension = fields.number("dimension")??;
            let metric = match fields.text("distanceMetric")??.as_str() {
                "cosine" => DistanceMetric::Cosine,
                "euclidean" => DistanceMetric::Euclidean,
                _ => return None,
            };
            let unfiltered: Vec<String> = match fields.0.remove("metadataConfiguration") {
                None => Vec::new(),
                Some(mut all) => serde_json::from_value(all["nonFilterableMetadataKeys"].take()).ok()?,
            };
            Call::new(wanted::nothing, move |client| async move {
                let bucket = client.vectors().bucket(bucket);
                let create = bucket.create_index(name, dimension, metric).non_filterable(unfiltered);
                create.await.map(|()| Value::Null)
            })
        }
        "GetIndex" => Call::new(wanted::index, |client| async move {
            Ok(wanted::of_index(&client.vectors().bucket(bucket).get_index(name).await?))
        }),
        "DeleteIndex" => Call::new(wanted::nothing, |client| async move {
            client.vectors().bucket(bucket).delete_index(name).await.map(|()| Value::Null)
        }),
        "PutVectors" => {
            let vectors = vectors(fields.0.remove("vectors")?)?;
            Call::new(wanted::nothing, move |client| async move {
                let index = client.vectors().bucket(bucket).index(name);
                index.put(&vectors).await.map(|()| Value::Null)
            })
        }
        "DeleteVectors" => {
            let keys = fields.keys()?;
            Call::new(wanted::nothing, move |client| async move {
                let index = client.vectors().bucket(bucket).index(name);
                index.delete(keys).await.map(|()| Value::Null)
            })
        }
        _ => return reading(operation, bucket, name, fields),
    };
    fields.end()?;
    Some(call)
}

fn vectors(rows: Value) -> Option<Vec<Vector>> {
    let Value::Array(rows) = rows else { return None };
    let vector = |mut row: Value| {
        let data = numbers(row["data"].take())?;
        let mut vector = Vector::new(row["key"].as_str()?, data);
        if let Value::Object(metadata) = row["metadata"].take() {
            vector = vector.with_metadata(metadata);
        }
        Some(vector)
    };
    rows.into_iter().map(vector).collect()
}

fn reading(operation: &str, bucket: String, name: String, mut fields: Fields) -> Option<Call> {
    let (data, metadata) = (fields.flag("returnData")?, fields.flag("returnMetadata")?);
    let call = match operation {
        "GetVectors" => {
            let keys = fields.keys()?;
            Call::new(wanted::vectors, move |client| async move {
                let mut get = client.vectors().bucket(bucket).index(name).get(keys);
                if data {
                    get = get.with_data();
                }
                if metadata {
                    get = get.with_metadata();
                }
                Ok(get.await?.iter().map(wanted::of_vector).collect())
            })
        }
        "ListVectors" => {
            let (most, after) = (fields.number("maxResults")?, fields.text("nextToken")?);
            Call::new(wanted::vector_page, move |client| async move {
                let mut list = client.vectors().bucket(bucket).index(name).list();
                if let Some(most) = most {
                    list = list.limit(most);
                }
                if let Some(after) = after {
                    list = list.after(after);
                }
                if data {
                    list = list.with_data();
                }
                if metadata {
                    list = list.with_metadata();
                }
                let page = list.await?;
                let rows: Value = page.vectors.iter().map(wanted::of_vector).collect();
                Ok(serde_json::json!([rows, page.next]))
            })
        }
        "QueryVectors" if !data => {
            let (vector, nearest) = (numbers(fields.0.remove("queryVector")?)?, fields.number("topK")??);
            let (distance, filter) = (fields.flag("returnDistance")?, fields.0.remove("filter"));
            Call::new(wanted::vectors, move |client| async move {
                let mut query = client.vectors().bucket(bucket).index(name).query(vector, nearest);
                if let Some(filter) = filter {
                    query = query.filter(filter);
                }
                if distance {
                    query = query.with_distance();
                }
                if metadata {
                    query = query.with_metadata();
                }
                Ok(query.await?.iter().map(wanted::of_vector).collect())
            })
        }
        _ => return None,
    };
    fields.end()?;
    Some(call)
}
