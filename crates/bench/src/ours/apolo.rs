//! Work on a bucket of an Apolo cluster, by the calls that the platform's own client has too.

use std::path::PathBuf;
use std::process::ExitCode;

use longshore_apolo::Client;

use super::Common;
use crate::app::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The platform
    #[arg(long)]
    url: String,
    /// Token
    #[arg(long)]
    token: String,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Find the bucket, ask for credentials, and list a page
    Start { from: String },
    /// Download an object
    Get { from: String, to: PathBuf },
    /// Upload a file
    Put { from: PathBuf, to: String },
    /// Download a folder
    GetAll { from: String, to: PathBuf },
    /// Upload a directory
    PutAll { from: PathBuf, to: String },
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.common.runtime()?.block_on(act(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn act(args: &Args) -> Result<(), Failure> {
    let config = args.common.config()?;
    let client = Client::builder().api_url(&args.url).token(args.token.as_str()).transport_config(config);
    let client = client.connect().await?;
    let (Action::Start { from: uri }
    | Action::Get { from: uri, .. }
    | Action::GetAll { from: uri, .. }
    | Action::Put { to: uri, .. }
    | Action::PutAll { to: uri, .. }) = &args.action;
    let (store, key) = client.open(uri).await?;
    let engine = args.common.engine().build()?;
    let files = store.files(&engine);
    let copied = match &args.action {
        Action::Start { .. } => {
            store.is_dir(&key).await?;
            return Ok(());
        }
        Action::Get { to, .. } => files.download_file(key, to).await?,
        Action::Put { from, .. } => files.upload_file(from, key).await?,
        Action::GetAll { to, .. } => files.download_dir(key, to).await?,
        Action::PutAll { from, .. } => files.upload_dir(from, key).await?,
    };
    if copied.failed > 0 {
        return Err(format!("{} names could not move", copied.failed).into());
    }
    super::report(&engine);
    Ok(())
}
