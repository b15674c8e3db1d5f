//! `longshore resume`: transfers that were interrupted and not taken up again.

use std::time::{Duration, SystemTime};

use clap::Args;
use longshore::{
    BlobStore, ErrorKind, StoreUrl,
    transfer::{Direction, Unfinished, unfinished},
};

use crate::{
    app::App,
    failure::{Exit, Failure},
    output::Message,
    units::{count, parse_duration, show_time},
};

/// List interrupted transfers, or give them up
///
/// A large upload or download that is interrupted, even by a crash, leaves what it has moved and a note of it. The
/// same cp or sync goes on from there by itself. This command shows what nobody took up, and with --clean removes
/// it: the parts that the store keeps of an upload, the bytes on this disk of a download. What runs is left alone.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. What is there
     longshore resume
  2. Give up everything that did not move for a week
     longshore resume --clean --older-than 7d
  3. Give up everything, also what the store does not know any more
     longshore resume --clean")]
pub(crate) struct ResumeArgs {
    /// Give them up and free what they hold
    #[arg(long)]
    clean: bool,

    /// Only those that did not move for this long, such as 30m, 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    older_than: Option<Duration>,
}

pub(crate) async fn run(app: &App, args: ResumeArgs) -> Result<(), Failure> {
    let mut found = unfinished(&app.settings.dirs.state).map_err(|error| Failure::of("", error))?;
    if let Some(age) = args.older_than {
        let now = SystemTime::now();
        let old = |at: SystemTime| now.duration_since(at).is_ok_and(|passed| passed >= age);
        found.retain(|one| one.changed.is_some_and(old));
    }
    if !args.clean {
        for one in &found {
            app.out.print(&message(one))?;
        }
        let total = count(found.len() as u64, "interrupted transfer");
        if !app.out.is_json() {
            app.out.flush()?;
            app.out.notice_text(total);
        }
        return Ok(());
    }
    let (mut failed, mut done) = (0_u64, 0_u64);
    for one in found.iter().filter(|one| !one.running) {
        match give_up(app, one).await {
            Ok(()) => {
                done += 1;
                app.out.print_now(&Message::GivenUp { url: one.url.clone() })?;
            }
            Err(Failure::Told(told)) => {
                failed += 1;
                app.out.tell(&Message::Error((&*told).into()));
            }
            Err(closed @ Failure::Closed { .. }) => return Err(closed),
        }
    }
    match (done, failed) {
        (_, 0) => Ok(()),
        (0, failed) => Err(Failure::new(Exit::Failed, format!("none of {failed} could be given up"))),
        (_, failed) => Err(Failure::new(Exit::SomeFailed, format!("{failed} could not be given up"))),
    }
}

fn message(one: &Unfinished) -> Message<'static> {
    Message::Unfinished {
        direction: if one.direction == Direction::Upload { "upload" } else { "download" },
        url: one.url.clone(),
        path: one.path.display().to_string(),
        bytes: one.size,
        done: one.done,
        changed: one.changed.and_then(show_time),
        running: one.running,
    }
}

async fn give_up(app: &App, one: &Unfinished) -> Result<(), Failure> {
    if let Some(upload) = &one.upload {
        let context = || format!("cannot free what the upload to {} left", one.url);
        let url: StoreUrl = one.url.parse().map_err(|error| Failure::of(context(), error))?;
        let store = app.services.store(&url).await?;
        match store.abort_multipart(upload).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Failure::of(context(), error)),
            _ => {}
        }
    }
    one.forget().map_err(|error| Failure::of("", error))
}
