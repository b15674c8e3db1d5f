//! `cargo xtask features`: every crate compiles with every choice of its features, as far as pairs can tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::cmd::{self, Failure, Outcome};
use crate::workspace::{Package, Workspace};

/// Names of features that are on.
type Choice<'a> = BTreeSet<&'a str>;

/// Lints each crate that is published, or those that are named, with no feature, each, each pair, and all.
///
/// What only tests need is left out: it would switch on features that users do not have.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    let metadata = workspace.metadata()?;
    let published: Vec<_> = metadata.packages.iter().filter(|package| package.published).collect();
    if let Some(unknown) = args.iter().find(|arg| !published.iter().any(|package| package.name == **arg)) {
        return Err(Failure::Usage(format!("there is no published crate `{unknown}`")));
    }
    let chosen = published.into_iter().filter(|package| args.is_empty() || args.contains(&package.name));
    let mut failed = Vec::new();
    let mut count = 0;
    for package in chosen {
        for choice in choices(&package.features) {
            let features = Vec::from_iter(choice).join(",");
            count += 1;
            if check(workspace, package, &features).is_err() {
                failed.push(format!("{} with {features:?}", package.name));
            }
        }
    }
    println!("features: {count} choices, {} failed", failed.len());
    for choice in &failed {
        println!("features: {choice}");
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Reported) }
}

fn check(workspace: &Workspace, package: &Package, features: &str) -> Outcome {
    let args = ["clippy", "--quiet", "--package", &package.name, "--no-default-features"];
    let mut command = cmd::cargo(&workspace.root, args);
    if !features.is_empty() {
        command.args(["--features", features]);
    }
    cmd::run(command.args(["--", "-D", "warnings"]))
}

/// None, each, each pair, and all, with what they bring along. What comes to the same is there once. Names that begin with `_`
/// are for other features alone.
fn choices(features: &BTreeMap<String, Vec<String>>) -> BTreeSet<Choice<'_>> {
    let names: Vec<&str> = features
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "default" && !name.starts_with('_'))
        .collect();
    let pairs = names.iter().flat_map(|a| names.iter().map(move |b| vec![*a, *b]));
    let all = [Vec::new(), names.clone()];
    pairs.chain(all).map(|names| closure(features, names)).collect()
}

/// The features that are on if these are. What they switch on in other crates follows from them.
fn closure<'a>(features: &'a BTreeMap<String, Vec<String>>, names: Vec<&'a str>) -> Choice<'a> {
    let mut on = Choice::new();
    let mut next = names;
    while let Some(name) = next.pop() {
        if on.insert(name) {
            let implied = features.get(name).into_iter().flatten().map(String::as_str);
            next.extend(implied.filter(|name| features.contains_key(*name)));
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_distinct_and_bring_along_what_they_imply() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let features = BTreeMap::from([
            ("default".to_owned(), list(&["tls"])),
            ("tls".to_owned(), list(&["dep:tls", "other/tls"])),
            ("h2".to_owned(), list(&["tls", "other?/h2"])),
            ("log".to_owned(), list(&["_text"])),
            ("_text".to_owned(), list(&[])),
        ]);
        let expected: BTreeSet<Choice<'_>> = [
            &[][..],
            &["tls"],
            &["h2", "tls"],
            &["_text", "log"],
            &["_text", "log", "tls"],
            &["_text", "h2", "log", "tls"],
        ]
        .into_iter()
        .map(|names| names.iter().copied().collect())
        .collect();
        assert_eq!(choices(&features), expected);
        assert_eq!(choices(&BTreeMap::new()).len(), 1);
    }
}
