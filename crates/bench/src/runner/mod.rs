//! The runner: prepares content, runs our programs and their peers in turn, prints tables.

mod buckets;
mod cluster;
mod machine;
mod measure;
mod peers;
mod process;
mod report;
mod tables;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::app::{Failure, at};
use cluster::Cluster;
use measure::Rules;
use peers::Peers;
use report::Report;
use workspace::Workspace;

const GIB: u64 = 1 << 30;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Which tables; all of them by default
    #[arg(value_enum)]
    tables: Vec<Name>,
    /// A small object and two runs, to try things out
    #[arg(long)]
    quick: bool,
    /// Bytes of the large object [default: 4 GiB; 256 MiB with --quick]
    #[arg(long)]
    size: Option<u64>,
    /// Runs of each [default: 3; 2 with --quick]
    #[arg(long)]
    runs: Option<u32>,
    /// Print JSON instead of text, with every run
    #[arg(long)]
    json: bool,
    /// Write the JSON to this file as well
    #[arg(long)]
    save: Option<PathBuf>,
    /// Directory for content and output [default: /dev/shm where it is large enough]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Python with the packages `requests` and `aistore`
    #[arg(long, default_value = "python3")]
    python: String,
    /// Python with the package `apolo-sdk` [default: the one of `cargo xtask setup peers apolo-sdk`]
    #[arg(long)]
    apolo_python: Option<PathBuf>,
    /// Gateway of a real AIStore cluster on this machine, for the table `aistore`; a bucket is made and removed
    #[arg(long)]
    ais_endpoint: Option<String>,
    /// AIStore's own command line
    #[arg(long, default_value = "ais")]
    ais: String,
    /// Name of the cluster's processes, whose CPU time counts as the server's
    #[arg(long, default_value = "aisnode")]
    ais_process: String,
    /// A run is repeated if other processes used more than this share of a core
    #[arg(long, default_value_t = 0.12)]
    busy: f64,
    /// After so many minutes no run is repeated and no further round begins [default: 30; 5 with --quick]
    #[arg(long)]
    minutes: Option<u64>,
    /// Do not touch free memory before measuring
    #[arg(long)]
    no_touch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Download,
    Upload,
    Small,
    List,
    Tail,
    Tls,
    Stack,
    Aistore,
    Apolo,
}

/// What every table needs.
#[derive(Debug)]
struct Bench {
    workspace: Workspace,
    peers: Peers,
    rules: Rules,
    /// Bytes of the large object.
    size: u64,
    quick: bool,
    cluster: Option<Cluster>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    // Measuring blocks, so it has a thread of its own, and this one watches for an interrupt: a run that is
    // given up must not leave gigabytes in memory.
    let workspace = Workspace::create(args.dir.as_deref())?;
    let path = workspace.path().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let work = tokio::task::spawn_blocking(move || all(&args, workspace));
        tokio::select! {
            outcome = work => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
        }
    });
    let Some(outcome) = outcome else {
        std::fs::remove_dir_all(&path).map_err(at(&path))?;
        // The thread that measures cannot be stopped from here.
        std::process::exit(130);
    };
    outcome?
}

fn all(args: &Args, workspace: Workspace) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let rules = Rules {
        rounds: args.runs.unwrap_or(if args.quick { 2 } else { 3 }).max(1),
        most_others: args.busy,
        patience: Duration::from_secs(if args.quick { 2 } else { 8 }),
        deadline: started + Duration::from_secs(args.minutes.unwrap_or(if args.quick { 5 } else { 30 }) * 60),
    };
    let size = args.size.unwrap_or(if args.quick { GIB / 4 } else { 4 * GIB });
    let peers = Peers::find(&args.python, &args.ais, args.apolo_python.as_deref());
    let cluster = args.ais_endpoint.clone();
    let cluster = cluster.map(|endpoint| Cluster { endpoint, process: args.ais_process.clone() });
    let bench = Bench { workspace, peers, rules, size, quick: args.quick, cluster };
    let names = if args.tables.is_empty() { Name::value_variants() } else { &args.tables };
    if !args.no_touch {
        bench.workspace.touch_memory(if args.quick { 4 * size } else { u64::MAX })?;
    }
    let mut report = Report { date: machine::today(), machine: machine::describe(), tables: Vec::new() };
    for name in names {
        let table = match name {
            Name::Download => tables::download::table(&bench),
            Name::Upload => tables::upload::table(&bench),
            Name::Small => tables::small::table(&bench),
            Name::List => tables::list::table(&bench),
            Name::Tail => tables::tail::table(&bench),
            Name::Tls => tables::tls::table(&bench),
            Name::Stack => tables::stack::table(&bench),
            Name::Aistore => tables::aistore::table(&bench),
            Name::Apolo => tables::apolo::table(&bench),
        }?;
        if !args.json {
            eprintln!("{}", table.text());
        }
        report.tables.push(table);
    }
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.save {
        std::fs::write(path, &json).map_err(at(path))?;
    }
    println!("{}", if args.json { json } else { report.text() });
    eprintln!("measured for {} s", started.elapsed().as_secs());
    Ok(if report.ours_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
