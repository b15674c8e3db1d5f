//! Jobs of the cluster.

use clap::Subcommand;
use longshore::aistore::{JobKind, JobStatus};

use super::{Ais, bucket_ref, facts, failed, waiting};
use crate::failure::Failure;

/// Calls on jobs.
#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// List jobs that run, and with --all those that ended some minutes ago
    Ls {
        /// Only of this kind, such as copy-bck
        kind: Option<String>,
        /// Also jobs that have ended
        #[arg(long)]
        all: bool,
    },
    /// Show what each target says about a job
    Show {
        /// Id of the job
        job: String,
    },
    /// Start a job
    Start {
        /// Kind, such as lru, rebalance, resilver or cleanup-store
        kind: String,
        /// Bucket URLs to work on
        buckets: Vec<String>,
        /// Target to work on, for kinds that work on one
        #[arg(long, value_name = "ID")]
        node: Option<String>,
        /// Although the cluster's settings speak against it
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: waiting::WaitArgs,
    },
    /// Stop a job
    Stop {
        /// Id of the job
        job: String,
    },
    /// Wait until a job is done
    Wait {
        /// Id of the job
        job: String,
        /// Wait this long at most
        #[arg(long, value_name = "TIME", value_parser = crate::units::parse_duration, default_value = "300s")]
        timeout: std::time::Duration,
    },
}

pub(super) async fn run(ais: &Ais<'_>, command: JobCommand) -> Result<(), Failure> {
    match command {
        JobCommand::Ls { kind, all } => {
            let kind = kind.as_deref().map(JobKind::from);
            let cluster = ais.client().await?.cluster();
            let context = || failed("cannot list the jobs");
            if all {
                for status in cluster.jobs(kind.as_ref()).await.map_err(context())? {
                    print(ais, &status)?;
                }
                return Ok(());
            }
            for (kind, id) in cluster.running_jobs(kind.as_ref()).await.map_err(context())? {
                ais.print("job", &id, facts([("kind", Some(kind.to_string().into()))]))?;
            }
            Ok(())
        }
        JobCommand::Show { job } => {
            let all = ais.client().await?.job(&job).snapshots().await;
            for one in all.map_err(failed(format!("cannot look at job {job}")))? {
                let known = [
                    ("kind", Some(one.kind.to_string().into())),
                    ("target", Some(one.node.clone().into())),
                    ("bucket", one.bucket.as_ref().map(|bucket| bucket.to_string().into())),
                    ("started", super::time(one.started)),
                    ("ended", super::time(one.ended)),
                    ("objects", Some(one.stats.objects.into())),
                    ("bytes", Some(one.stats.bytes.into())),
                    ("idle", one.idle.then(|| true.into())),
                    ("aborted", one.aborted.then(|| true.into())),
                    ("error", one.error.or(one.abort_error).map(Into::into)),
                ];
                ais.print("job", &one.id, facts(known))?;
            }
            Ok(())
        }
        JobCommand::Start { kind, buckets, node, force, wait } => {
            let job = ais.client().await?.jobs_of(kind.as_str());
            let mut start = job.start().force(force);
            for bucket in &buckets {
                start = start.bucket(&bucket_ref(bucket)?);
            }
            if let Some(node) = node {
                start = start.node(node);
            }
            let job = start.await.map_err(failed(format!("cannot start a job of kind {kind}")))?;
            waiting::jobs(ais, &[job], &wait).await
        }
        JobCommand::Stop { job } => {
            let stopped = ais.client().await?.job(&job).abort().await;
            stopped.map_err(failed(format!("cannot stop job {job}")))?;
            ais.notice(format!("stopped job {job}"));
            Ok(())
        }
        JobCommand::Wait { job, timeout } => {
            let job = ais.client().await?.job(job);
            waiting::wait(ais, &job, timeout).await
        }
    }
}

fn print(ais: &Ais<'_>, status: &JobStatus) -> Result<(), Failure> {
    let known = [
        ("kind", Some(status.kind.to_string().into())),
        ("ended", super::time(status.ended)),
        ("aborted", status.aborted.then(|| true.into())),
        ("error", status.error.clone().map(Into::into)),
    ];
    ais.print("job", &status.id, facts(known))
}
