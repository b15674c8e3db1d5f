//! Waiting for work of the cluster, and showing how far it is.

use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressStyle;
use longshore::aistore::{Job, JobSnapshot};

use super::{Ais, failed};
use crate::{
    failure::{Exit, Failure},
    output::Output,
    progress::{Form, LINES},
    units::{count, parse_duration, show_size},
};

/// Whether and how long to wait.
#[derive(Debug, Args)]
pub(super) struct WaitArgs {
    /// Wait until the work is done, and show how far it is
    #[arg(long)]
    pub(super) wait: bool,

    /// Wait this long at most; the work then goes on without being watched
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "300s")]
    pub(super) timeout: Duration,
}

/// What is shown during a wait: a line that changes on a terminal, a line now and then elsewhere.
pub(super) struct Shown {
    out: Output,
    form: Form,
    last: Option<Instant>,
}

impl Shown {
    pub(super) fn new(ais: &Ais<'_>) -> Self {
        let out = ais.app.out.clone();
        let form = Form::of(&out, ais.app.settings.progress);
        if let Form::Bar(bar) = &form {
            let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self { out, form, last: None }
    }

    pub(super) fn show(&mut self, text: String) {
        match &self.form {
            Form::Bar(bar) => bar.set_message(text),
            Form::Lines if self.last.is_none_or(|last| last.elapsed() >= LINES) => {
                self.last = Some(Instant::now());
                self.out.notice_text(text);
            }
            Form::Lines | Form::Nothing => {}
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

fn snapshots(job: &str, all: &[JobSnapshot]) -> String {
    let objects = all.iter().map(|snapshot| snapshot.stats.objects).sum();
    let bytes = all.iter().map(|snapshot| snapshot.stats.bytes).sum();
    let running = all.iter().filter(|snapshot| snapshot.ended.is_none() && !snapshot.idle).count();
    format!("{job}: {}, {}, on {running} targets", count(objects, "object"), show_size(bytes))
}

/// Waits for jobs if that is wanted; else says what they are called.
pub(super) async fn jobs(ais: &Ais<'_>, jobs: &[Job], args: &WaitArgs) -> Result<(), Failure> {
    for job in jobs {
        let kind = job.kind().map(ToString::to_string).unwrap_or_default();
        if args.wait {
            wait(ais, job, args.timeout).await?;
        } else {
            ais.print("job", job.id(), super::facts([("kind", super::text(&kind))]))?;
        }
    }
    if jobs.is_empty() {
        ais.notice("nothing is left to be done");
    }
    Ok(())
}

/// Waits for one job.
pub(super) async fn wait(ais: &Ais<'_>, job: &Job, timeout: Duration) -> Result<(), Failure> {
    let mut shown = Shown::new(ais);
    let id = job.id().to_owned();
    let wait = job.wait().deadline(timeout).progress(move |all| shown.show(snapshots(&id, all)));
    let outcome = wait.await.map_err(failed(format!("cannot wait for job {}", job.id())))?;
    let facts = super::facts([
        ("kind", outcome.kind.as_ref().map(|kind| kind.to_string().into())),
        ("ended", super::time(outcome.ended)),
        ("objects", Some(outcome.objects.into())),
        ("bytes", Some(outcome.bytes.into())),
        ("aborted", outcome.aborted.then(|| true.into())),
        ("errors", (!outcome.errors.is_empty()).then(|| outcome.errors.clone().into())),
    ]);
    ais.print("job", job.id(), facts)?;
    if outcome.is_success() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("job {} did not do all of its work", job.id())))
}
