//! The suite of the neutral contract.

use futures_util::{StreamExt, stream};
use longshore_blob_api::{AnyStore, conformance};

use crate::support::world;

#[tokio::test]
async fn the_contract_is_kept() {
    let w = world(|builder| builder).await;
    let store = AnyStore::new(w.bucket.store());
    let cases: Vec<_> = conformance::cases().iter().filter(|case| case.needs(&store).is_ok()).collect();
    assert!(cases.len() >= 40, "only {} cases apply", cases.len());
    let failures: Vec<String> = stream::iter(cases)
        .map(|case| {
            let store = store.clone();
            async move { case.run(&store, "suite/").await.err().map(|failure| failure.to_string()) }
        })
        .buffer_unordered(4)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}
