//! Listings, for the neutral store.

mod position;
mod scan;

#[cfg(test)]
mod model;

use std::sync::atomic::{AtomicBool, Ordering};

use longshore_blob_api::{Entry, ListDetail, ListOptions, ListPage, PageToken};
use longshore_core_types::{ObjectKey, ObjectMeta, Result};

use self::{
    position::Position,
    scan::{Ask, Scan, Source},
};
use crate::{
    bucket::list::{self, ListEntry, ListFlags, ListProp},
    names::invalid,
    store::Store,
    wire::list::ListParams,
};

const OPERATION: &str = "aistore.bucket.list_objects";

/// A page of the listing of a bucket.
pub(crate) async fn page(store: &Store, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
    // No object name begins with `/`, and none has dot components: nothing to ask the server for.
    let remote = store.reference().is_remote();
    let sent = if remote { &opts.prefix } else { position::parent(&opts.prefix) };
    if crate::names::check_prefix(sent).is_err() {
        return Ok(ListPage::default());
    }
    if remote {
        return remote_page(store, opts, page).await;
    }
    let max_size = store.reference().provider().max_page();
    let scan = Scan {
        prefix: opts.prefix.clone(),
        one_level: opts.delimited,
        size: opts.page_size.unwrap_or(max_size).min(max_size),
        max_size,
    };
    if scan.size == 0 {
        return Err(store.refuse(invalid("a page of a listing cannot have zero entries"), OPERATION, None));
    }
    let source = Pages { store, props: props(opts), incomplete: AtomicBool::new(false) };
    let from = match (&page, &opts.start_after) {
        (Some(token), _) => Position::parse(token).map_err(|error| store.refuse(error, OPERATION, None))?,
        (None, Some(name)) => scan.start_after(name),
        (None, None) => scan.start(),
    };
    let (found, next) = scan.page(&source, from).await?;
    let mut entries: Vec<Entry> = Vec::with_capacity(found.len() + 1);
    if page.is_none()
        && opts.delimited
        && let Some(name) = &opts.start_after
    {
        entries.extend(around(&source, &opts.prefix, name).await?);
    }
    entries.extend(found.into_iter().filter_map(to_entry));
    let next = next.map(|position| position.token()).transpose()?;
    Ok(ListPage::new(entries, next).with_incomplete(source.incomplete.into_inner()))
}

/// The directory of the level in which a name lies, if there are names after it.
async fn around(source: &Pages<'_>, prefix: &str, name: &str) -> Result<Option<Entry>> {
    let level = position::parent(prefix);
    let Some((item, _)) = name.strip_prefix(level).and_then(|rest| rest.split_once('/')) else {
        return Ok(None);
    };
    let dir = format!("{level}{item}/");
    if !dir.starts_with(prefix) {
        return Ok(None);
    }
    let page = source.fetch(Ask { dir: &dir, one_level: false, uuid: "", after: name, size: 1 }).await?;
    Ok((!page.entries.is_empty()).then_some(Entry::Prefix(dir)))
}

/// Asks the cluster.
struct Pages<'a> {
    store: &'a Store,
    props: Vec<ListProp>,
    /// Whether an answer said that names may be missing.
    incomplete: AtomicBool,
}

impl Source for Pages<'_> {
    async fn fetch(&self, ask: Ask<'_>) -> Result<list::ListPage> {
        let params = ListParams {
            prefix: ask.dir.to_owned(),
            props: self.props.clone(),
            flags: if ask.one_level { ListFlags::NO_RECURSION } else { ListFlags::default() },
            page_size: Some(ask.size),
            uuid: ask.uuid.to_owned(),
            token: ask.after.to_owned(),
            ..ListParams::default()
        };
        let page = list::page(self.store.client(), self.store.reference(), &params).await?;
        if page.flags != 0 {
            let bucket = self.store.reference();
            tracing::warn!(%bucket, dir = ask.dir, "the cluster is moving objects; this listing may miss some");
            self.incomplete.store(true, Ordering::Relaxed);
        }
        Ok(page)
    }
}

fn props(opts: &ListOptions) -> Vec<ListProp> {
    match opts.detail {
        ListDetail::Full => vec![ListProp::Name, ListProp::Size, ListProp::Checksum, ListProp::Version],
        _ => vec![ListProp::Name, ListProp::Size],
    }
}

/// A page of a bucket of another provider, whose own listing the cluster hands through.
async fn remote_page(store: &Store, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
    let at = match &page {
        Some(token) => Position::parse(token).map_err(|error| store.refuse(error, OPERATION, None))?,
        None => Position::default(),
    };
    let params = ListParams {
        prefix: opts.prefix.clone(),
        props: props(opts),
        flags: if opts.delimited { ListFlags::NO_RECURSION } else { ListFlags::default() },
        page_size: opts.page_size,
        start_after: opts.start_after.clone(),
        uuid: at.uuid,
        token: at.after,
        ..ListParams::default()
    };
    let page = list::page(store.client(), store.reference(), &params).await?;
    let incomplete = page.flags != 0;
    let mut entries: Vec<Entry> = page.entries.into_iter().filter_map(to_entry).collect();
    if !opts.delimited {
        entries.retain(|entry| matches!(entry, Entry::Object(_)));
    }
    entries.dedup_by(|a, b| a.name() == b.name());
    let next = Position { after: page.token, uuid: page.uuid, ..Position::default() };
    let next = (!next.after.is_empty()).then(|| next.token()).transpose()?;
    Ok(ListPage::new(entries, next).with_incomplete(incomplete))
}

/// `None` for names that this client could not use.
fn to_entry(entry: ListEntry) -> Option<Entry> {
    if entry.is_dir() {
        let name = if entry.name.ends_with('/') { entry.name } else { entry.name + "/" };
        return Some(Entry::Prefix(name));
    }
    let mut meta = ObjectMeta::new(ObjectKey::new(&entry.name).ok()?, entry.size);
    meta.version = entry.version;
    meta.checksums = entry.checksum.into_iter().collect();
    Some(Entry::Object(meta))
}

#[cfg(test)]
mod tests {
    use longshore_blob_api::BlobStore;
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;
    use crate::Client;

    async fn listed(bucket: &str, flags: u32) -> ListPage {
        let page = format!(
            r#"{{"uuid":"x","continuation_token":"","entries":[{{"name":"a","size":"1","flags":64}}],"flags":{flags}}}"#
        );
        let server =
            ScriptedService::new(move |_| Reply::ok(page.clone()).header("content-type", "application/json"));
        let client = Client::builder("http://gateway:1").service(server).build().unwrap();
        let store = client.bucket(bucket).unwrap().store();
        store.list_page(&ListOptions::prefix(""), None).await.unwrap()
    }

    #[tokio::test]
    async fn a_page_that_the_cluster_calls_incomplete_is() {
        for bucket in ["b", "aws://b"] {
            for flags in [0, 1] {
                let page = listed(bucket, flags).await;
                assert_eq!((page.entries.len(), page.incomplete), (1, flags == 1), "{bucket} {flags}");
            }
        }
    }
}
