//! Tests against real servers, which the environment names.
//!
//! `LONGSHORE_LIVE=1` allows them, and the variables of a backend say where it is (see `docs/testing.md`). They
//! write into a bucket of their own, which is removed afterwards. What cannot run is reported as ignored, with
//! the reason.

mod live {
    pub(crate) mod aistore;
    pub(crate) mod cluster;
    pub(crate) mod features;
    pub(crate) mod listing;
    pub(crate) mod program;
    pub(crate) mod settings;
    pub(crate) mod supabase;
    pub(crate) mod tree;
}

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::Arguments;
use live::{aistore, cluster::Cluster, features, listing, program, settings::Settings, supabase};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let settings = Settings::from_environment();
    let cluster = settings.aistore().and_then(Cluster::new).map(Arc::new);
    let program = settings.program();

    let mut trials = aistore::trials(&cluster);
    trials.extend(features::trials(&cluster));
    trials.extend(listing::trials(&cluster));
    trials.extend(program::trials(&cluster, &program));
    let project = settings.supabase().and_then(|()| supabase::Project::new()).map(Arc::new);
    trials.extend(supabase::trials(&project));
    let conclusion = libtest_mimic::run(&arguments, trials);

    if let Ok(cluster) = &cluster
        && let Err(error) = cluster.clean()
    {
        eprintln!("the bucket of the tests could not be removed: {error}");
        return ExitCode::FAILURE;
    }
    if let Ok(project) = &project
        && let Err(error) = project.clean()
    {
        eprintln!("the bucket of the tests could not be removed: {error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
