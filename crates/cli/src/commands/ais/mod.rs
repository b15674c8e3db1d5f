//! `longshore ais`: what AIStore clusters have beyond buckets and objects.

mod batch;
mod bucket;
mod cluster;
mod download;
mod dsort;
mod etl;
mod group;
mod job;
mod object;
mod waiting;

use clap::{Args, Subcommand};
use longshore::{
    Error,
    aistore::{BucketRef, Client, EtlCall},
};
use serde_json::{Map, Value};

use super::{bucket_url, store_url};
use crate::{
    app::App,
    failure::Failure,
    listing::object_of,
    output::{Entity, Message},
};

/// Buckets, objects, jobs, transformations and state of an AIStore cluster
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Copy a bucket inside the cluster, and watch it
     longshore ais bucket copy ais://raw ais://backup --wait
  2. Delete a thousand objects by their names
     longshore ais group delete ais://raw --template 'img-{0000..0999}.jpg' --wait
  3. The members of an archive, and one of them
     longshore ais object members ais://shards/train-000000.tar
     longshore ais object get ais://shards/train-000000.tar --member img7.cls
  4. Is the cluster moving objects about?
     longshore ais cluster status")]
pub(crate) struct AisArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy, rename, evict and describe buckets
    #[command(subcommand)]
    Bucket(bucket::BucketCommand),
    /// Single objects: metadata, archives, transformations
    #[command(subcommand)]
    Object(object::ObjectCommand),
    /// Many objects of a bucket at once
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Jobs of the cluster
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Nodes, state and configuration
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Transformations that run in the cluster
    #[command(subcommand)]
    Etl(etl::EtlCommand),
    /// Distributed sorts of archives
    #[command(subcommand)]
    Dsort(dsort::DsortCommand),
    Batch(batch::BatchArgs),
    /// Downloads from the web by the cluster
    #[command(subcommand)]
    Download(download::DownloadCommand),
}

/// What the commands below work with.
struct Ais<'a> {
    app: &'a App,
}

pub(crate) async fn run(app: &App, args: AisArgs) -> Result<(), Failure> {
    let ais = Ais { app };
    match args.command {
        Command::Bucket(command) => bucket::run(&ais, command).await,
        Command::Object(command) => object::run(&ais, command).await,
        Command::Group(command) => group::run(&ais, command).await,
        Command::Job(command) => job::run(&ais, command).await,
        Command::Cluster(command) => cluster::run(&ais, command).await,
        Command::Etl(command) => etl::run(&ais, command).await,
        Command::Dsort(command) => dsort::run(&ais, command).await,
        Command::Batch(args) => batch::run(&ais, args).await,
        Command::Download(command) => download::run(&ais, command).await,
    }
}

impl Ais<'_> {
    async fn client(&self) -> Result<&Client, Failure> {
        self.app.services.aistore().await
    }

    async fn bucket(&self, url: &str) -> Result<longshore::aistore::Bucket, Failure> {
        let reference = bucket_ref(url)?;
        Ok(self.client().await?.bucket_ref(reference))
    }

    async fn object(&self, url: &str) -> Result<longshore::aistore::Object, Failure> {
        let url = store_url(url)?;
        let key = object_of(&url)?;
        let bucket = BucketRef::from_url(&url).map_err(|error| Failure::of("", error))?;
        let object = self.client().await?.bucket_ref(bucket).object(&key);
        object.map_err(|error| Failure::of("", error))
    }

    fn print(&self, kind: &'static str, name: &str, facts: Map<String, Value>) -> Result<(), Failure> {
        self.app.out.print_now(&Message::Ais(&Entity { kind, name: name.to_owned(), facts }))
    }

    fn notice(&self, text: impl Into<String>) {
        self.app.out.notice_text(text);
    }
}

/// The bucket of a URL, looked at before a server is asked.
fn bucket_ref(url: &str) -> Result<BucketRef, Failure> {
    BucketRef::from_url(&bucket_url(url)?).map_err(|error| Failure::of("", error))
}

/// A failed call.
fn failed(context: impl Into<String>) -> impl FnOnce(Error) -> Failure {
    move |error| Failure::of(context, error)
}

/// Facts that are known.
fn facts<const N: usize>(facts: [(&str, Option<Value>); N]) -> Map<String, Value> {
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A text if it says something.
fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| text.into())
}

fn time(time: Option<std::time::SystemTime>) -> Option<Value> {
    time.and_then(crate::units::show_time).map(Value::from)
}

/// `NAME[,NAME...]`, with an argument.
fn etl_call(names: &str, args: Option<&String>) -> EtlCall {
    let mut names = names.split(',');
    let mut call = EtlCall::new(names.next().unwrap_or_default());
    for name in names {
        call = call.then(name);
    }
    match args {
        Some(args) => call.with_args(args),
        None => call,
    }
}
