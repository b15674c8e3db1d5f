//! AIStore, over the dev server.

use std::{fmt::Write, sync::Arc};

use longshore_aistore::Client;
use longshore_blob_api::AnyStore;
use longshore_devserver::{DevServer, Handle, JournalEntry};

use super::{Backend, Context, Fault, Opened};

const BUCKET: &str = "conformance";

/// One bucket of one server for all cases.
pub(crate) fn backend() -> Backend {
    Backend { name: "aistore", open, except: &[] }
}

fn open(context: &Context) -> Result<Opened, Fault> {
    let server = Arc::new(DevServer::builder().journal_capacity(200_000).start_blocking()?);
    let client = Client::builder(server.aistore_url()).build()?;
    let bucket = client.bucket(BUCKET)?;
    context.run(async { bucket.create().await })??;
    let store = AnyStore::new(bucket.store());
    Ok(Opened { store, trace: Box::new(move |prefix| journal(&server, prefix)) })
}

/// What the server was asked about names that start with `prefix`; everything, if that is empty.
pub(crate) fn journal(server: &Handle, prefix: &str) -> String {
    let ours = |entry: &JournalEntry| {
        prefix.is_empty() || entry.key.as_ref().is_some_and(|key| key.starts_with(prefix))
    };
    let mut text = format!("journal of the server, names that start with {prefix}:\n");
    for entry in server.journal().filter(ours) {
        let JournalEntry { seq, node, method, path, operation, range, status, fault, .. } = &entry;
        let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        // Writing to a string cannot fail.
        let _ = write!(text, "  {seq:>6} {node:?} {operation}: {method} {path} -> {status}");
        let _ = write!(text, ", {} bytes in, {} out", entry.bytes_in, entry.bytes_out);
        if let Some(range) = range {
            let _ = write!(text, ", range {range}");
        }
        if let Some(fault) = fault {
            let _ = write!(text, ", fault {fault}");
        }
        text.push('\n');
    }
    text
}
