//! `docs/parity.md`.

use std::fmt::Write as _;

use super::table::{Member, Row};

const HEAD: &str = "\
# Parity

What of the reference clients' interfaces this project has, and how that is known. Written by `cargo xtask parity`
from [parity.toml](parity.toml), whose every row is checked: the symbol exists, the exchange was recorded on a real
server, and the test passed. An exchange `SYSTEM/FILE/NAME` is in `tests/wire`; members without one ask nobody.
";

/// The whole page.
pub(crate) fn page(reference: &[Member], rows: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    for (system, members) in systems(reference) {
        let _ = write!(page, "\n## {}\n", total(system, &members, rows));
        let mut class = None;
        for member in members {
            if class != Some(&member.class) {
                class = Some(&member.class);
                let _ = write!(
                    page,
                    "\n### {}\n\n| member | here | exchange | test |\n|---|---|---|---|\n",
                    member.class
                );
            }
            let name = if member.name.is_empty() { "(itself)" } else { &member.name };
            let _ = match rows.iter().find(|row| row.member == *member) {
                None => writeln!(page, "| `{name}` | missing | | |"),
                Some(row) => {
                    let exchange = row.exchange.as_ref().map_or(String::new(), |name| format!("`{name}`"));
                    writeln!(page, "| `{name}` | `{}` | {exchange} | `{}` |", row.symbol, row.test)
                }
            };
        }
    }
    page
}

/// One line for each system: `aistore: 87 of 154`.
pub(crate) fn totals(reference: &[Member], rows: &[Row]) -> Vec<String> {
    systems(reference).into_iter().map(|(system, members)| total(system, &members, rows)).collect()
}

fn total(system: &str, members: &[&Member], rows: &[Row]) -> String {
    let covered = members.iter().filter(|member| rows.iter().any(|row| row.member == ***member)).count();
    format!("{system}: {covered} of {}", members.len())
}

/// The members by system, in the order of the list.
fn systems(reference: &[Member]) -> Vec<(&str, Vec<&Member>)> {
    let mut systems: Vec<(&str, Vec<&Member>)> = Vec::new();
    for member in reference {
        match systems.iter_mut().find(|(system, _)| *system == member.system) {
            Some((_, members)) => members.push(member),
            None => systems.push((&member.system, vec![member])),
        }
    }
    systems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parity::table;

    #[test]
    fn what_is_there_and_what_is_missing_is_shown_and_counted() {
        let reference = table::reference("system\tclass\tmember\na\tBucket\t\na\tBucket\tcreate\nb\tC\td\n");
        let rows = table::rows(
            "[[member]]\nsystem = 'a'\nclass = 'Bucket'\nmember = 'create'\nsymbol = 'longshore_a::B::new'\n\
             test = 'wire x'\nexchange = 'a/b/c'",
        );
        let rows = rows.expect("valid");
        assert_eq!(totals(&reference, &rows), ["a: 1 of 2", "b: 0 of 1"]);
        let page = page(&reference, &rows);
        for line in [
            "## a: 1 of 2",
            "### Bucket",
            "| `(itself)` | missing | | |",
            "| `create` | `longshore_a::B::new` | `a/b/c` | `wire x` |",
        ] {
            assert!(page.lines().any(|l| l == line), "{line}\n{page}");
        }
    }
}
