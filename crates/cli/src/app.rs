//! The command line, and what all commands share.
#![expect(clippy::doc_markdown, reason = "the comments on flags are their help texts")]

use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use longshore::transfer::{PartSize, Transfer};

use crate::{
    commands::{
        ais, apolo, authn, cat, cp, diff, du, ls, mb, mv, presign, rb, resume, rm, stat, supabase, sync,
    },
    failure::Failure,
    interrupt::{GRACE, Interrupt},
    output::Output,
    services::Services,
    settings::{Settings, Verify, When, parse_count},
    units::{parse_rate, parse_size, show_size},
};

/// Moves objects and whole trees in parallel between files and object stores.
///
/// A place is a store URL such as ais://bucket/key, a local path, or `-` for standard input or output; cp, cat and
/// stat also read http:// and https:// URLs. Keys are
/// taken as they are: nothing in them is decoded. Wildcards `*`, `?`, `[a-z]` and `**` (any depth) work in the
/// keys of cp, mv, ls, cat, du and rm; quote them against the shell.
///
/// blob: URLs work on the Apolo cluster that `apolo login` chose, or that APOLO_API_URL and APOLO_TOKEN name.
/// supabase:// URLs work on the project that SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY name.
/// Without an endpoint, ais:// URLs are served by an embedded server whose data stays on this machine.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, propagate_version = true, max_term_width = 100)]
#[command(after_long_help = "\
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 some items failed, 130 or 143 interrupted.

Examples:
  1. Make a bucket and copy a folder into it
     longshore mb ais://photos
     longshore cp -r ~/Pictures/ ais://photos/2024/
  2. The same on a cluster
     AIS_ENDPOINT=http://gateway:51080 longshore ls ais://
  3. What one command can do
     longshore cp --help")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "General options")]
pub(crate) struct Global {
    /// Print results and messages as one JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Name every item, and log to standard error; twice logs every request (RUST_LOG refines it)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,

    /// Address of an AIStore gateway [env: AIS_ENDPOINT]
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) endpoint: Option<String>,

    /// Settings of this section of the configuration file [env: LONGSHORE_PROFILE]
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) profile: Option<String>,

    /// Requests in flight at most; how many they are follows from what the service bears [default: 32]
    #[arg(long, value_name = "N", value_parser = parse_count::<usize>, global = true)]
    pub(crate) concurrency: Option<usize>,

    /// Size of the parts of large objects, such as 16MiB [default: chosen by size]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, global = true)]
    pub(crate) part_size: Option<u64>,

    /// Object data in memory at most [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, global = true)]
    pub(crate) memory: Option<u64>,

    /// Bytes per second at most, such as 20MiB
    #[arg(long, value_name = "RATE", value_parser = parse_rate, global = true)]
    pub(crate) limit_rate: Option<u64>,

    /// Requests that begin in a second at most
    #[arg(long, value_name = "N", value_parser = parse_count::<u64>, global = true)]
    pub(crate) limit_requests: Option<u64>,

    /// Compare content with checksums: where the server states one, always (or fail), or never
    #[arg(long, value_name = "WHEN", value_enum, global = true)]
    pub(crate) verify: Option<Verify>,

    /// Write keys on supabase:// that it does not take with characters that it does, and read them back; on blob: write
    /// and read keys as the platform's own client does, percent-encoded
    #[arg(long, visible_alias = "encoded-keys", global = true)]
    pub(crate) encode_keys: bool,

    /// Show progress: bars on a terminal and lines otherwise, bars always, or never
    #[arg(long, value_name = "WHEN", value_enum, global = true)]
    pub(crate) progress: Option<When>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Cp(Box<cp::CpArgs>),
    Mv(Box<mv::MvArgs>),
    Sync(Box<sync::SyncArgs>),
    Diff(Box<diff::DiffArgs>),
    Du(du::DuArgs),
    Ls(ls::LsArgs),
    Cat(cat::CatArgs),
    Rm(rm::RmArgs),
    Mb(mb::MbArgs),
    Rb(rb::RbArgs),
    Stat(stat::StatArgs),
    Resume(resume::ResumeArgs),
    Presign(presign::PresignArgs),
    Supabase(supabase::SupabaseArgs),
    Ais(ais::AisArgs),
    Apolo(apolo::ApoloArgs),
    Authn(authn::AuthnArgs),
    #[cfg(feature = "dev")]
    Dev(crate::commands::dev::DevArgs),
}

/// Object data in memory unless told otherwise.
const MEMORY: u64 = 64 << 20;
/// Shortest and longest time between two looks for a part.
const LOOKUPS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(1));
/// What one share must have at least.
const SMALLEST_MEMORY: u64 = 4 << 20;

/// What a command works with.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) out: Output,
    pub(crate) interrupt: Interrupt,
    pub(crate) services: Services,
}

impl App {
    pub(crate) fn new(settings: Settings, out: Output, interrupt: Interrupt) -> Self {
        let services = Services::new(&settings, &out);
        Self { settings, out, interrupt, services }
    }

    /// What moves bytes, with one of so many equal shares of the limits.
    pub(crate) fn transfer(&self, shares: u64) -> Result<Transfer, Failure> {
        let settings = &self.settings;
        let mut builder = Transfer::builder()
            .limit_upload(settings.limit_rate)
            .limit_download(settings.limit_rate)
            .limit_requests(settings.limit_requests)
            .verify(settings.verify.into())
            .checkpoints(&settings.dirs.state)
            .grace(GRACE);
        if let Some(requests) = settings.concurrency {
            builder = builder.concurrency(requests);
        }
        if let Some(time) = settings.part_lookup {
            builder = builder.part_lookup(time, (time / 10).clamp(LOOKUPS.0, LOOKUPS.1));
        }
        if let Some(size) = settings.part_size {
            builder = builder.part_size(PartSize::Fixed(size));
        }
        let memory = settings.memory.unwrap_or(MEMORY);
        if memory < SMALLEST_MEMORY * shares {
            let least = show_size(SMALLEST_MEMORY * shares);
            return Err(Failure::usage(format!("{} of memory are too little", show_size(memory)))
                .hint(format!("give --memory {least} at least", least = least.replace(".0 ", ""))));
        }
        builder.memory_budget(memory / shares).build().map_err(|error| Failure::of("", error))
    }

    /// Runs the command to its end, then lets go of what it held.
    pub(crate) async fn run(self, command: Command) -> Result<(), Failure> {
        let result = match command {
            // These end in their own way when they are interrupted.
            Command::Cp(args) => cp::run(&self, *args).await,
            Command::Mv(args) => mv::run(&self, *args).await,
            Command::Sync(args) => sync::run(&self, *args).await,
            #[cfg(feature = "dev")]
            Command::Dev(args) => crate::commands::dev::run(&self, args).await,
            Command::Diff(args) => self.until_interrupted(diff::run(&self, *args)).await,
            Command::Du(args) => self.until_interrupted(du::run(&self, args)).await,
            Command::Ls(args) => self.until_interrupted(ls::run(&self, args)).await,
            Command::Cat(args) => self.until_interrupted(cat::run(&self, args)).await,
            Command::Rm(args) => self.until_interrupted(rm::run(&self, args)).await,
            Command::Mb(args) => self.until_interrupted(mb::run(&self, args)).await,
            Command::Rb(args) => self.until_interrupted(rb::run(&self, args)).await,
            Command::Stat(args) => self.until_interrupted(stat::run(&self, args)).await,
            Command::Resume(args) => self.until_interrupted(resume::run(&self, args)).await,
            Command::Presign(args) => self.until_interrupted(presign::run(&self, args)).await,
            Command::Supabase(args) => self.until_interrupted(supabase::run(&self, args)).await,
            Command::Ais(args) => self.until_interrupted(ais::run(&self, args)).await,
            Command::Apolo(args) => self.until_interrupted(apolo::run(&self, args)).await,
            Command::Authn(args) => self.until_interrupted(authn::run(&self, args)).await,
        };
        let result = result.and_then(|()| self.out.flush());
        self.services.close(&self.interrupt).await;
        result
    }

    /// Drops the work when the command is asked to stop: nothing of it is half done.
    pub(crate) async fn until_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            result = work => result,
            signal = self.interrupt.wait() => Err(Failure::interrupted(signal)),
        }
    }
}
