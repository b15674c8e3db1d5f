//! A look at all names before anything is sent, where the destination says which it takes.

use longshore_blob_api::ListDetail;
use longshore_core_types::Result;

use super::{
    Place, Sync,
    listing::{Listed, Reader},
    merge::Listing,
};
use crate::tree::Offenders;

/// Lists the source once more, and fails with the names that the destination does not take. What goes wrong with the
/// listing is not said here: the one that follows meets it too.
pub(super) async fn check(sync: &Sync) -> Result<()> {
    let Place::Store { store, prefix } = &sync.to else { return Ok(()) };
    let Some(mut offenders) = Offenders::of(store) else { return Ok(()) };
    let context = &sync.how.context;
    let mut source = Reader::open(&sync.from, context, sync.links, ListDetail::Basic, false)?;
    while !context.cancel.is_stopped() {
        let entry = match source.next().await {
            Listed::Entry(entry) => entry,
            Listed::End | Listed::Broken(_) => break,
            _ => continue,
        };
        let meant = sync.only.as_ref().is_none_or(|only| only(&entry.name))
            && sync.filter.keeps(&entry.name, entry.size, entry.modified);
        if meant {
            let target =
                sync.rename.as_ref().map_or_else(|| entry.name.clone(), |rename| rename(&entry.name));
            offenders.look(&entry.name, &format!("{prefix}{target}"));
        }
    }
    offenders.verdict()
}
