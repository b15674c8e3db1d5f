//! Parts of objects.

use bytes::BytesMut;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{ByteRange, ErrorKind, ObjectKey};

use super::{
    Namespace,
    check::{Outcome, content, holds, refused, refused_unsent, same},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, GetOptions};

cases! { "ranges" [writable, ranged_get]:
    first_middle_last;
    all_of_a_small_object;
    to_the_end;
    last_bytes [suffix_range];
    cut_at_the_end;
    behind_the_end;
    nothing_asked_for;
    of_an_empty_object;
    last_bytes_of_an_empty_object [suffix_range];
    of_a_missing_object;
    tiles_make_the_whole;
}

async fn check(
    store: &AnyStore,
    key: &ObjectKey,
    range: impl Into<ByteRange>,
    expected: (u64, u64),
    data: &[u8],
) -> Outcome {
    let range = range.into();
    let got = store.get(key, GetOptions::default().with_range(range)).await?;
    ensure_eq!(got.range, expected.0..expected.1, "range of the answer to {range}");
    ensure_eq!(got.meta.size, data.len() as u64, "size of the whole in the answer to {range}");
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
    same(&got.bytes().await?, &data[at(expected.0)..at(expected.1)], &format!("the range {range}"))
}

async fn refuses(store: &AnyStore, key: &ObjectKey, range: impl Into<ByteRange>, kind: ErrorKind) -> Outcome {
    let range = range.into();
    let got = store.get(key, GetOptions::default().with_range(range)).await;
    refused(got, &[kind], &format!("get of the range {range}"))?;
    Ok(())
}

async fn first_middle_last(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(100_000, 1));
    store.write(&key, data.clone()).await?;
    for (start, end) in [(0, 1), (0, 1000), (40_000, 60_001), (99_999, 100_000), (0, 100_000)] {
        check(store, &key, start..end, (start, end), &data).await?;
    }
    Ok(())
}

async fn all_of_a_small_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(7, 1));
    store.write(&key, data.clone()).await?;
    let all = (0..7).flat_map(|start| (start + 1..=7).map(move |end| (start, end)));
    let checks: Vec<_> =
        all.map(|(start, end)| check(store, &key, start..end, (start, end), &data)).collect();
    stream::iter(checks).buffer_unordered(4).try_collect().await
}

async fn to_the_end(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(5000, 1));
    store.write(&key, data.clone()).await?;
    for start in [0, 1, 4999] {
        check(store, &key, ByteRange::From(start), (start, 5000), &data).await?;
    }
    Ok(())
}

async fn last_bytes(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(5000, 1));
    store.write(&key, data.clone()).await?;
    for (length, start) in [(1, 4999), (100, 4900), (5000, 0), (9999, 0)] {
        check(store, &key, ByteRange::Suffix(length), (start, 5000), &data).await?;
    }
    Ok(())
}

async fn cut_at_the_end(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(5000, 1));
    store.write(&key, data.clone()).await?;
    for (start, end) in [(0, 5001), (4000, 1 << 40), (4999, 6000)] {
        check(store, &key, start..end, (start, 5000), &data).await?;
    }
    Ok(())
}

async fn behind_the_end(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, content(100, 1)).await?;
    for range in
        [ByteRange::from(100..101), ByteRange::from(500..600), ByteRange::From(100), ByteRange::From(1 << 40)]
    {
        refuses(store, &key, range, ErrorKind::RangeNotSatisfiable).await?;
    }
    Ok(())
}

async fn nothing_asked_for(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, content(100, 1)).await?;
    let bounded = |start, end| ByteRange::Bounded { start, end };
    let mut empty = vec![bounded(0, 0), bounded(7, 7), bounded(9, 3)];
    if store.capability().suffix_range {
        empty.push(ByteRange::Suffix(0));
    }
    for range in empty {
        let got = store.get(&key, GetOptions::default().with_range(range)).await;
        refused_unsent(got, &format!("get of the empty range {range}"))?;
    }
    holds(store, &key, &content(100, 1)).await
}

async fn of_an_empty_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("empty")?;
    store.write(&key, "").await?;
    for range in [ByteRange::from(0..1), ByteRange::From(0), ByteRange::from(5..9)] {
        refuses(store, &key, range, ErrorKind::RangeNotSatisfiable).await?;
    }
    Ok(())
}

async fn last_bytes_of_an_empty_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("empty")?;
    store.write(&key, "").await?;
    match store.get(&key, GetOptions::default().with_range(ByteRange::Suffix(5))).await {
        Ok(got) => {
            ensure_eq!((got.range.clone(), got.meta.size), (0..0, 0), "range of the answer");
            same(&got.bytes().await?, b"", "the last bytes of nothing")
        }
        // HTTP lets a server choose.
        Err(error) if error.kind() == ErrorKind::RangeNotSatisfiable => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn of_a_missing_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("missing")?;
    refuses(store, &key, 0..1, ErrorKind::NotFound).await
}

async fn tiles_make_the_whole(store: &AnyStore, ns: &Namespace) -> Outcome {
    const SIZE: u64 = (3 << 20) + 17;
    const TILE: u64 = 500_009;
    let (key, data) = (ns.key("object")?, content((3 << 20) + 17, 1));
    store.write(&key, data.clone()).await?;
    let tiles = (0..SIZE).step_by(500_009).map(|start| (start, (start + TILE).min(SIZE)));
    let tiles: Vec<_> = tiles
        .map(|(start, end)| {
            let opts = GetOptions::default().with_range(start..end);
            async { store.get(&key, opts).await?.bytes().await }
        })
        .collect();
    let parts: Vec<_> = stream::iter(tiles).buffered(4).try_collect().await?;
    let mut whole = BytesMut::new();
    for part in parts {
        whole.extend_from_slice(&part);
    }
    same(&whole, &data, "what the ranges make together")
}
