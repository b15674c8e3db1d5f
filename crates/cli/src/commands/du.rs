//! `longshore du`: how much there is below prefixes.

use clap::Args;
use futures_util::{TryStreamExt, pin_mut};
use longshore::StoreUrl;

use super::store_url;
use crate::{
    app::App,
    failure::Failure,
    listing::{Found, Selection, require_bucket},
    output::Message,
};

/// Count objects and bytes below prefixes
///
/// The listing is added up as it comes; nothing is kept.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. A bucket
     longshore du ais://photos
  2. Every folder of a bucket, two levels deep
     longshore du --depth 2 ais://photos
  3. What matches
     longshore du 'ais://photos/**/*.raw'")]
pub(crate) struct DuArgs {
    /// Store URLs of buckets or prefixes, wildcards allowed
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,

    /// Also each folder, so many levels deep
    #[arg(short, long, value_name = "N")]
    depth: Option<usize>,

    /// Take `*`, `?` and `[` in keys literally
    #[arg(long)]
    no_glob: bool,
}

#[derive(Clone, Debug, Default)]
struct Sum {
    prefix: String,
    objects: u64,
    bytes: u64,
}

pub(crate) async fn run(app: &App, args: DuArgs) -> Result<(), Failure> {
    let mut targets = Vec::new();
    for text in &args.urls {
        let url = store_url(text)?;
        require_bucket(&url)?;
        let selection = Selection::of(&url, !args.no_glob, true)?;
        targets.push((url, selection));
    }
    for (url, selection) in targets {
        let store = app.services.store(&url).await?;
        let found = selection.objects(&store);
        pin_mut!(found);
        let base = selection.base().to_owned();
        let mut open: Vec<Sum> = vec![Sum { prefix: base.clone(), ..Sum::default() }];
        while let Some(found) =
            found.try_next().await.map_err(|error| Failure::of(format!("cannot list {url}"), error))?
        {
            let Found::Listed(meta) = found else { continue };
            let key = meta.key.as_str();
            // Listings are in order, so a folder that a name does not lie in has ended.
            while open.len() > 1 && open.last().is_some_and(|sum| !key.starts_with(&sum.prefix)) {
                close(app, &url, &mut open)?;
            }
            let deepest = args.depth.unwrap_or(0);
            while open.len() <= deepest {
                let above = open.last().map_or(base.len(), |sum| sum.prefix.len());
                let Some(slash) = key.get(above..).and_then(|rest| rest.find('/')) else { break };
                open.push(Sum { prefix: key[..=above + slash].to_owned(), ..Sum::default() });
            }
            if let Some(last) = open.last_mut() {
                last.objects += 1;
                last.bytes += meta.size;
            }
        }
        while !open.is_empty() {
            close(app, &url, &mut open)?;
        }
    }
    Ok(())
}

/// Prints a folder that has ended, and adds it to the one above.
fn close(app: &App, url: &StoreUrl, open: &mut Vec<Sum>) -> Result<(), Failure> {
    let Some(Sum { prefix, objects, bytes }) = open.pop() else { return Ok(()) };
    if let Some(above) = open.last_mut() {
        above.objects += objects;
        above.bytes += bytes;
    }
    app.out.print(&Message::Usage { url: url.with_key(prefix).to_string(), objects, bytes })
}
