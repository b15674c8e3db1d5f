//! Objects as readers, and several ranges at once.

use std::io::SeekFrom;

use longshore_core_types::{Error, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{
    Namespace,
    check::{Outcome, content, refused, same},
};
use crate::{AnyStore, BlobStoreExt, RangesOptions, ReaderOptions};

cases! { "readers" [writable]:
    reads_everything;
    reads_an_empty_object;
    of_a_missing_object;
    seeks [ranged_get];
    sees_one_version_or_fails;
    ranges_in_the_order_asked_for [ranged_get];
    ranges_behind_the_end [ranged_get];
    ranges_of_a_missing_object [ranged_get];
}

fn small() -> ReaderOptions {
    ReaderOptions::default().with_read_ahead(40_000).with_chunk(10_000)
}

async fn reads_everything(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(123_456, 1));
    store.write(&key, data.clone()).await?;
    let mut reader = store.reader(&key, small()).await?;
    ensure_eq!(reader.meta().size, 123_456, "size that the reader states");
    let mut found = Vec::new();
    reader.read_to_end(&mut found).await?;
    same(&found, &data, "what the reader read")
}

async fn reads_an_empty_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("empty")?;
    store.write(&key, "").await?;
    let mut found = Vec::new();
    store.reader(&key, small()).await?.read_to_end(&mut found).await?;
    same(&found, b"", "an empty object")
}

async fn of_a_missing_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let reader = store.reader(&ns.key("missing")?, small()).await;
    refused(reader, &[ErrorKind::NotFound], "a reader of a missing object")?;
    Ok(())
}

async fn seeks(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(100_000, 1));
    store.write(&key, data.clone()).await?;
    let mut reader = store.reader(&key, small()).await?;
    let to = [
        SeekFrom::End(-100),
        SeekFrom::Start(0),
        SeekFrom::Current(5000),
        SeekFrom::Start(77_777),
        SeekFrom::Current(-60_000),
    ];
    for place in to {
        let at = usize::try_from(reader.seek(place).await?).unwrap_or(usize::MAX);
        let mut found = [0; 100];
        reader.read_exact(&mut found).await?;
        same(&found, &data[at..at + 100], &format!("100 bytes at {at}"))?;
    }
    Ok(())
}

async fn sees_one_version_or_fails(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, content(100_000, 1)).await?;
    let mut reader = store.reader(&key, small()).await?;
    let mut found = vec![0; 100];
    reader.read_exact(&mut found).await?;
    store.write(&key, content(100_000, 2)).await?;
    match reader.read_to_end(&mut found).await {
        // It may have had the rest already, or the store serves the old version to its end.
        Ok(_) => same(&found, &content(100_000, 1), "what the reader read"),
        Err(error) => {
            let kind = error.get_ref().and_then(|error| error.downcast_ref()).map(Error::kind);
            ensure_eq!(kind, Some(ErrorKind::PreconditionFailed), "kind of the error");
            same(&found, &content(100_000, 1)[..found.len()], "what came before the error")
        }
    }
}

async fn ranges_in_the_order_asked_for(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(100_000, 1));
    store.write(&key, data.clone()).await?;
    let asked = [90_000..100_000, 0..10, 20..30, 50_000..50_001, 5..25, 99_999..100_500];
    for gap in [0, 1000, 1 << 20] {
        let opts = RangesOptions::default().with_gap(gap).with_concurrency(3);
        let found = store.get_ranges(&key, &asked, opts).await?;
        ensure_eq!(found.len(), asked.len(), "ranges in the answer");
        for (range, found) in asked.iter().zip(found) {
            let at = |position: u64| usize::try_from(position.min(100_000)).unwrap_or(usize::MAX);
            same(&found, &data[at(range.start)..at(range.end)], &format!("the range {range:?}"))?;
        }
    }
    Ok(())
}

async fn ranges_behind_the_end(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, content(100, 1)).await?;
    let found = store.get_ranges(&key, &[0..10, 100..110], RangesOptions::default()).await;
    refused(found, &[ErrorKind::RangeNotSatisfiable], "a range behind the end")?;
    Ok(())
}

async fn ranges_of_a_missing_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let found = store.get_ranges(&ns.key("missing")?, &[0..10, 20..30], RangesOptions::default()).await;
    refused(found, &[ErrorKind::NotFound], "ranges of a missing object")?;
    Ok(())
}
