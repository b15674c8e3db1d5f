//! What the service tells.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use longshore_core_types::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which kind of store is behind a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// Amazon S3.
    Aws,
    /// `MinIO`.
    Minio,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcp,
    /// `OpenStack` Swift.
    OpenStack,
    /// `SeaweedFS`.
    Seaweedfs,
    /// EMC ECS.
    EmcEcs,
    /// One that this version of the crate does not know.
    Other(String),
}

impl Provider {
    /// From the word on the wire.
    pub fn parse(word: &str) -> Self {
        match word {
            "aws" => Self::Aws,
            "minio" => Self::Minio,
            "azure" => Self::Azure,
            "gcp" => Self::Gcp,
            "open_stack" => Self::OpenStack,
            "seaweedfs" => Self::Seaweedfs,
            "emc_ecs" => Self::EmcEcs,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Aws => "aws",
            Self::Minio => "minio",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::OpenStack => "open_stack",
            Self::Seaweedfs => "seaweedfs",
            Self::EmcEcs => "emc_ecs",
            Self::Other(word) => word,
        }
    }

    /// Whether it has the API of S3.
    pub fn is_s3(&self) -> bool {
        matches!(self, Self::Aws | Self::Minio | Self::OpenStack | Self::Seaweedfs | Self::EmcEcs)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::parse(&word))
    }
}

impl Serialize for Provider {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A bucket as the service describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// Its id, `bucket-` and a UUID.
    pub id: String,
    /// Its name, unique in its project; buckets may have none.
    pub name: Option<String>,
    /// Who made it.
    pub owner: String,
    /// Cluster that was asked.
    pub cluster_name: String,
    /// Organisation; empty on servers before 2023.
    pub org_name: String,
    /// Project; empty on servers before 2023.
    pub project_name: String,
    /// What is behind it.
    pub provider: Provider,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// It was there before and is only registered here: it outlives its record.
    pub imported: bool,
    /// Anybody may read it.
    pub public: bool,
}

impl Bucket {
    /// `blob://cluster/org/project/name`, with the id of a bucket without a name. On old servers the owner stands where
    /// the project does now.
    pub fn uri(&self) -> String {
        let mut uri = format!("blob://{}", self.cluster_name);
        let place = if self.project_name.is_empty() { &self.owner } else { &self.project_name };
        for part in [&self.org_name, place, self.name.as_ref().unwrap_or(&self.id)] {
            if !part.is_empty() {
                uri.push('/');
                uri.push_str(part);
            }
        }
        uri
    }
}

/// A bucket on the wire. Old servers lack some fields, and a public bucket may be `null` for a moment.
#[derive(Debug, Deserialize)]
pub(crate) struct WireBucket {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    org_name: Option<String>,
    #[serde(default)]
    project_name: Option<String>,
    provider: Provider,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    imported: Option<bool>,
    #[serde(default)]
    public: Option<bool>,
}

impl WireBucket {
    pub(crate) fn on(self, cluster: &str) -> Bucket {
        Bucket {
            id: self.id,
            name: self.name,
            owner: self.owner.unwrap_or_default(),
            cluster_name: cluster.to_owned(),
            org_name: self.org_name.unwrap_or_default(),
            project_name: self.project_name.unwrap_or_default(),
            provider: self.provider,
            created_at: self.created_at.and_then(|text| text.parse().ok()),
            imported: self.imported.unwrap_or_default(),
            public: self.public.unwrap_or_default(),
        }
    }
}

/// What opens a provider's bucket: names and values that depend on the provider. Values are never printed.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct CredentialMap(BTreeMap<String, serde_json::Value>);

impl CredentialMap {
    /// The value of this name, if it is there and text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All names and values.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, Secret)> {
        self.0.iter().map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.as_str(), Secret::from(text))
        })
    }

    /// Name of the bucket at its provider.
    pub fn bucket_name(&self) -> Option<&str> {
        self.get("bucket_name")
    }

    /// When they expire, under any of the names that providers have for it.
    pub fn expires_at(&self) -> Option<Timestamp> {
        ["expiration", "expiry", "expire_time"].into_iter().find_map(|name| self.get(name)?.parse().ok())
    }
}

impl fmt::Debug for CredentialMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Credentials of one bucket.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct BucketCredentials {
    /// Id of the bucket.
    pub bucket_id: String,
    /// What is behind it.
    pub provider: Provider,
    /// They can read, and nothing else. Those of imported buckets can what they could before, whatever this says.
    #[serde(default)]
    pub read_only: bool,
    /// The credentials.
    pub credentials: CredentialMap,
}

/// Credentials that do not expire, of one account for several buckets.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct PersistentCredentials {
    /// Their id, `bucket-credentials-` and a UUID.
    pub id: String,
    /// Their name, unique for their owner.
    #[serde(default)]
    pub name: Option<String>,
    /// Whose they are.
    #[serde(default)]
    pub owner: String,
    /// They can read, and nothing else.
    #[serde(default)]
    pub read_only: bool,
    /// Cluster that was asked.
    #[serde(skip)]
    pub cluster_name: String,
    /// One entry for each bucket.
    pub credentials: Vec<BucketCredentials>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_all_ages() {
        let new = r#"{"id":"bucket-1","name":"data","owner":"alice","org_name":"acme","project_name":"p","provider":"aws",
            "created_at":"2026-11-21T12:07:09.576270+00:00","imported":false,"public":null}"#;
        let bucket = serde_json::from_str::<WireBucket>(new).unwrap().on("c");
        assert_eq!(bucket.uri(), "blob://c/acme/p/data");
        assert!(bucket.created_at.is_some() && !bucket.public);
        let old = r#"{"id":"bucket-2","name":null,"owner":"bob","provider":"warp","created_at":"2021-08-01T00:00:00"}"#;
        let bucket = serde_json::from_str::<WireBucket>(old).unwrap().on("c");
        assert_eq!(
            (bucket.uri().as_str(), &bucket.provider),
            ("blob://c/bob/bucket-2", &Provider::Other("warp".into()))
        );
    }

    #[test]
    fn credentials_are_not_printed() {
        let text = r#"{"bucket_id":"b","provider":"azure","credentials":{"sas_token":"sentinel","n":1,
            "expiry":"2026-11-21T13:08:47.309260+00:00","bucket_name":"x"}}"#;
        let credentials: BucketCredentials = serde_json::from_str(text).unwrap();
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("sentinel") && shown.contains("sas_token"), "{shown}");
        assert!(credentials.credentials.expires_at().is_some());
        assert_eq!(credentials.credentials.bucket_name(), Some("x"));
        assert_eq!(credentials.credentials.secrets().count(), 4);
    }
}
