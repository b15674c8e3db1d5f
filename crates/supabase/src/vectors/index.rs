//! The vectors of an index.

use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use longshore_core_types::Result;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    client::Client,
    wire::vectors::{self as wire, Asked, Data, Index, MOST_READ, MOST_WRITTEN, Row},
};

/// Most bytes of one request that stores vectors, about: the service reads 20 MiB.
const MOST_BYTES: usize = 12 << 20;

/// Most bytes of a number, as JSON writes it, with its comma.
const NUMBER: usize = 16;

/// A vector that is to be stored.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Vector {
    /// Its key, 1 to 1024 characters. One of the same key is replaced.
    pub key: String,
    /// Its numbers, as many as the index has dimensions.
    pub data: Vec<f32>,
    /// What filters can ask for.
    pub metadata: Option<Map<String, Value>>,
}

impl Vector {
    /// A vector without metadata.
    pub fn new(key: impl Into<String>, data: impl Into<Vec<f32>>) -> Self {
        Self { key: key.into(), data: data.into(), metadata: None }
    }

    /// Sets its metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// How many bytes it takes in a request, about.
    fn weight(&self) -> usize {
        let metadata = self.metadata.as_ref().map_or(0, |metadata| {
            // Writing JSON without a target cannot fail.
            serde_json::to_vec(metadata).map_or(0, |text| text.len())
        });
        self.data.len() * NUMBER + self.key.len() + metadata + 64
    }
}

/// A vector that was found. What was not asked for is `None`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct FoundVector {
    /// Its key.
    pub key: String,
    /// Its numbers, which the service may have rounded.
    #[serde(default, deserialize_with = "numbers")]
    pub data: Option<Vec<f32>>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// Its distance from the vector of a query.
    #[serde(default)]
    pub distance: Option<f64>,
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f32>>, D::Error> {
    #[derive(Deserialize)]
    struct Found {
        float32: Vec<f32>,
    }
    Ok(Option::<Found>::deserialize(deserializer)?.map(|found| found.float32))
}

/// Some vectors of an index.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct VectorPage {
    /// The vectors.
    pub vectors: Vec<FoundVector>,
    /// Where the next page begins; `None`: there is none.
    #[serde(default, rename = "nextToken")]
    pub next: Option<String>,
}

/// An index and its vectors; made by [`VectorBucket::index`](super::VectorBucket::index). Cheap to clone.
#[derive(Clone, Debug)]
pub struct VectorIndex {
    client: Client,
    bucket: String,
    name: String,
}

impl VectorIndex {
    pub(super) fn new(client: Client, bucket: String, name: String) -> Self {
        Self { client, bucket, name }
    }

    pub(super) fn names(&self) -> Index<'_> {
        Index { bucket: &self.bucket, name: &self.name }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stores vectors over those of the same keys, in requests of 500 at most. After a failure those of earlier
    /// requests are stored. Two vectors of one key, and of different lengths, are `InvalidInput` before anything is sent.
    pub async fn put(&self, vectors: &[Vector]) -> Result<()> {
        wire::check_vectors(vectors.iter().map(|vector| (vector.key.as_str(), vector.data.as_slice())))?;
        let rows: Vec<Row<'_>> = vectors
            .iter()
            .map(|vector| Row {
                key: &vector.key,
                data: Data { float32: &vector.data },
                metadata: vector.metadata.as_ref(),
            })
            .collect();
        let mut rest = rows.as_slice();
        for count in batches(vectors) {
            let (batch, left) = rest.split_at(count);
            rest = left;
            self.client.call(wire::put(self.names(), batch)?).await?.done().await?;
        }
        Ok(())
    }

    /// Vectors by their keys, asked for in groups of 100. Those that are not there are left out.
    pub fn get(&self, keys: impl IntoIterator<Item = impl Into<String>>) -> GetVectors {
        let keys = keys.into_iter().map(Into::into).collect();
        GetVectors { index: self.clone(), keys, data: false, metadata: false }
    }

    /// All vectors, in pages.
    pub fn list(&self) -> ListVectors {
        ListVectors {
            index: self.clone(),
            most: None,
            after: None,
            data: false,
            metadata: false,
            segment: None,
        }
    }

    /// The nearest vectors, 1 to 100, the nearest first.
    pub fn query(&self, vector: impl Into<Vec<f32>>, nearest: u32) -> QueryVectors {
        QueryVectors {
            index: self.clone(),
            vector: vector.into(),
            nearest,
            filter: None,
            distance: false,
            metadata: false,
        }
    }

    /// Deletes vectors by their keys, 500 at a time. Those that are not there are no error.
    pub async fn delete(&self, keys: impl IntoIterator<Item = impl Into<String>>) -> Result<()> {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        if keys.is_empty() {
            return Err(crate::names::invalid("there are no vectors to delete"));
        }
        for keys in keys.chunks(MOST_WRITTEN) {
            self.client.call(wire::delete(self.names(), keys)?).await?.done().await?;
        }
        Ok(())
    }
}

/// How many vectors go in each request. No vectors are one request, which is refused.
fn batches(vectors: &[Vector]) -> Vec<usize> {
    let (mut batches, mut count, mut bytes) = (Vec::new(), 0, 0);
    for weight in vectors.iter().map(Vector::weight) {
        if count == MOST_WRITTEN || count > 0 && bytes + weight > MOST_BYTES {
            batches.push(count);
            (count, bytes) = (0, 0);
        }
        (count, bytes) = (count + 1, bytes + weight);
    }
    batches.push(count);
    batches
}

macro_rules! returned {
    ($($flag:ident $method:ident $what:literal),+) => {
        $(
            #[doc = $what]
            pub fn $method(mut self) -> Self {
                self.$flag = true;
                self
            }
        )+
    };
}

/// Vectors that are asked for by their keys; see [`VectorIndex::get`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked for until it is awaited"]
pub struct GetVectors {
    index: VectorIndex,
    keys: Vec<String>,
    data: bool,
    metadata: bool,
}

impl GetVectors {
    returned!(data with_data "With their numbers.", metadata with_metadata "With their metadata.");
}

impl IntoFuture for GetVectors {
    type Output = Result<Vec<FoundVector>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            if self.keys.is_empty() {
                return Err(crate::names::invalid("there are no vectors to ask for"));
            }
            let mut found = Vec::with_capacity(self.keys.len());
            for keys in self.keys.chunks(MOST_READ) {
                let asked = Asked {
                    keys: Some(keys),
                    return_data: self.data.then_some(true),
                    return_metadata: self.metadata.then_some(true),
                    ..Asked::default()
                };
                let answer = self.index.client.call(wire::get(self.index.names(), &asked)?).await?;
                found.extend(answer.json::<VectorPage>("a list of vectors").await?.vectors);
            }
            Ok(found)
        })
    }
}

/// A list of vectors; see [`VectorIndex::list`]. Awaiting it fetches one page.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited"]
pub struct ListVectors {
    index: VectorIndex,
    most: Option<u32>,
    after: Option<String>,
    data: bool,
    metadata: bool,
    segment: Option<(u32, u32)>,
}

impl ListVectors {
    /// So many at most, 1 to 1000.
    pub fn limit(mut self, most: u32) -> Self {
        self.most = Some(most);
        self
    }

    /// Goes on where an earlier page says.
    pub fn after(mut self, next: impl Into<String>) -> Self {
        self.after = Some(next.into());
        self
    }

    /// Only one of `count` parts of the index, 16 at most, for those who list it side by side. They are counted from 0.
    pub fn segment(mut self, number: u32, count: u32) -> Self {
        self.segment = Some((number, count));
        self
    }

    returned!(data with_data "With their numbers.", metadata with_metadata "With their metadata.");

    /// All vectors in memory. For indexes that surely fit.
    pub async fn all(mut self) -> Result<Vec<FoundVector>> {
        let mut all = Vec::new();
        loop {
            let page = self.clone().await?;
            all.extend(page.vectors);
            match page.next {
                // A place that stays where it is, or leads to the beginning, would never end.
                Some(next) if !next.is_empty() && self.after.as_ref() != Some(&next) => {
                    self.after = Some(next);
                }
                _ => return Ok(all),
            }
        }
    }
}

impl IntoFuture for ListVectors {
    type Output = Result<VectorPage>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = Asked {
                max_results: self.most,
                next_token: self.after.as_deref(),
                return_data: self.data.then_some(true),
                return_metadata: self.metadata.then_some(true),
                segment_index: self.segment.map(|(number, _)| number),
                segment_count: self.segment.map(|(_, count)| count),
                ..Asked::default()
            };
            let request = wire::list(self.index.names(), &asked)?;
            self.index.client.call(request).await?.json("a list of vectors").await
        })
    }
}

/// A search for the nearest vectors; see [`VectorIndex::query`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked for until it is awaited"]
pub struct QueryVectors {
    index: VectorIndex,
    vector: Vec<f32>,
    nearest: u32,
    filter: Option<Value>,
    distance: bool,
    metadata: bool,
}

impl QueryVectors {
    /// Only those whose metadata is like this: fields that are equal, or `$eq $ne $gt $gte $lt $lte $in $nin $exists`,
    /// joined with `$and` and `$or`.
    pub fn filter(mut self, filter: Value) -> Self {
        self.filter = Some(filter);
        self
    }

    returned!(distance with_distance "With their distances.", metadata with_metadata "With their metadata.");
}

impl IntoFuture for QueryVectors {
    type Output = Result<Vec<FoundVector>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = Asked {
                query_vector: Some(Data { float32: &self.vector }),
                top_k: Some(self.nearest),
                filter: self.filter.as_ref(),
                return_distance: self.distance.then_some(true),
                return_metadata: self.metadata.then_some(true),
                ..Asked::default()
            };
            let request = wire::query(self.index.names(), &asked)?;
            let found: VectorPage = self.index.client.call(request).await?.json("a list of vectors").await?;
            Ok(found.vectors)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_in_groups() {
        let many = |count: usize, dimension: usize| vec![Vector::new("k", vec![0.5; dimension]); count];
        assert_eq!(batches(&many(1200, 3)), [500, 500, 200]);
        let large = batches(&many(500, 4096));
        assert_eq!(large.iter().sum::<usize>(), 500);
        assert!(large.iter().all(|count| count * 4096 * NUMBER <= MOST_BYTES), "{large:?}");
        assert_eq!(batches(&[]), [0]);
    }
}
