//! Which tests passed when their class ran last: kept in the target folder, for what refers to tests.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cmd::Failure;

/// Whether each test passed, by target and name: `wire_client` and `buckets/create-bucket`. A test that was
/// skipped has no entry.
pub(crate) type Results = BTreeMap<(String, String), bool>;

fn folder(target_dir: &Path) -> PathBuf {
    target_dir.join("xtask-results")
}

/// Keeps what a class has given. A run of chosen cases only updates those.
pub(crate) fn save(target_dir: &Path, class: &str, new: &Results, whole: bool) -> Result<(), Failure> {
    let folder = folder(target_dir);
    let file = folder.join(format!("{class}.tsv"));
    let write = || -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        let mut results = Results::new();
        if !whole && file.exists() {
            parse(&fs::read_to_string(&file)?, &mut results);
        }
        results.extend(new.iter().map(|(key, passed)| (key.clone(), *passed)));
        let line = |((target, name), passed): (&(String, String), &bool)| {
            format!("{}\t{target}\t{name}\n", if *passed { "passed" } else { "failed" })
        };
        fs::write(&file, results.iter().map(line).collect::<String>())
    };
    write().map_err(|error| Failure::Failed(format!("keeping results in {}: {error}", file.display())))
}

/// What every class gave when it ran last.
pub(crate) fn load(target_dir: &Path) -> Result<Results, Failure> {
    let folder = folder(target_dir);
    let mut results = Results::new();
    if !folder.exists() {
        return Ok(results);
    }
    let failed = |error: io::Error| Failure::Failed(format!("reading {}: {error}", folder.display()));
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let text = fs::read_to_string(entry.map_err(failed)?.path()).map_err(failed)?;
        parse(&text, &mut results);
    }
    Ok(results)
}

fn parse(text: &str, results: &mut Results) {
    for line in text.lines() {
        if let [end, target, name] = line.splitn(3, '\t').collect::<Vec<_>>()[..] {
            results.insert((target.to_owned(), name.to_owned()), end == "passed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Scratch;

    fn results(rows: &[(&str, bool)]) -> Results {
        rows.iter().map(|(name, passed)| (("cli".to_owned(), (*name).to_owned()), *passed)).collect()
    }

    #[test]
    fn a_whole_run_replaces_and_a_filtered_one_updates() {
        let scratch = Scratch::new(&std::env::temp_dir(), "results").expect("a temporary folder");
        let dir = scratch.path();
        assert!(load(dir).expect("nothing yet").is_empty());
        save(dir, "cli", &results(&[("a", true), ("b", false)]), true).expect("saved");
        save(dir, "cli", &results(&[("b", true)]), false).expect("saved");
        assert_eq!(load(dir).expect("loaded"), results(&[("a", true), ("b", true)]));
        save(dir, "cli", &results(&[("c", false)]), true).expect("saved");
        assert_eq!(load(dir).expect("loaded"), results(&[("c", false)]));
    }
}
