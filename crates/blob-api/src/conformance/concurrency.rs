//! Several callers at once.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future, stream};

use super::{
    Namespace,
    check::{Failure, Outcome, content, holds},
    listing::{fill, sorted},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, DeleteOptions, GetOptions};

cases! { "concurrency" [writable]:
    many_objects_at_once;
    overwrites_show_the_old_or_the_new;
    a_body_under_way_is_of_one_version;
    puts_at_once_leave_one_of_them;
    listing_while_writing [listable];
    create_and_delete_at_once;
}

async fn many_objects_at_once(store: &AnyStore, ns: &Namespace) -> Outcome {
    let tasks: Vec<_> = (0..40_u8)
        .map(|number| async move {
            let key = ns.key(&format!("object-{number}"))?;
            let data = content(1000 * usize::from(number), number);
            store.write(&key, data.clone()).await?;
            holds(store, &key, &data).await
        })
        .collect();
    stream::iter(tasks).buffer_unordered(16).try_collect().await
}

/// Content of one letter, so that a mixture shows.
fn letter(number: u8) -> Bytes {
    vec![b'a' + number % 26; 200_000].into()
}

fn uniform(data: &[u8]) -> Outcome {
    let first = data.first().ok_or_else(|| Failure::new("a reader saw an empty object"))?;
    ensure!(data.iter().all(|byte| byte == first), "a reader saw a mixture of two versions");
    ensure_eq!(data.len(), 200_000, "bytes that a reader saw");
    Ok(())
}

async fn overwrites_show_the_old_or_the_new(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, letter(0)).await?;
    let write = async {
        for number in 1..12 {
            store.write(&key, letter(number)).await?;
        }
        Ok::<(), Failure>(())
    };
    let read = async || {
        for _ in 0..12 {
            uniform(&store.read(&key).await?)?;
        }
        Ok::<(), Failure>(())
    };
    future::try_join4(write, read(), read(), read()).await?;
    holds(store, &key, &letter(11)).await
}

async fn a_body_under_way_is_of_one_version(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, letter(0)).await?;
    let mut body = store.get(&key, GetOptions::default()).await?.into_stream();
    let mut found = body.try_next().await?.unwrap_or_default().to_vec();
    store.write(&key, letter(1)).await?;
    // An error is right too: whoever reads starts again.
    while let Some(Ok(chunk)) = body.next().await {
        found.extend_from_slice(&chunk);
    }
    ensure!(found.iter().all(|byte| *byte == b'a'), "a body turned into another version");
    Ok(())
}

async fn puts_at_once_leave_one_of_them(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let puts: Vec<_> = (0..8).map(|number| store.write(&key, letter(number))).collect();
    stream::iter(puts).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    uniform(&store.read(&key).await?)
}

async fn listing_while_writing(store: &AnyStore, ns: &Namespace) -> Outcome {
    let stable: Vec<String> = (0..10).map(|i| format!("s{i}")).collect();
    fill(store, ns, &stable).await?;
    let write = fill(store, ns, (0..30).map(|i| format!("w{i}")));
    let list = async {
        for _ in 0..5 {
            let mut found = sorted(store, ns, ns.list("").with_page_size(4)).await?;
            found.retain(|name| name.starts_with('s'));
            ensure_eq!(found, stable, "names that were there throughout");
        }
        Ok::<(), Failure>(())
    };
    future::try_join(write, list).await?;
    ensure_eq!(ns.names(store, ns.list("")).await?.len(), 40, "names in the end");
    Ok(())
}

async fn create_and_delete_at_once(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let write = async {
        for number in 0..10 {
            store.write(&key, letter(number)).await?;
        }
        Ok::<(), Failure>(())
    };
    let delete = async {
        for _ in 0..10 {
            store.delete(&key, DeleteOptions::default()).await?;
        }
        Ok::<(), Failure>(())
    };
    future::try_join(write, delete).await?;
    if store.exists(&key).await? {
        uniform(&store.read(&key).await?)?;
    }
    Ok(())
}
