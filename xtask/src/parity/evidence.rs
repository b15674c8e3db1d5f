//! What a row refers to: a recorded exchange, and a test that passed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::results::Results;

use super::table::Row;

/// The names of the recorded exchanges, read file by file when they are asked for.
pub(crate) struct Exchanges {
    folder: PathBuf,
    files: RefCell<BTreeMap<String, Result<BTreeSet<String>, String>>>,
}

impl Exchanges {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, files: RefCell::default() }
    }

    /// Fails unless `file` has an exchange called `name`.
    fn find(&self, file: &str, name: &str) -> Result<(), String> {
        let mut files = self.files.borrow_mut();
        let names = files.entry(file.to_owned()).or_insert_with(|| self.read(file)).as_ref();
        if names.map_err(Clone::clone)?.contains(name) {
            Ok(())
        } else {
            Err(format!("{file} has no exchange `{name}`"))
        }
    }

    fn read(&self, file: &str) -> Result<BTreeSet<String>, String> {
        let path = self.folder.join(format!("{file}.json"));
        let text = fs::read(&path).map_err(|error| format!("no recorded exchanges `{file}`: {error}"))?;
        let value: Value = serde_json::from_slice(&text).map_err(|error| format!("{file}: {error}"))?;
        let names = value.as_array().into_iter().flatten().filter_map(|exchange| exchange["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }
}

/// Fails unless the exchange of the row, `SYSTEM/FILE/NAME`, was recorded.
pub(crate) fn exchange(row: &Row, exchanges: &Exchanges) -> Result<(), String> {
    let Some(exchange) = &row.exchange else { return Ok(()) };
    match exchange.rsplit_once('/') {
        Some((file, name)) => exchanges.find(file, name),
        None => Err(format!("`{exchange}` is not written SYSTEM/FILE/NAME")),
    }
}

/// Fails unless the test of the row ran and passed.
///
/// It is written as `cargo test` takes it: a package or test target, and part of a name. One test of just that
/// name counts; otherwise all whose names contain it, and at least one.
pub(crate) fn test(row: &Row, results: &Results) -> Result<(), String> {
    let (target, part) = row.test.split_once(' ').unwrap_or((&row.test, ""));
    let target = target.replace('-', "_");
    if part.is_empty() && row.exchange.is_some() {
        return Err(format!("`{}` names no test of {target}", row.test));
    }
    let all = || results.iter().filter(|((of, _), _)| *of == target);
    let exact = all().find(|((_, name), _)| name == part);
    let matching: Vec<_> = match exact {
        Some(one) => vec![one],
        None => all().filter(|((_, name), _)| name.contains(part)).collect(),
    };
    if matching.is_empty() {
        return Err(format!(
            "no test `{}` has run: is the name right, did `cargo xtask test` run?",
            row.test
        ));
    }
    match matching.iter().find(|(_, passed)| !**passed) {
        Some(((_, name), _)) => Err(format!("test {target} {name} failed")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Scratch;
    use crate::parity::table::Member;

    fn row(test: &str, exchange: Option<&str>) -> Row {
        let owned = str::to_owned;
        let member = Member { system: owned("s"), class: owned("C"), name: owned("m") };
        Row { member, symbol: owned("longshore_x::Y"), exchange: exchange.map(owned), test: owned(test) }
    }

    #[test]
    fn exchanges_are_found_by_file_and_name() {
        let scratch = Scratch::new(&std::env::temp_dir(), "exchanges").expect("a temporary folder");
        fs::create_dir(scratch.path().join("s")).expect("folder");
        fs::write(scratch.path().join("s/f.json"), r#"[{"name": "one"}]"#).expect("file");
        let exchanges = Exchanges::new(scratch.path().to_owned());
        let find = |exchange| super::exchange(&row("t", Some(exchange)), &exchanges);
        assert_eq!(find("s/f/one"), Ok(()));
        for (wrong, expected) in [("s/f/two", "`two`"), ("s/g/one", "s/g"), ("one", "SYSTEM/FILE/NAME")] {
            assert!(find(wrong).is_err_and(|mistake| mistake.contains(expected)), "{wrong}");
        }
    }

    #[test]
    fn tests_must_have_run_and_passed() {
        let key = |target: &str, name: &str| (target.to_owned(), name.to_owned());
        let results = Results::from([
            (key("wire_client", "b/create"), true),
            (key("wire_client", "b/create-again"), false),
            (key("longshore_aistore", "jobs::tests::a"), true),
            (key("longshore_aistore", "jobs::tests::b"), true),
        ]);
        let check = |test, exchange| super::test(&row(test, exchange), &results);
        assert_eq!(check("wire_client b/create", Some("x")), Ok(()), "an exact name is one test");
        assert_eq!(check("longshore-aistore jobs", Some("x")), Ok(()));
        assert_eq!(check("longshore-aistore", None), Ok(()));
        for (wrong, expected) in [
            ("wire_client b/create-again", "failed"),
            ("wire_client b/cre", "b/create-again failed"),
            ("wire_client b/delete", "has run"),
            ("longshore-authn x", "has run"),
            ("longshore-aistore", "names no test"),
        ] {
            let outcome = check(wrong, Some("x"));
            assert!(outcome.as_ref().is_err_and(|m| m.contains(expected)), "{wrong}: {outcome:?}");
        }
    }
}
