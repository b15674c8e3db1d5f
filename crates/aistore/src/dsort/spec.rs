//! What a distributed sort does.

use std::{collections::BTreeMap, fmt, str::FromStr};

use longshore_core_types::{Error, Result};
use serde_json::{Map, Value};

use crate::{
    collection::Collection,
    names::{BucketRef, invalid},
    object::options::ArchiveFormat,
};

/// A size with a unit, such as `10MB`, as the cluster reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsortSize(String);

impl From<u64> for DsortSize {
    fn from(bytes: u64) -> Self {
        Self(format!("{bytes}B"))
    }
}

impl FromStr for DsortSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &text[..text.len() - unit.len()];
        let units = ["", "B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"];
        if number.is_empty() || number.len() > 18 || !units.contains(&unit) {
            return Err(invalid(format!("{text:?} is not a size such as 10MB or 8MiB")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for DsortSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// By what records are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DsortAlgorithm {
    /// By name.
    Alphanumeric {
        /// Backwards.
        decreasing: bool,
    },
    /// At random.
    Shuffle {
        /// Makes it repeatable.
        seed: Option<u64>,
    },
    /// By what a member of each record holds.
    Content {
        /// Extension of the member, such as `.cls`.
        extension: String,
        /// How it is read.
        key: DsortKey,
        /// Backwards.
        decreasing: bool,
    },
    /// By the MD5 digest of the name.
    Md5,
    /// Not at all: only the shards change.
    None,
}

impl Default for DsortAlgorithm {
    fn default() -> Self {
        Self::Alphanumeric { decreasing: false }
    }
}

impl DsortAlgorithm {
    pub(crate) fn to_json(&self) -> Value {
        let mut map = Map::new();
        let (kind, decreasing) = match self {
            Self::Alphanumeric { decreasing } => ("alphanumeric", *decreasing),
            Self::Shuffle { .. } => ("shuffle", false),
            Self::Content { decreasing, .. } => ("content", *decreasing),
            Self::Md5 => ("md5", false),
            Self::None => ("none", false),
        };
        map.insert("kind".into(), kind.into());
        map.insert("decreasing".into(), decreasing.into());
        match self {
            Self::Shuffle { seed: Some(seed) } => {
                map.insert("seed".into(), seed.to_string().into());
            }
            Self::Content { extension, key, .. } => {
                map.insert("extension".into(), extension.clone().into());
                map.insert("content_key_type".into(), key.as_str().into());
            }
            _ => {}
        }
        map.into()
    }
}

/// How the content that records are sorted by is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DsortKey {
    /// As a whole number.
    Int,
    /// As a number.
    Float,
    /// As text.
    Text,
}

impl DsortKey {
    fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "string",
        }
    }
}

/// Where records go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// Shards of equal size, named by a template.
    Shards(Collection),
    /// To the shard that a map names, by the shard's name template.
    Map(BTreeMap<String, Vec<String>>),
    /// The same, with the map at a URL.
    MapAt { url: String, separator: String },
}

/// How targets work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dsorter {
    /// Records that do not fit into memory go to disk.
    #[default]
    General,
    /// Everything stays in memory.
    Memory,
}

impl Dsorter {
    fn as_str(self) -> &'static str {
        match self {
            Self::General => "dsort_general",
            Self::Memory => "dsort_mem",
        }
    }
}

/// What a distributed sort does: which shards it reads, by what their records are sorted, and which shards it writes.
///
/// A cluster breaks on malformed requests of this kind, so everything is checked before anything is sent.
///
/// ```
/// use longshore_aistore::{DsortAlgorithm, DsortSpec};
///
/// let input = "in-{000..099}.tar".parse()?;
/// let spec = DsortSpec::new("raw".parse()?, input, "out-{000..009}".parse()?)
///     .output_bucket("sorted".parse()?)
///     .shard_size(64_u64 << 20)
///     .algorithm(DsortAlgorithm::Shuffle { seed: Some(7) });
/// # let _ = spec;
/// # Ok::<(), longshore_core_types::Error>(())
/// ```
#[doc(alias = "DsortFramework")]
#[doc(alias = "DsortShardsGroup")]
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a spec does nothing until it is started"]
pub struct DsortSpec {
    pub(crate) input_bucket: BucketRef,
    pub(crate) input: Collection,
    pub(crate) output: Output,
    pub(crate) input_format: ArchiveFormat,
    pub(crate) output_format: Option<ArchiveFormat>,
    pub(crate) output_bucket: Option<BucketRef>,
    pub(crate) shard_size: Option<DsortSize>,
    pub(crate) algorithm: DsortAlgorithm,
    pub(crate) description: String,
    pub(crate) dsorter: Dsorter,
    pub(crate) memory: Option<String>,
    pub(crate) extract_concurrency: Option<u32>,
    pub(crate) create_concurrency: Option<u32>,
}

impl DsortSpec {
    fn with_output(input_bucket: BucketRef, input: Collection, output: Output) -> Self {
        Self {
            input_bucket,
            input,
            output,
            input_format: ArchiveFormat::Tar,
            output_format: None,
            output_bucket: None,
            shard_size: None,
            algorithm: DsortAlgorithm::default(),
            description: String::new(),
            dsorter: Dsorter::General,
            memory: None,
            extract_concurrency: None,
            create_concurrency: None,
        }
    }

    /// Sorts the records of these shards into new ones. Both are named without the extension of the archive; the
    /// output by a template with a range, such as `out-{000..009}`.
    pub fn new(input_bucket: BucketRef, input: Collection, output: Collection) -> Self {
        Self::with_output(input_bucket, input, Output::Shards(output))
    }

    /// Puts each record into the shard that `map` names: by name template of shards, the names of records.
    ///
    /// The map is stored as the object `ekm-file.json` of the input bucket, from where the targets fetch it. They
    /// refuse addresses of private networks, unless the cluster is told to allow them.
    #[doc(alias = "ExternalKeyMap")]
    pub fn by_map(
        input_bucket: BucketRef,
        input: Collection,
        map: impl IntoIterator<Item = (String, Vec<String>)>,
    ) -> Self {
        Self::with_output(input_bucket, input, Output::Map(map.into_iter().collect()))
    }

    /// The same with a map that lies at a URL: JSON if the separator is empty, else lines of record, separator, and
    /// shard.
    pub fn by_map_at(
        input_bucket: BucketRef,
        input: Collection,
        url: impl Into<String>,
        separator: impl Into<String>,
    ) -> Self {
        let output = Output::MapAt { url: url.into(), separator: separator.into() };
        Self::with_output(input_bucket, input, output)
    }

    /// Format of the shards that are read; TAR by default.
    pub fn input_format(mut self, format: ArchiveFormat) -> Self {
        self.input_format = format;
        self
    }

    /// Format of the shards that are written; that of the input by default.
    pub fn output_format(mut self, format: ArchiveFormat) -> Self {
        self.output_format = Some(format);
        self
    }

    /// Bucket of the shards that are written, made if it does not exist; that of the input by default.
    pub fn output_bucket(mut self, bucket: BucketRef) -> Self {
        self.output_bucket = Some(bucket);
        self
    }

    /// About how large the shards that are written get.
    #[doc(alias = "output_shard_size")]
    pub fn shard_size(mut self, size: impl Into<DsortSize>) -> Self {
        self.shard_size = Some(size.into());
        self
    }

    /// By what records are sorted; by name by default.
    pub fn algorithm(mut self, algorithm: DsortAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// A text to find the job by.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// How targets work.
    pub fn dsorter(mut self, dsorter: Dsorter) -> Self {
        self.dsorter = dsorter;
        self
    }

    /// Memory of a target that may be used, in percent; 80 by default.
    pub fn memory_percent(mut self, percent: u8) -> Self {
        self.memory = Some(format!("{percent}%"));
        self
    }

    /// Shards that each target reads at a time.
    pub fn extract_concurrency(mut self, shards: u32) -> Self {
        self.extract_concurrency = Some(shards);
        self
    }

    /// Shards that each target writes at a time.
    pub fn create_concurrency(mut self, shards: u32) -> Self {
        self.create_concurrency = Some(shards);
        self
    }

    /// The request, with the map of records at `map_url` if there is one.
    pub(crate) fn to_json(&self, map_url: Option<&str>) -> Result<Value> {
        self.check()?;
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
        let bucket = |bucket: &BucketRef| serde_json::to_value(crate::wire::bucket::WireBucket::from(bucket));
        let json = |value: serde_json::Result<Value>| {
            value.map_err(|error| invalid("the sort cannot be written as JSON").with_source(error))
        };
        put("input_bck", json(bucket(&self.input_bucket))?);
        put("input_format", json(serde_json::to_value(self.input.to_wire()))?);
        put("input_extension", self.input_format.as_str().into());
        put("output_bck", json(bucket(self.output_bucket.as_ref().unwrap_or(&self.input_bucket)))?);
        put("output_extension", self.output_format.unwrap_or(self.input_format).as_str().into());
        let (format, url, separator) = match &self.output {
            Output::Shards(template) => (template.to_string(), None, ""),
            Output::Map(_) => (String::new(), map_url, ""),
            Output::MapAt { url, separator } => (String::new(), Some(url.as_str()), separator.as_str()),
        };
        put("output_format", format.into());
        if let Some(url) = url {
            put("ekm_file", url.into());
            put("ekm_file_sep", separator.into());
        }
        put("algorithm", self.algorithm.to_json());
        put("description", self.description.clone().into());
        put("dsorter_type", self.dsorter.as_str().into());
        if let Some(size) = &self.shard_size {
            put("output_shard_size", size.to_string().into());
        }
        if let Some(memory) = &self.memory {
            put("max_mem_usage", memory.clone().into());
        }
        if let Some(limit) = self.extract_concurrency {
            put("extract_concurrency_max_limit", limit.into());
        }
        if let Some(limit) = self.create_concurrency {
            put("create_concurrency_max_limit", limit.into());
        }
        Ok(map.into())
    }

    fn check(&self) -> Result<()> {
        if self.input.names().is_none() {
            return Err(invalid("the shards to sort are named by a template or a list, not by a prefix"));
        }
        match &self.output {
            Output::Shards(template) if !template.is_braces() => {
                return Err(invalid(format!("{template} does not number the shards to write")));
            }
            Output::Map(map) if map.is_empty() || map.values().any(Vec::is_empty) => {
                return Err(invalid("the map names no record, or a shard without records"));
            }
            Output::Map(map) => {
                for template in map.keys() {
                    template.parse::<Collection>()?;
                }
            }
            Output::MapAt { url, .. } if !url.starts_with("http://") && !url.starts_with("https://") => {
                return Err(invalid(format!("{url:?} is not the URL of a map")));
            }
            _ => {}
        }
        match (&self.output, &self.shard_size) {
            (Output::Shards(_), None) => return Err(invalid("how large are the shards to be?")),
            (_, Some(size)) if size.0.starts_with('0') => {
                return Err(invalid("a shard has one byte at least"));
            }
            _ => {}
        }
        if let DsortAlgorithm::Content { extension, .. } = &self.algorithm
            && (extension.len() < 2 || !extension.starts_with('.'))
        {
            return Err(invalid(format!("{extension:?} is not an extension such as .cls")));
        }
        let percent = self.memory.as_ref().and_then(|text| text.trim_end_matches('%').parse::<u8>().ok());
        if percent.is_some_and(|percent| percent == 0 || percent > 100) {
            return Err(invalid("the share of memory lies between 1 and 100 percent"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> DsortSpec {
        let input = "s-{0..4..1}".parse().unwrap();
        DsortSpec::new("ds-in".parse().unwrap(), input, "o-{0..9..1}".parse().unwrap()).shard_size(2048)
    }

    #[test]
    fn sizes() {
        for good in ["10MB", "8MiB", "512", "1B"] {
            assert!(good.parse::<DsortSize>().is_ok(), "{good}");
        }
        for bad in ["", "MB", "-1MB", "1.5MB", "10 MB", "10XB", "1KB2"] {
            assert!(bad.parse::<DsortSize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_breaks_a_cluster_is_refused() {
        assert!(spec().to_json(None).is_ok());
        let bucket: BucketRef = "b".parse().unwrap();
        let template: Collection = "o-{0..9}".parse().unwrap();
        let prefix = Collection::prefix("a").unwrap();
        let names = Collection::names_of(["a"]).unwrap();
        let refused = |spec: DsortSpec| spec.to_json(None).is_err();
        assert!(refused(DsortSpec::new(bucket.clone(), prefix, template.clone()).shard_size(1)));
        assert!(refused(DsortSpec::new(bucket.clone(), template.clone(), names).shard_size(1)));
        let printf = "o-@9".parse().unwrap();
        assert!(refused(DsortSpec::new(bucket.clone(), template.clone(), printf).shard_size(1)));
        assert!(refused(DsortSpec::new(bucket.clone(), template.clone(), template.clone())));
        assert!(refused(spec().shard_size(0)));
        assert!(refused(spec().memory_percent(0)));
        assert!(refused(spec().memory_percent(101)));
        let content = |extension: &str| DsortAlgorithm::Content {
            extension: extension.into(),
            key: DsortKey::Int,
            decreasing: false,
        };
        assert!(refused(spec().algorithm(content("cls"))));
        assert!(!refused(spec().algorithm(content(".cls"))));
        assert!(refused(DsortSpec::by_map(bucket.clone(), template.clone(), [])));
        let bad = [("no-range".to_owned(), vec!["a".to_owned()])];
        assert!(refused(DsortSpec::by_map(bucket.clone(), template.clone(), bad)));
        assert!(refused(DsortSpec::by_map_at(bucket, template, "ftp://x", "")));
    }

    #[test]
    fn messages() {
        let json = spec().algorithm(DsortAlgorithm::Shuffle { seed: Some(7) }).to_json(None).unwrap();
        assert_eq!(json["dsorter_type"], "dsort_general");
        assert_eq!(json["algorithm"]["seed"], "7");
        assert_eq!(
            (&json["output_format"], &json["output_shard_size"]),
            (&"o-{0..9..1}".into(), &"2048B".into())
        );
        assert_eq!(json["output_bck"]["name"], "ds-in");
        let map = [("o-{0..1}".to_owned(), vec!["a".to_owned()])];
        let spec = DsortSpec::by_map("b".parse().unwrap(), "s-{0..1}".parse().unwrap(), map);
        let json = spec.to_json(Some("http://x/map")).unwrap();
        assert_eq!((&json["ekm_file"], &json["ekm_file_sep"]), (&"http://x/map".into(), &"".into()));
    }
}
