//! Which objects a store URL on the command line means.

use futures_util::{Stream, StreamExt, TryStreamExt, future, stream};
use longshore::{
    AnyStore, BlobStore, BlobStoreExt, Entry, ListOptions, ObjectKey, ObjectMeta, Result, Scheme, StoreUrl,
    http_store::HttpStore,
};

use crate::{
    failure::Failure,
    glob::{Match, Pattern},
};

/// What the key of a URL means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// This object.
    Object(ObjectKey),
    /// Every object whose name starts with this, which is empty or ends in `/`.
    Tree(String),
    /// Every object that matches; with `below` also those below a name that does.
    Matching {
        /// The wildcards.
        pattern: Pattern,
        /// Whether a match is taken for a folder too.
        below: bool,
    },
}

impl Selection {
    /// Reads the key of a URL. Without wildcards and `recursive` it is one object.
    pub(crate) fn of(url: &StoreUrl, glob: bool, recursive: bool) -> Result<Self, Failure> {
        if is_web(url) && !recursive {
            return object_of(url).map(Self::Object);
        }
        require_bucket(url)?;
        if let Some(pattern) = Pattern::parse(url.key()).filter(|_| glob) {
            return Ok(Self::Matching { pattern, below: recursive });
        }
        if recursive {
            return Ok(Self::Tree(as_folder(url.key())));
        }
        object_of(url).map(Self::Object)
    }

    /// The folder that names in a copy are relative to.
    pub(crate) fn base(&self) -> &str {
        match self {
            Self::Object(key) => key.as_str().rfind('/').map_or("", |slash| &key.as_str()[..=slash]),
            Self::Tree(prefix) => prefix,
            Self::Matching { pattern, .. } => pattern.base(),
        }
    }

    /// Whether a name is meant.
    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Self::Object(key) => key.as_str() == name,
            Self::Tree(prefix) => name.starts_with(prefix.as_str()),
            Self::Matching { pattern, below } => match pattern.find(name) {
                Match::Whole => true,
                Match::Below => *below,
                Match::No => false,
            },
        }
    }

    /// The objects, as the store lists them. One that is named outright is not asked for.
    pub(crate) fn objects<'a>(
        &'a self,
        store: &'a AnyStore,
    ) -> impl Stream<Item = Result<Found>> + Send + 'a {
        match self {
            Self::Object(key) => stream::once(future::ready(Ok(Found::Named(key.clone())))).boxed(),
            Self::Tree(prefix) => listed(store, ListOptions::prefix(prefix.clone())).boxed(),
            Self::Matching { pattern, below } => {
                let options = ListOptions::prefix(pattern.prefix());
                // One level is enough, and spares reading everything below it.
                let level = pattern.is_one_level() && !below && store.capability().list_delimiter;
                let options = if level { options.with_delimiter() } else { options };
                listed(store, options)
                    .try_filter(|found| future::ready(self.contains(found.key().as_str())))
                    .boxed()
            }
        }
    }
}

/// An object that a command is about.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are listed")]
pub(crate) enum Found {
    /// Named on the command line; nothing is known about it.
    Named(ObjectKey),
    /// Found in a listing.
    Listed(ObjectMeta),
}

impl Found {
    pub(crate) fn key(&self) -> &ObjectKey {
        match self {
            Self::Named(key) => key,
            Self::Listed(meta) => &meta.key,
        }
    }
}

fn listed(store: &AnyStore, options: ListOptions) -> impl Stream<Item = Result<Found>> + Send + '_ {
    store.list(options).try_filter_map(|entry| {
        future::ready(Ok(match entry {
            Entry::Object(meta) => Some(Found::Listed(meta)),
            _ => None,
        }))
    })
}

/// A key as the name of a folder: empty, or with a final `/`.
pub(crate) fn as_folder(key: &str) -> String {
    if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") }
}

/// Whether the URL is that of an object on a web server.
pub(crate) fn is_web(url: &StoreUrl) -> bool {
    matches!(url.scheme(), Scheme::Http | Scheme::Https)
}

/// The name of the object that a URL names. On a web server it is what follows the last slash, decoded.
pub(crate) fn object_of(url: &StoreUrl) -> Result<ObjectKey, Failure> {
    let key = if is_web(url) {
        HttpStore::builder(url.to_string()).build_object().map(|(_, key)| key)
    } else {
        url.object_key()
    };
    key.map_err(|error| Failure::of("", error))
}

/// Refuses what this build does not serve.
pub(crate) fn require_support(url: &StoreUrl) -> Result<(), Failure> {
    if is_web(url) {
        let message = format!("{url}: single objects of web servers can be read, nothing else");
        return Err(Failure::usage(message).hint("`cp`, `cat` and `stat` take http:// and https:// URLs"));
    }
    longshore::supports(url.scheme()).map_err(|error| Failure::usage(format!("{url}: {error}")))
}

/// The URL of the service behind a URL.
pub(crate) fn service_of(url: &StoreUrl) -> String {
    let slashes = if url.scheme() == Scheme::Blob { "" } else { "//" };
    format!("{}:{slashes}", url.scheme())
}

/// Refuses the URL of a whole service.
pub(crate) fn require_bucket(url: &StoreUrl) -> Result<(), Failure> {
    require_support(url)?;
    match url.bucket() {
        Some(_) => Ok(()),
        None => Err(Failure::usage(format!("{url} names no bucket")).hint(format!(
            "write {service}BUCKET/KEY; `longshore ls {service}` lists the buckets",
            service = service_of(url)
        ))),
    }
}

/// What helps against a listing that is not whole.
pub(crate) const NOT_WHOLE: &str =
    "a cluster lists everything again when it has moved its objects to where they belong; try again later";

/// Says that nothing was found, with what to try.
pub(crate) fn nothing_found(url: &StoreUrl, selection: &Selection) -> Failure {
    let failure = |message: String| Failure::new(crate::failure::Exit::Failed, message);
    let folder = url.with_key(selection.base());
    match selection {
        Selection::Matching { .. } => failure(format!("no object matches {url}")).hint(format!(
            "see what is there with `longshore ls {folder}`; --no-glob takes the key literally"
        )),
        _ => failure(format!("there is no object below {folder}"))
            .hint(format!("see what is there with `longshore ls -r {}`", url.with_key(""))),
    }
}

#[cfg(test)]
mod tests {
    use longshore::MemoryStore;

    use super::*;

    fn select(url: &str, glob: bool, recursive: bool) -> Result<Selection, Failure> {
        Selection::of(&url.parse().unwrap(), glob, recursive)
    }

    async fn names(url: &str, recursive: bool) -> Vec<String> {
        let store = AnyStore::new(MemoryStore::new("b").unwrap());
        for name in ["a/1.txt", "a/2.bin", "a/b/3.txt", "c.txt"] {
            store.write(&name.parse().unwrap(), "x").await.unwrap();
        }
        let selection = select(url, true, recursive).unwrap();
        selection.objects(&store).map_ok(|found| found.key().to_string()).try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn selections() {
        assert_eq!(names("ais://b/a/*", false).await, ["a/1.txt", "a/2.bin"]);
        assert_eq!(names("ais://b/a/*", true).await, ["a/1.txt", "a/2.bin", "a/b/3.txt"]);
        assert_eq!(names("ais://b/**.txt", false).await, ["a/1.txt", "a/b/3.txt", "c.txt"]);
        assert_eq!(names("ais://b/*/*.txt", false).await, ["a/1.txt"]);
        assert_eq!(names("ais://b/a", true).await, ["a/1.txt", "a/2.bin", "a/b/3.txt"]);
        assert_eq!(names("ais://b", true).await.len(), 4);
        assert_eq!(names("ais://b/nope", false).await, ["nope"]);
    }

    #[test]
    fn what_a_key_means() {
        assert_eq!(select("ais://b/a*", false, false).unwrap(), Selection::Object("a*".parse().unwrap()));
        assert_eq!(select("ais://b/a", true, true).unwrap(), Selection::Tree("a/".into()));
        assert_eq!(select("ais://b", true, true).unwrap(), Selection::Tree(String::new()));
        for bad in ["ais://b", "ais://"] {
            assert_eq!(select(bad, true, false).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn names_in_copies_are_relative_to_the_base() {
        for (url, recursive, base) in [
            ("ais://b/x/y.txt", false, "x/"),
            ("ais://b/y.txt", false, ""),
            ("ais://b/x/y", true, "x/y/"),
            ("ais://b/x/y*/z", false, "x/"),
        ] {
            assert_eq!(select(url, true, recursive).unwrap().base(), base, "{url}");
        }
    }
}
