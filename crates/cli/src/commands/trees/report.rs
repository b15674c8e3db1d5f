//! `--report FILE`: what became of every item, one JSON object a line.

use std::{
    fs::File,
    io::{BufWriter, Write},
    sync::{Arc, Mutex, PoisonError},
};

use longshore::transfer::SyncAction;
use serde::Serialize;

use crate::failure::{Failure, explain};

/// A report that is being written. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    path: String,
    file: Arc<Mutex<(BufWriter<File>, Option<std::io::Error>)>>,
}

/// One line.
#[derive(Debug, Default, Serialize)]
struct Line<'a> {
    name: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Report {
    pub(crate) fn create(path: &str) -> Result<Self, Failure> {
        let file = File::create(path)
            .map_err(|error| Failure::io(format!("cannot write the report {path}"), error))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new((BufWriter::new(file), None))) })
    }

    /// Adds what became of an item.
    pub(crate) fn add(&self, action: &SyncAction<'_>) {
        let line = match *action {
            SyncAction::Copied { name, size, .. } => {
                Line { name, outcome: "copied", bytes: Some(size), reason: None }
            }
            SyncAction::Unchanged { name } => Line { name, outcome: "unchanged", ..Line::default() },
            SyncAction::Skipped { name, reason } => {
                Line { name, outcome: "skipped", bytes: None, reason: Some(reason.to_string()) }
            }
            SyncAction::Removed { name } => Line { name, outcome: "removed", ..Line::default() },
            SyncAction::Failed { name, error } => {
                Line { name, outcome: "failed", bytes: None, reason: Some(explain(error.reason())) }
            }
            _ => return,
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, failed) = &mut *file;
        if failed.is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut *writer, &line).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|()| writer.write_all(b"\n")) {
            *failed = Some(error);
        }
    }

    /// Says whether all of it could be written.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, failed) = &mut *file;
        let result = failed.take().map_or_else(|| writer.flush(), Err);
        result.map_err(|error| Failure::io(format!("cannot write the report {}", self.path), error))
    }
}
