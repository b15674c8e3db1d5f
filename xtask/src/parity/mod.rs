//! `cargo xtask parity`: what of the reference clients' interfaces this project has.
//!
//! `docs/parity.toml` says which of our symbols does what a member of a reference client does, by which recorded
//! exchange that is known, and which test shows it. Every row is checked; what has no row is missing, which is
//! counted and no error.

mod evidence;
mod render;
mod table;

use std::fs;

use crate::cmd::{Failure, Outcome};
use crate::lint;
use crate::results;
use crate::workspace::Workspace;

const TABLE: &str = "docs/parity.toml";
const REFERENCE: &str = "tests/parity/reference.tsv";
const RENDERED: &str = "docs/parity.md";

/// Checks every row, writes `docs/parity.md` and prints one line for each system.
///
/// With `--check` the file is compared instead of written.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    let check = match args {
        [] => false,
        [arg] if arg == "--check" => true,
        _ => return Err(Failure::Usage("`parity` takes no argument but `--check`".to_owned())),
    };
    let read = |name: &str| {
        fs::read_to_string(workspace.root.join(name))
            .map_err(|error| Failure::Failed(format!("reading {name}: {error}")))
    };
    let reference = table::reference(&read(REFERENCE)?);
    let rows =
        table::rows(&read(TABLE)?).map_err(|mistake| Failure::Failed(format!("{TABLE}: {mistake}")))?;
    let mut mistakes = table::mistakes(&rows, &reference);

    let results = results::load(&workspace.metadata()?.target_dir)?;
    let exchanges = evidence::Exchanges::new(workspace.root.join("tests").join("wire"));
    for row in &rows {
        let found = [evidence::exchange(row, &exchanges), evidence::test(row, &results)];
        mistakes.extend(
            found.into_iter().filter_map(|outcome| {
                outcome.err().map(|mistake| format!("{}: {mistake}", row.member.shown()))
            }),
        );
    }
    for mistake in &mistakes {
        println!("parity: {mistake}");
    }

    let text = render::page(&reference, &rows);
    let rendered = if check {
        let same = read(RENDERED).is_ok_and(|before| before == text);
        if same { Ok(()) } else { Err(format!("{RENDERED} is not up to date: run `cargo xtask parity`")) }
    } else {
        fs::write(workspace.root.join(RENDERED), text).map_err(|e| format!("writing {RENDERED}: {e}"))
    };
    // Every symbol is a link in the package `longshore-parity`, and a broken one is an error.
    lint::document(workspace)?;
    for line in render::totals(&reference, &rows) {
        println!("{line}");
    }
    rendered.map_err(Failure::Failed)?;
    match mistakes.len() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!("{count} mistakes in {TABLE}, see above"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_project_is_well_formed_and_rendered() {
        let root = Workspace::locate().expect("started by cargo").root;
        let read = |name: &str| fs::read_to_string(root.join(name)).expect(name);
        let reference = table::reference(&read(REFERENCE));
        let rows = table::rows(&read(TABLE)).expect("well formed");
        assert_eq!(table::mistakes(&rows, &reference), [""; 0]);
        let exchanges = evidence::Exchanges::new(root.join("tests").join("wire"));
        for row in &rows {
            assert_eq!(evidence::exchange(row, &exchanges), Ok(()), "{}", row.member.shown());
        }
    }
}
