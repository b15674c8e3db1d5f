//! `cargo xtask dag`: which crate of the workspace may depend on which.
//!
//! Only what users build counts; dependencies of tests may go anywhere.

use std::collections::BTreeSet;

use crate::cmd::{Failure, Outcome};
use crate::workspace::{Dependency, Metadata, Package, Workspace};

/// On what condition an edge is allowed.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Optional or not.
    Always,
    /// Optional, switched on by this feature and by no other.
    Feature(&'static str),
}

use When::{Always, Feature};

/// A crate and what it may depend on. Names are folders of `crates/`.
type Row = (&'static str, &'static [(&'static str, When)]);

const EDGES: &[Row] = &[
    ("core-types", &[]),
    ("transport", &[("core-types", Always)]),
    ("blob-api", &[("core-types", Always)]),
    ("authn-api", &[("core-types", Always), ("transport", Always)]),
    ("transfer", &[("core-types", Always), ("blob-api", Always)]),
    ("aistore", &[("core-types", Always), ("transport", Always), ("blob-api", Always)]),
    ("http-store", &[("core-types", Always), ("transport", Always), ("blob-api", Always)]),
    (
        "supabase",
        &[
            ("core-types", Always),
            ("transport", Always),
            ("blob-api", Always),
            ("object-store", Feature("s3")),
        ],
    ),
    ("object-store", &[("core-types", Always), ("blob-api", Always), ("transport", Feature("connector"))]),
    (
        "apolo",
        &[
            ("core-types", Always),
            ("transport", Always),
            ("blob-api", Always),
            ("object-store", Always),
            ("transfer", Feature("transfer")),
        ],
    ),
    (
        "longshore",
        &[
            ("core-types", Always),
            ("transport", Always),
            ("blob-api", Always),
            ("authn-api", Always),
            ("transfer", Always),
            ("aistore", Always),
            ("http-store", Always),
            ("supabase", Always),
            ("object-store", Always),
            ("apolo", Always),
        ],
    ),
    ("cli", &[("longshore", Always), ("devserver", Feature("dev"))]),
    // These stand alone. A dev server that shared code with the clients could not show their mistakes.
    ("devserver", &[]),
    ("xtask", &[]),
];

/// Leaves that are never published: they may depend on everything but the programs of `PROGRAMS`.
const LEAVES: [&str; 4] = ["tests", "parity", "examples", "bench"];

/// Programs for working on this workspace, on which nobody may depend.
const PROGRAMS: [&str; 2] = ["xtask", "longshore-bench"];

/// Checks the dependencies of every member against the table.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    crate::no_arguments("dag", args)?;
    let metadata = workspace.metadata()?;
    match check(&metadata) {
        Ok(edges) => {
            println!("dag: {} crates, {edges} edges, all allowed", metadata.packages.len());
            Ok(())
        }
        Err(violations) => {
            for violation in &violations {
                println!("dag: {violation}");
            }
            let count = violations.len();
            Err(Failure::Failed(format!("{count} violations of the table in xtask/src/dag.rs")))
        }
    }
}

/// The number of edges, or what is wrong with them.
fn check(metadata: &Metadata) -> Result<usize, Vec<String>> {
    let members: BTreeSet<_> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut violations = Vec::new();
    let mut edges = 0;
    for package in &metadata.packages {
        let from = short(&package.name);
        let row = EDGES.iter().find(|(name, _)| *name == from).map(|(_, row)| *row);
        if row.is_none() && !LEAVES.contains(&from) {
            violations.push(format!("crate `{}` is not in the table: decide what it may use", package.name));
            continue;
        }
        let inside = package.dependencies.iter().filter(|d| members.contains(d.name.as_str()));
        for dependency in inside {
            edges += 1;
            let verdict = match row {
                Some(row) => allowed(package, dependency, row),
                None if PROGRAMS.contains(&&*dependency.name) => Err("no crate may depend on it".to_owned()),
                None => Ok(()),
            };
            if let Err(reason) = verdict {
                let to = &dependency.name;
                violations.push(format!("`{}` must not depend on `{to}`: {reason}", package.name));
            }
        }
    }
    if violations.is_empty() { Ok(edges) } else { Err(violations) }
}

fn allowed(package: &Package, dependency: &Dependency, row: &[(&str, When)]) -> Result<(), String> {
    let to = short(&dependency.name);
    let Some((_, when)) = row.iter().find(|(name, _)| *name == to) else {
        let names: Vec<_> = row.iter().map(|(name, _)| *name).collect();
        let names = if names.is_empty() { "no crate of this workspace".to_owned() } else { names.join(", ") };
        return Err(format!("it may use {names}"));
    };
    let Feature(feature) = *when else { return Ok(()) };
    if !dependency.optional {
        return Err(format!("only an optional dependency under feature `{feature}` is allowed"));
    }
    let others: Vec<_> = switches(package, &dependency.alias).filter(|name| *name != feature).collect();
    if others.is_empty() {
        Ok(())
    } else {
        Err(format!("only feature `{feature}` may switch it on, but `{}` does too", others.join("`, `")))
    }
}

/// The features that directly switch on an optional dependency. Cargo lists the implicit feature, which
/// carries the dependency's own name, among them.
fn switches<'a>(package: &'a Package, alias: &'a str) -> impl Iterator<Item = &'a str> {
    let switches_on = move |value: &String| {
        let bare = value.strip_prefix("dep:").unwrap_or(value);
        bare == alias || bare.strip_prefix(alias).is_some_and(|rest| rest.starts_with('/'))
    };
    let features = package.features.iter();
    features.filter(move |(_, values)| values.iter().any(switches_on)).map(|(name, _)| name.as_str())
}

fn short(package: &str) -> &str {
    package.strip_prefix("longshore-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies.iter().map(|name| Dependency {
            name: (*name).to_owned(),
            alias: (*name).to_owned(),
            ..Dependency::default()
        });
        Package { name: name.to_owned(), dependencies: dependencies.collect(), ..Package::default() }
    }

    fn optional(mut package: Package, features: &[(&str, &[&str])]) -> Package {
        package.dependencies.iter_mut().for_each(|dependency| dependency.optional = true);
        let lists = features.iter().map(|(name, values)| {
            ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        });
        package.features = lists.collect();
        package
    }

    fn verdict(packages: Vec<Package>) -> Result<usize, String> {
        check(&Metadata { packages, target_dir: "target".into() }).map_err(|v| v.join("\n"))
    }

    #[test]
    fn this_workspace_is_in_order() {
        let metadata = Workspace::locate().and_then(|w| w.metadata()).expect("metadata");
        check(&metadata).expect("no violation");
    }

    #[test]
    fn allowed_edges_pass_and_third_parties_do_not_count() {
        let packages = vec![
            package("longshore-core-types", &["bytes"]),
            package("longshore-blob-api", &["longshore-core-types", "futures-core"]),
            package("longshore-transfer", &["longshore-core-types", "longshore-blob-api"]),
            package("longshore-tests", &["longshore-transfer"]),
        ];
        assert_eq!(verdict(packages), Ok(4));
    }

    #[test]
    fn a_forbidden_edge_is_named_with_what_is_allowed() {
        let packages = vec![
            package("longshore-transport", &[]),
            package("longshore-transfer", &["longshore-transport"]),
            package("longshore-devserver", &["longshore-transport"]),
        ];
        let message = verdict(packages).expect_err("two violations");
        assert!(
            message.contains("`longshore-transfer` must not depend on `longshore-transport`"),
            "{message}"
        );
        assert!(message.contains("it may use core-types, blob-api"), "{message}");
        assert!(message.contains("it may use no crate of this workspace"), "{message}");
    }

    #[test]
    fn nobody_depends_on_the_programs_for_working_here() {
        for program in PROGRAMS {
            let packages = vec![package(program, &[]), package("longshore-examples", &[program])];
            assert!(verdict(packages).expect_err(program).contains("no crate may depend on it"));
        }
    }

    #[test]
    fn unknown_crates_are_an_error() {
        let message = verdict(vec![package("longshore-extras", &[])]).expect_err("unknown");
        assert!(message.contains("`longshore-extras` is not in the table"), "{message}");
    }

    #[test]
    fn the_dev_server_is_part_of_the_command_only_under_its_feature() {
        let with = |cli: Package| verdict(vec![cli, package("longshore-devserver", &[])]);
        let cli = || package("longshore-cli", &["longshore-devserver"]);

        let good: &[(&str, &[&str])] = &[("default", &["dev"]), ("dev", &["dep:longshore-devserver"])];
        assert_eq!(with(optional(cli(), good)), Ok(1));
        let weak: &[(&str, &[&str])] =
            &[("dev", &["dep:longshore-devserver"]), ("s3", &["longshore-devserver?/s3"])];
        assert_eq!(with(optional(cli(), weak)), Ok(1));

        assert!(with(cli()).expect_err("not optional").contains("feature `dev`"));
        let strong: &[(&str, &[&str])] =
            &[("dev", &["dep:longshore-devserver"]), ("s3", &["longshore-devserver/s3"])];
        assert!(with(optional(cli(), strong)).expect_err("a second switch").contains("`s3` does too"));
        let implicit: &[(&str, &[&str])] = &[("longshore-devserver", &["dep:longshore-devserver"])];
        assert!(with(optional(cli(), implicit)).is_err(), "the implicit feature is another switch");
    }

    #[test]
    fn nobody_uses_xtask() {
        let packages = vec![package("longshore-tests", &["xtask"]), package("xtask", &[])];
        assert!(verdict(packages).is_err());
    }
}
