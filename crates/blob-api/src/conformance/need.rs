//! What a case needs, and what to say where it is not there.

use longshore_core_types::Result;

use crate::{AnyStore, BlobStore, MultipartLimits, PartOrder, PartRetry, PinKind};

type Need = Result<(), &'static str>;

fn have(condition: bool, reason: &'static str) -> Need {
    if condition { Ok(()) } else { Err(reason) }
}

macro_rules! needs {
    ($($name:ident($can:ident) $condition:expr, $missing:literal;)*) => {$(
        pub(super) fn $name(store: &AnyStore) -> Need {
            let $can = store.capability();
            have($condition, $missing)
        }
    )*};
}

needs! {
    writable(can) !can.read_only, "the store is read-only";
    listable(can) !can.unlisted, "the store cannot list";
    ranged_get(can) can.ranged_get, "the store has no ranged reads";
    suffix_range(can) can.suffix_range, "the store cannot read the last N bytes";
    if_match(can) can.if_match, "the store has no conditions on the current entity tag";
    if_none_match(can) can.if_none_match, "the store has no conditions on another entity tag";
    create_only(can) can.create_only, "the store cannot create an object only if there is none";
    pin(can) can.pin != PinKind::None, "the store cannot insist on a version";
    copy(can) can.copy, "the store cannot copy objects";
    get_many(can) can.get_many, "the store cannot read many objects in one request";
    list_delimiter(can) can.list_delimiter, "the store cannot list one level";
    list_start_after(can) can.list_start_after, "the store cannot list from after a name";
    list_ordered(can) can.list_ordered, "listings of the store have no order";
    list_max_page(can) can.list_max_page.is_some_and(|most| most <= 10_000), "the store's largest page is unknown";
    content_headers(can) can.content_headers, "the store holds no content headers";
    user_metadata(can) can.user_metadata, "the store holds no user metadata";
    multipart(can) can.multipart.is_some(), "the store has no uploads in parts";
    no_path_conflicts(can) !can.path_conflicts, "the name of an object may be in the way of names below it";
    unknown_length(can) !can.put_requires_length, "the store needs to know the length of a body";
    checksums(can) !can.checksums.is_empty(), "the store states and verifies no checksum";
    signing(can) can.sign_get || can.sign_put, "the store cannot sign URLs";

    read_only(can) can.read_only, "the store is writable";
    unlisted(can) can.unlisted, "the store can list";
    no_ranged_get(can) !can.ranged_get, "the store has ranged reads";
    no_suffix_range(can) !can.suffix_range, "the store can read the last N bytes";
    no_if_match(can) !can.if_match, "the store has conditions on the current entity tag";
    no_if_none_match(can) !can.if_none_match, "the store has conditions on another entity tag";
    no_create_only(can) !can.create_only, "the store can create an object only if there is none";
    no_pin(can) can.pin == PinKind::None, "the store can insist on a version";
    no_copy(can) !can.copy, "the store can copy objects";
    no_get_many(can) !can.get_many, "the store can read many objects in one request";
    no_list_delimiter(can) !can.list_delimiter, "the store can list one level";
    no_list_start_after(can) !can.list_start_after, "the store can list from after a name";
    no_content_headers(can) !can.content_headers, "the store holds content headers";
    no_user_metadata(can) !can.user_metadata, "the store holds user metadata";
    no_multipart(can) can.multipart.is_none(), "the store has uploads in parts";
    length_required(can) can.put_requires_length, "the store takes bodies of unknown length";
    no_sign_get(can) !can.sign_get, "the store can sign URLs for reading";
    no_sign_put(can) !can.sign_put, "the store can sign URLs for writing";
}

fn limits(store: &AnyStore, condition: impl Fn(&MultipartLimits) -> bool, reason: &'static str) -> Need {
    multipart(store)?;
    have(store.capability().multipart.as_ref().is_some_and(condition), reason)
}

pub(super) fn any_order(store: &AnyStore) -> Need {
    limits(store, |rules| rules.part_order == PartOrder::Any, "the store takes parts in order only")
}

pub(super) fn resend(store: &AnyStore) -> Need {
    let safe = |rules: &MultipartLimits| rules.part_retry == PartRetry::Safe;
    limits(store, safe, "a part must not be sent twice to this store")?;
    any_order(store)
}

pub(super) fn list_parts(store: &AnyStore) -> Need {
    limits(store, |rules| rules.list_parts, "the store cannot list parts")
}

pub(super) fn tracked(store: &AnyStore) -> Need {
    limits(store, |rules| rules.tracked, "the service knows parts, but no uploads")
}

pub(super) fn list_uploads(store: &AnyStore) -> Need {
    limits(store, |rules| rules.list_uploads, "the store cannot list uploads")
}

pub(super) fn no_list_parts(store: &AnyStore) -> Need {
    limits(store, |rules| !rules.list_parts, "the store can list parts")
}

pub(super) fn no_list_uploads(store: &AnyStore) -> Need {
    limits(store, |rules| !rules.list_uploads, "the store can list uploads")
}

pub(super) fn small_part_limit(store: &AnyStore) -> Need {
    limits(store, |rules| rules.min_part > 1, "the store takes parts of any size")
}

pub(super) fn equal_parts(store: &AnyStore) -> Need {
    limits(store, |rules| rules.equal_parts, "the store takes parts of different sizes")
}

pub(super) fn part_limit(store: &AnyStore) -> Need {
    limits(store, |rules| rules.max_parts < u32::MAX, "the store takes any number of parts")
}

pub(super) fn attributes(store: &AnyStore) -> Need {
    content_headers(store).or_else(|_| user_metadata(store)).map_err(|_| "the store holds no attributes")
}

pub(super) fn copy_from_self(store: &AnyStore) -> Need {
    have(store.can_copy_from(&store.url()), "the store cannot copy from its own bucket by URL")
}

pub(super) fn no_copy_from_elsewhere(store: &AnyStore) -> Need {
    let elsewhere = super::copy::elsewhere().map_err(|_| "no foreign URL can be written")?;
    have(!store.can_copy_from(&elsewhere), "the store can copy from web servers")
}
