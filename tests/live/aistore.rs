//! The conformance suite on a bucket of a real cluster.

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use longshore_blob_api::{
    AnyStore,
    conformance::{self, Case},
};

use super::{
    cluster::{Cluster, ignored, trial},
    settings::Missing,
};

pub(crate) fn trials(cluster: &Result<Arc<Cluster>, Missing>) -> Vec<Trial> {
    conformance::cases().iter().map(|case| conforms(cluster, case)).collect()
}

fn conforms(cluster: &Result<Arc<Cluster>, Missing>, case: &'static Case) -> Trial {
    let name = format!("aistore::{}", case.name());
    if let Ok(cluster) = cluster
        && let Err(reason) = case.needs(&AnyStore::new(cluster.store()))
    {
        return ignored(name, &format!("unsupported: {reason}"));
    }
    trial(name, cluster, |cluster| {
        let store = AnyStore::new(cluster.bucket()?.store());
        cluster.wait(case.run(&store, "suite/")).map_err(Failed::from)
    })
}
