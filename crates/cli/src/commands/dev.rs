//! `longshore dev`: the embedded server in the foreground.
#![expect(clippy::doc_markdown, reason = "the comments on flags are their help texts")]

use std::{io, path::PathBuf};

use clap::Args;
use longshore_devserver::Fault;
use tokio::sync::oneshot;

use crate::{
    app::App,
    embedded::{Own, Wishes},
    failure::Failure,
    output::Message,
};

/// Run the embedded server in the foreground
///
/// An AIStore cluster of one gateway and two targets on this machine, for trying things out and for the tests of
/// your own software. It listens on the loopback interface unless told otherwise, and asks nobody for a token
/// unless it is guarded.
/// Data survives; the folder is the one that `longshore` uses by itself when no endpoint is known.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Run it, and work on it from another window
     longshore dev
  2. Serve the data of a project on a fixed port
     longshore dev --data ./devdata --aistore 127.0.0.1:51080
  3. Start it from a script: one line of JSON when it accepts requests
     longshore dev --json --data \"$(mktemp -d)\"
  4. A cluster that requires tokens, and the service that gives them (user admin, password admin)
     longshore dev --guarded
  5. An S3 endpoint beside the cluster, with buckets of its own
     longshore dev --s3
  6. A Supabase Storage service, with the keys that a local Supabase has
     longshore dev --supabase 127.0.0.1:54321
  7. The buckets service of an Apolo cluster, with the S3 that its buckets lie on
     longshore dev --apolo
  8. See how your software takes a connection that breaks twice after a mebibyte
     longshore dev --fault get:reset-at=1MiB:count=2")]
pub(crate) struct DevArgs {
    /// Keep the data here [default: $XDG_DATA_HOME/longshore/dev]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Address of the AIStore gateway [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    aistore: Option<String>,

    /// Run an AuthN service too, at this address; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    authn: Option<String>,

    /// Run an S3 endpoint too, at this address [default address: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:0")]
    s3: Option<String>,

    /// Run a Supabase Storage service too, at this address [default address: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:0")]
    supabase: Option<String>,

    /// Run the buckets service of an Apolo cluster too, at this address, and the S3 endpoint that its buckets lie on
    /// [default address: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:0")]
    apolo: Option<String>,

    /// Require tokens, which the AuthN service gives; its administrator is `admin` with the password `admin`
    #[arg(long)]
    guarded: bool,

    /// Let the address be one that other machines reach: whoever does may read and write everything
    #[arg(long)]
    allow_remote: bool,

    /// Let `promote` read files below this folder [default: /var/lib/ais/promote, as in AIStore]
    #[arg(long, value_name = "DIR")]
    promote_root: Option<PathBuf>,

    /// End when standard input is closed, so that the server never outlives the program that started it
    #[arg(long)]
    end_with_stdin: bool,

    /// Do something wrong on purpose, such as get:key=big*:reset-at=1MiB:count=2; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
}

pub(crate) async fn run(app: &App, args: DevArgs) -> Result<(), Failure> {
    let dir = args.data.unwrap_or_else(|| app.settings.dirs.dev());
    let wishes = Wishes {
        aistore: args.aistore,
        authn: args.authn,
        s3: args.s3,
        supabase: args.supabase,
        apolo: args.apolo,
        guarded: args.guarded,
        allow_remote: args.allow_remote,
        promote_root: args.promote_root,
        faults: args.faults,
    };
    let server = Own::claim(&dir, wishes).await?;
    let (aistore, authn) = (server.aistore().to_owned(), server.authn().map(str::to_owned));
    let (s3, supabase, apolo) = (server.s3(), server.supabase(), server.apolo());
    let announced = if app.out.is_json() {
        let (supabase, apolo) = (supabase.map(Box::new), apolo.map(Box::new));
        app.out.print_now(&Message::Server { aistore, authn, s3, supabase, apolo })
    } else {
        app.out.notice_text(format!("serving {}; Ctrl-C ends it", dir.display()));
        let mut lines = vec![format!("export AIS_ENDPOINT={aistore}")];
        lines.extend(authn.map(|url| format!("export AIS_AUTHN_URL={url}")));
        if let Some(s3) = s3 {
            lines.push(format!("export AWS_ENDPOINT_URL={} AWS_REGION=us-east-1", s3.url));
            lines.push(format!(
                "export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}",
                s3.access_key, s3.secret_key
            ));
        }
        if let Some(supabase) = supabase {
            lines.push(format!("export SUPABASE_URL={}", supabase.url));
            lines.push(format!("export SUPABASE_SERVICE_ROLE_KEY={}", supabase.service_role_key));
            lines.push(format!("export SUPABASE_KEY={}", supabase.anon_key));
        }
        if let Some(apolo) = apolo {
            lines.push(format!("export APOLO_API_URL={} APOLO_CLUSTER={}", apolo.url, apolo.cluster));
            lines.push(format!("export APOLO_ORG={} APOLO_PROJECT={}", apolo.org, apolo.project));
            lines.push(format!("export APOLO_TOKEN={}", apolo.token));
        }
        lines.into_iter().try_for_each(|line| app.out.print_now(&Message::Line { line }))
    };
    if announced.is_ok() {
        tokio::select! {
            _ = app.interrupt.wait() => {}
            () = stdin_closed(), if args.end_with_stdin => {}
        }
    }
    // Ctrl-C is how a server is meant to end, so it is no failure.
    server.stop(&app.out).await;
    announced
}

/// Waits until nobody can write to standard input any more.
async fn stdin_closed() {
    let (sender, closed) = oneshot::channel::<()>();
    // A thread of its own: a read that never returns must not keep the runtime from ending.
    std::thread::spawn(move || {
        // A standard input that cannot be read is as good as closed.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(sender);
    });
    let _ = closed.await;
}
