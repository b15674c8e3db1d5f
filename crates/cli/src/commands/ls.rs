//! `longshore ls`: buckets, or the objects of one.

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, pin_mut};
use longshore::{BlobStore, BlobStoreExt, Entry, ListDetail, ListOptions, ObjectMeta, StoreUrl};

use super::store_url;
use crate::{
    app::App,
    failure::{Exit, Failure},
    glob::Pattern,
    listing::{NOT_WHOLE, Selection, nothing_found, require_bucket},
    output::Message,
    units::show_time,
};

/// List buckets, or the objects and folders of a bucket
///
/// Without -r one level is shown: objects whose names start with the key, and common prefixes, which end in `/`.
/// The listing is written as it arrives, with one page in memory, however long it is.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. List all buckets
     longshore ls ais://
  2. List one level of a bucket, or of a folder in it
     longshore ls ais://photos
     longshore ls ais://photos/2024/
  3. List everything below a folder, with sizes and dates
     longshore ls -rl ais://photos/2024/
  4. List what matches; `**` reaches into folders
     longshore ls 'ais://photos/2024/*.jpg'
     longshore ls 'ais://photos/**/cover.jpg'
  5. Sum sizes with jq
     longshore --json ls -r ais://photos | jq -s 'map(select(.type==\"object\").size)|add'")]
pub(crate) struct LsArgs {
    /// Store URLs; a service alone, such as ais://, lists its buckets
    #[arg(value_name = "URL", default_value = "ais://")]
    urls: Vec<String>,

    /// List all objects below, not only one level
    #[arg(short, long)]
    recursive: bool,

    /// Show sizes and dates
    #[arg(short, long)]
    long: bool,

    /// Take `*`, `?` and `[` in keys literally
    #[arg(long)]
    no_glob: bool,
}

pub(crate) async fn run(app: &App, args: LsArgs) -> Result<(), Failure> {
    let urls: Vec<StoreUrl> = args.urls.iter().map(|text| store_url(text)).collect::<Result<_, _>>()?;
    for url in &urls {
        match url.bucket() {
            None => buckets(app, url).await?,
            Some(_) => Listing { app, args: &args, url }.run().await?,
        }
    }
    Ok(())
}

async fn buckets(app: &App, url: &StoreUrl) -> Result<(), Failure> {
    let mut found = app.services.buckets(url).await?;
    let mut buckets = 0;
    while let Some(url) = found.try_next().await? {
        app.out.print(&Message::Bucket { url: url.to_string() })?;
        buckets += 1;
    }
    app.out.conclude(&Message::Buckets { buckets })
}

struct Listing<'a> {
    app: &'a App,
    args: &'a LsArgs,
    url: &'a StoreUrl,
}

#[derive(Default)]
struct Totals {
    objects: u64,
    prefixes: u64,
    bytes: u64,
}

impl Listing<'_> {
    async fn run(&self) -> Result<(), Failure> {
        require_bucket(self.url)?;
        let store = self.app.services.store(self.url).await?;
        let pattern = Pattern::parse(self.url.key()).filter(|_| !self.args.no_glob);
        let selection = match pattern {
            Some(pattern) => Selection::Matching { pattern, below: self.args.recursive },
            // No slash is added: what is typed so far is enough, as in every listing by prefix.
            None => Selection::Tree(self.url.key().to_owned()),
        };
        let pages = store.list(self.options(&selection, store.capability().list_delimiter)).pages();
        pin_mut!(pages);
        let mut totals = Totals::default();
        let mut incomplete = false;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of(format!("cannot list {}", self.url), error))?;
            incomplete |= page.incomplete;
            for entry in page.entries {
                self.entry(&selection, entry, &mut totals)?;
            }
            self.app.out.flush()?;
        }
        let Totals { objects, prefixes, bytes } = totals;
        if objects + prefixes == 0 && !self.url.key().is_empty() && !incomplete {
            return Err(nothing_found(self.url, &selection));
        }
        self.app.out.conclude(&Message::Total { objects, prefixes, bytes })?;
        if !incomplete {
            return Ok(());
        }
        let message =
            format!("there may be more below {}: the service says that its list may lack objects", self.url);
        Err(Failure::new(Exit::Failed, message).hint(NOT_WHOLE))
    }

    fn options(&self, selection: &Selection, can_delimit: bool) -> ListOptions {
        let (prefix, one_level) = match selection {
            Selection::Matching { pattern, .. } => (pattern.prefix(), pattern.is_one_level()),
            _ => (self.url.key(), true),
        };
        let mut options = ListOptions::prefix(prefix);
        if self.args.long {
            options = options.with_detail(ListDetail::Full);
        }
        if one_level && !self.args.recursive && can_delimit { options.with_delimiter() } else { options }
    }

    fn entry(&self, selection: &Selection, entry: Entry, totals: &mut Totals) -> Result<(), Failure> {
        let long = self.args.long;
        match entry {
            Entry::Object(meta) if selection.contains(meta.key.as_str()) => {
                totals.objects += 1;
                totals.bytes += meta.size;
                self.app.out.print(&self.object(&meta))
            }
            Entry::Prefix(prefix)
                if selection.contains(&prefix) || selection.contains(prefix.trim_end_matches('/')) =>
            {
                totals.prefixes += 1;
                self.app.out.print(&Message::Prefix { url: self.url.with_key(prefix).to_string(), long })
            }
            _ => Ok(()),
        }
    }

    fn object(&self, meta: &ObjectMeta) -> Message<'static> {
        Message::Object {
            url: self.url.with_key(meta.key.as_str()).to_string(),
            size: meta.size,
            modified: meta.last_modified.and_then(show_time),
            version: meta.version.clone(),
            checksum: meta.checksums.first().map(ToString::to_string),
            long: self.args.long,
        }
    }
}
