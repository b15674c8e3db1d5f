//! Which crates a release has, and in which order.

use crate::cmd::Failure;
use crate::workspace::{Dependency, Metadata, Package};

/// What there is to publish.
#[derive(Debug)]
pub(super) struct Plan {
    /// One for all crates.
    pub(super) version: String,
    /// Each after those that it needs.
    pub(super) crates: Vec<String>,
    /// What a registry or its users would stumble over.
    pub(super) problems: Vec<String>,
}

impl Plan {
    /// Fails if crates need each other in a circle, or none is published.
    pub(super) fn new(metadata: &Metadata) -> Result<Self, Failure> {
        let published: Vec<_> = metadata.packages.iter().filter(|package| package.published).collect();
        let Some(version) = published.first().map(|package| package.version.clone()) else {
            return Err(Failure::Failed("no crate of this workspace is published".to_owned()));
        };
        let mut problems = Vec::new();
        for package in &published {
            problems.extend(problems_of(package, &version, metadata));
        }
        Ok(Self { version, crates: order(published)?, problems })
    }

    /// Those of the crates that are named, all of them if none is.
    pub(super) fn choose(&self, names: &[&str]) -> Result<Vec<String>, String> {
        if let Some(name) = names.iter().find(|name| !self.crates.iter().any(|known| known == *name)) {
            return Err(format!("there is no published crate `{name}`"));
        }
        let chosen = self.crates.iter().filter(|name| names.is_empty() || names.contains(&name.as_str()));
        Ok(chosen.cloned().collect())
    }
}

/// All dependencies. Those of tests count: a manifest in a registry has them too.
fn needs(package: &Package) -> impl Iterator<Item = &Dependency> {
    package.dependencies.iter().chain(&package.dev_dependencies)
}

fn problems_of(package: &Package, version: &str, metadata: &Metadata) -> Vec<String> {
    let name = &package.name;
    let mut problems: Vec<_> =
        package.missing.iter().map(|field| format!("{name} has no `{field}` in its manifest")).collect();
    if package.version != version {
        problems.push(format!("{name} has version {}, others have {version}", package.version));
    }
    for needed in needs(package) {
        let Some(sibling) = metadata.package(&needed.name) else { continue };
        if !sibling.published {
            problems.push(format!("{name} needs {}, which is not published", needed.name));
        } else if needed.requirement != format!("^{version}") {
            let requirement = &needed.requirement;
            problems.push(format!("{name} needs {} {requirement}, which is at {version}", needed.name));
        }
    }
    problems
}

fn order(mut left: Vec<&Package>) -> Result<Vec<String>, Failure> {
    left.sort_by(|a, b| a.name.cmp(&b.name));
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |package: &Package| {
            needs(package).any(|needed| {
                needed.name != package.name && left.iter().any(|other| other.name == needed.name)
            })
        };
        let Some(next) = left.iter().position(|package| !waits(package)) else {
            let names: Vec<_> = left.iter().map(|package| package.name.as_str()).collect();
            return Err(Failure::Failed(format!("these crates need each other: {}", names.join(", "))));
        };
        order.push(left.remove(next).name.clone());
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, needs: &[&str], tests_need: &[&str]) -> Package {
        let list = |names: &[&str]| {
            let dependency = |name: &&str| Dependency {
                name: (*name).to_owned(),
                requirement: "^1.0.0".to_owned(),
                ..Dependency::default()
            };
            names.iter().map(dependency).collect()
        };
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            published: true,
            dependencies: list(needs),
            dev_dependencies: list(tests_need),
            ..Package::default()
        }
    }

    fn plan(packages: Vec<Package>) -> Result<Plan, Failure> {
        Plan::new(&Metadata { packages, target_dir: "/t".into() })
    }

    #[test]
    fn a_crate_comes_after_what_it_and_its_tests_need() {
        let crates = vec![
            package("all", &["base", "client", "serde"], &[]),
            package("base", &[], &["base"]),
            package("client", &["base"], &["server"]),
            package("server", &[], &[]),
        ];
        let plan = plan(crates).expect("an order");
        assert_eq!(plan.crates, ["base", "server", "client", "all"]);
        assert!(plan.problems.is_empty(), "{:?}", plan.problems);
        assert_eq!(plan.choose(&["all", "client"]).expect("known"), ["client", "all"]);
        assert!(plan.choose(&["al"]).is_err());
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let mut base = package("base", &[], &[]);
        base.missing = vec!["readme"];
        base.version = "0.9.0".to_owned();
        let mut tool = package("tool", &[], &[]);
        tool.published = false;
        let mut client = package("client", &["base", "tool"], &[]);
        client.dependencies[0].requirement = "^0.9".to_owned();
        let plan = plan(vec![client, base, tool]).expect("an order");
        assert_eq!(
            plan.problems,
            [
                "client needs base ^0.9, which is at 1.0.0",
                "client needs tool, which is not published",
                "base has no `readme` in its manifest",
                "base has version 0.9.0, others have 1.0.0",
            ]
        );
    }

    #[test]
    fn circles_have_no_order() {
        let circle = plan(vec![package("a", &["b"], &[]), package("b", &[], &["a"])]);
        let Err(Failure::Failed(message)) = circle else { panic!("{circle:?}") };
        assert!(message.contains("a, b"), "{message}");
    }
}
