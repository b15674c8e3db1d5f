//! Tests against real servers, which the environment names.
//!
//! `LONGSHORE_LIVE=1` allows them, and the variables of a backend say where it is (see `docs/testing.md`). They
//! write into a bucket of their own, which is removed afterwards, or below a prefix of their own. What cannot run is reported as ignored, with
//! the reason.

mod live {
    pub(crate) mod aistore;
    pub(crate) mod authn;
    pub(crate) mod cloud;
    pub(crate) mod cluster;
    pub(crate) mod features;
    pub(crate) mod guarded;
    pub(crate) mod listing;
    pub(crate) mod program;
    pub(crate) mod settings;
    pub(crate) mod supabase;
    pub(crate) mod tree;
}

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::Arguments;
use live::{
    aistore, authn, cloud,
    cluster::Cluster,
    features, guarded, listing, program,
    settings::{Missing, Settings},
    supabase,
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let settings = Settings::from_environment();
    let cluster = settings.aistore().and_then(|endpoint| Cluster::new(endpoint, settings.authn().ok()));
    let cluster = cluster.map(Arc::new);
    let pair = settings.authn().and_then(authn::Pair::new).map(Arc::new);
    let program = settings.program();

    let mut trials = aistore::trials(&cluster);
    trials.extend(features::trials(&cluster));
    trials.extend(listing::trials(&cluster));
    trials.extend(program::trials(&cluster, &program));
    trials.extend(authn::trials(&pair));
    trials.extend(guarded::trials(&pair));
    let project = settings.supabase().and_then(|()| supabase::Project::new()).map(Arc::new);
    trials.extend(supabase::trials(&project));
    let clouds = cloud::clouds(&settings);
    trials.extend(cloud::trials(&clouds));
    let conclusion = libtest_mimic::run(&arguments, trials);

    let mut cleaned = vec![
        clean(&cluster, Cluster::clean),
        clean(&pair, authn::Pair::clean),
        clean(&project, supabase::Project::clean),
    ];
    cleaned.extend(clouds.iter().map(|(_, bucket)| clean(bucket, cloud::Bucket::clean)));
    if cleaned.contains(&false) {
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Removes what the tests made on a server; whether nothing is left of it.
fn clean<S>(server: &Result<Arc<S>, Missing>, clean: impl FnOnce(&S) -> Result<(), String>) -> bool {
    let Ok(server) = server else { return true };
    let cleaned = clean(server);
    if let Err(error) = &cleaned {
        eprintln!("what the tests made could not be removed: {error}");
    }
    cleaned.is_ok()
}
