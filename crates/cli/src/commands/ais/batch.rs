//! Many small objects in one request.

use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::{StreamExt, TryStreamExt};
use longshore::ErrorKind;
use tokio::io::AsyncWriteExt;

use super::{Ais, failed};
use crate::{
    failure::{Exit, Failure},
    units::count,
};

/// Read many small objects of a bucket in one request
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Two objects into a folder
     longshore ais batch ais://photos cat.jpg dog.jpg --to animals
  2. As many as a file names
     xargs longshore ais batch ais://photos --to animals < names.txt")]
pub(super) struct BatchArgs {
    /// Bucket URL
    bucket: String,
    /// Names of objects
    #[arg(required = true)]
    names: Vec<String>,
    /// Folder to write them to, each under its name
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Let the cluster gather everything before it answers
    #[arg(long)]
    described: bool,
}

pub(super) async fn run(ais: &Ais<'_>, args: BatchArgs) -> Result<(), Failure> {
    let bucket = ais.bucket(&args.bucket).await?;
    let context = || failed(format!("cannot read objects of {}", args.bucket));
    let mut batch = ais.client().await?.batch().bucket(bucket.reference()).described(args.described);
    for name in &args.names {
        batch = batch.object(&bucket.object(name).map_err(|error| Failure::of("", error))?);
    }
    let mut items = batch.await.map_err(context())?;
    let (mut written, mut missing) = (0_u64, 0_u64);
    while let Some(item) = items.next().await {
        match item.result {
            Ok(result) => {
                // Names of objects have no parts that lead out of the folder.
                let path = args.to.join(&item.name);
                write(&path, result.into_stream()).await?;
                written += 1;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ais.notice(error.chain());
                missing += 1;
            }
            Err(error) => return Err(Failure::of(format!("cannot read {}", item.name), error)),
        }
    }
    ais.notice(format!("wrote {} to {}", count(written, "object"), args.to.display()));
    if missing > 0 {
        let message = format!("{} are missing", count(missing, "object"));
        return Err(Failure::new(Exit::SomeFailed, message));
    }
    Ok(())
}

async fn write(
    path: &Path,
    mut body: impl futures_util::Stream<Item = longshore::Result<bytes::Bytes>> + Unpin,
) -> Result<(), Failure> {
    let io = |error| Failure::io(format!("cannot write {}", path.display()), error);
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(io)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".longshore-part");
    let part = path.with_file_name(name);
    let mut file = tokio::fs::File::create(&part).await.map_err(io)?;
    while let Some(chunk) =
        body.try_next().await.map_err(failed(format!("cannot read {}", path.display())))?
    {
        file.write_all(&chunk).await.map_err(io)?;
    }
    file.flush().await.map_err(io)?;
    tokio::fs::rename(&part, path).await.map_err(io)
}
