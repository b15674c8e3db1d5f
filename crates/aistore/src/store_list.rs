//! Listings, for the neutral store.

use longshore_blob_api::{Entry, ListDetail, ListOptions, ListPage, PageToken};
use longshore_core_types::{Error, ErrorKind, ObjectKey, ObjectMeta, Result};

use crate::{
    bucket::list::{self, ListEntry, ListFlags, ListProp},
    store::Store,
    wire::list::ListParams,
};

/// Id and token of a page; the id has no `:`.
fn split_token(token: &PageToken) -> Result<(String, String)> {
    let (uuid, token) = token
        .as_str()
        .split_once(':')
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the page token was not made by this store"))?;
    Ok((uuid.to_owned(), token.to_owned()))
}

fn params(opts: &ListOptions, uuid: String, token: String) -> ListParams {
    let props = match opts.detail {
        ListDetail::Full => vec![ListProp::Name, ListProp::Size, ListProp::Checksum, ListProp::Version],
        _ => vec![ListProp::Name, ListProp::Size],
    };
    ListParams {
        prefix: opts.prefix.clone(),
        props,
        flags: if opts.delimited { ListFlags::NO_RECURSION } else { ListFlags::default() },
        page_size: opts.page_size,
        start_after: opts.start_after.clone(),
        uuid,
        token,
        ..ListParams::default()
    }
}

pub(crate) async fn page(store: &Store, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
    const OPERATION: &str = "aistore.bucket.list_objects";
    let refuse = |error| store.refuse(error, OPERATION, None);
    let (uuid, token) = match &page {
        Some(token) => split_token(token).map_err(refuse)?,
        None => (String::new(), String::new()),
    };
    // No object name begins with `/`, and none has dot components: nothing to ask the server for.
    if crate::names::check_prefix(&opts.prefix).is_err() {
        return Ok(ListPage::default());
    }
    let params = params(opts, uuid, token);
    let page = list::page(store.client(), store.reference(), &params).await?;
    let next = (!page.token.is_empty()).then(|| PageToken::new(format!("{}:{}", page.uuid, page.token)));

    let mut entries = Vec::with_capacity(page.entries.len());
    // The own directory of a prefix without final `/` comes as what lies directly in it.
    let own = (opts.delimited && !opts.prefix.is_empty() && !opts.prefix.ends_with('/'))
        .then(|| format!("{}/", opts.prefix));
    let mut own_seen = own.as_ref().is_some_and(|own| params.token.starts_with(own));
    for entry in page.entries {
        let inside_own = own.as_ref().is_some_and(|own| entry.name.starts_with(own));
        if inside_own {
            if !own_seen {
                own_seen = true;
                entries.extend(own.clone().map(Entry::Prefix));
            }
            continue;
        }
        if opts.delimited && entry.is_dir() {
            let name = if entry.name.ends_with('/') { entry.name } else { entry.name + "/" };
            entries.push(Entry::Prefix(name));
        } else if !entry.is_dir() {
            entries.extend(object(entry));
        }
    }
    // While the cluster moves objects about, two targets may both have one.
    entries.dedup_by(|a, b| a.name() == b.name());
    if let Some(start) = &opts.start_after {
        drop_before(store, opts, start, &mut entries).await?;
    }
    Ok(ListPage::new(entries, next))
}

/// `start_after` does not hold back directories: drops those that have nothing behind it.
async fn drop_before(store: &Store, opts: &ListOptions, start: &str, entries: &mut Vec<Entry>) -> Result<()> {
    entries.retain(|entry| match entry {
        Entry::Prefix(prefix) => prefix.as_str() > start || start.starts_with(prefix.as_str()),
        _ => true,
    });
    // Of the one directory that the name itself lies in, only the server knows.
    let around = entries.iter().position(|entry| match entry {
        Entry::Prefix(prefix) => start.starts_with(prefix.as_str()),
        _ => false,
    });
    if let Some(position) = around {
        let mut inside =
            ListOptions::prefix(entries[position].name()).with_start_after(start).with_page_size(1);
        inside.detail = opts.detail;
        let params = params(&inside, String::new(), String::new());
        let page = list::page(store.client(), store.reference(), &params).await?;
        if page.entries.is_empty() {
            entries.remove(position);
        }
    }
    Ok(())
}

/// `None` for names that this client could not use.
fn object(entry: ListEntry) -> Option<Entry> {
    let mut meta = ObjectMeta::new(ObjectKey::new(&entry.name).ok()?, entry.size);
    meta.version = entry.version;
    meta.checksums = entry.checksum.into_iter().collect();
    Some(Entry::Object(meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let token = PageToken::new("AbC_-1:dir/a:b");
        assert_eq!(split_token(&token).unwrap(), ("AbC_-1".to_owned(), "dir/a:b".to_owned()));
        assert!(split_token(&PageToken::new("nonsense")).is_err());
    }
}
