//! `cargo xtask release`: from the state of the tree to crates in a registry, one step at a time.

mod bump;
mod changelog;
mod plan;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cmd::{self, Failure, Outcome};
use crate::workspace::Workspace;
use changelog::Changelog;
use plan::Plan;

const USAGE: &str =
    "`release` takes `plan`, `bump major|minor|patch|X.Y.Z`, `verify`, or `publish [--execute] [CRATE]...`";

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["plan"] => plan(workspace).map(drop),
        ["bump", to] => bump(workspace, to),
        ["verify"] => verify(workspace),
        ["publish", "--execute", names @ ..] => publish(workspace, names, true),
        ["publish", names @ ..] => publish(workspace, names, false),
        _ => Err(Failure::Usage(USAGE.to_owned())),
    }
}

/// Shows what would be published, in order, and what is in the way.
fn plan(workspace: &Workspace) -> Result<Plan, Failure> {
    let plan = Plan::new(&workspace.metadata()?)?;
    println!("release {}, in this order:", plan.version);
    for name in &plan.crates {
        println!("  {name}");
    }
    for problem in &plan.problems {
        println!("release: {problem}");
    }
    if plan.problems.is_empty() {
        Ok(plan)
    } else {
        Err(Failure::Failed(format!("{} things are in the way of a release, see above", plan.problems.len())))
    }
}

/// Writes the next version into the manifests, the lock file and the changelog. Committing it is left to a person.
fn bump(workspace: &Workspace, to: &str) -> Outcome {
    let plan = plan(workspace)?;
    let next = bump::next(&plan.version, to).map_err(Failure::Usage)?;
    clean(workspace)?;
    let (manifest, changes) = (workspace.root.join("Cargo.toml"), workspace.root.join("CHANGELOG.md"));
    // Both are made before either is written.
    let text = bump::manifest(&read(&manifest)?, &plan.version, &next).map_err(Failure::Failed)?;
    let today = changelog::today()?;
    let log = Changelog::new(&read(&changes)?).release(&next, &today).map_err(Failure::Failed)?;
    write(&manifest, &text)?;
    write(&changes, &log)?;
    cmd::run(&mut cmd::cargo(&workspace.root, ["update", "--workspace", "--offline"]))?;
    println!(
        "release: {} is now {next}. Read `git diff`, commit, then `cargo xtask release verify`.",
        plan.version
    );
    Ok(())
}

/// Packs every crate and builds it from what was packed, as its users will.
fn verify(workspace: &Workspace) -> Outcome {
    let plan = plan(workspace)?;
    cmd::run(cmd::cargo(&workspace.root, ["package", "--locked"]).args(packages(&plan.crates)))
}

/// Hands the crates to the registry; without `execute` everything is done but that.
///
/// A registry takes them one after the other. If it fails in the middle, those that are still missing are named and the
/// others are left alone.
fn publish(workspace: &Workspace, names: &[&str], execute: bool) -> Outcome {
    let plan = plan(workspace)?;
    let crates = plan.choose(names).map_err(Failure::Usage)?;
    clean(workspace)?;
    if execute {
        let log = read(&workspace.root.join("CHANGELOG.md"))?;
        Changelog::new(&log).has(&plan.version).map_err(Failure::Failed)?;
        tagged(workspace, &plan.version)?;
    }
    let mut command = cmd::cargo(&workspace.root, ["publish", "--locked"]);
    command.args((!execute).then_some("--dry-run")).args(packages(&crates));
    cmd::run(&mut command)?;
    if !execute {
        println!("release: nothing was published; `--execute` does it");
    }
    Ok(())
}

fn packages(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().flat_map(|name| ["--package", name.as_str()])
}

/// Refuses a tree with changes that are in no commit.
fn clean(workspace: &Workspace) -> Outcome {
    let changes = git(workspace, &["status", "--porcelain"])?;
    if changes.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("there are changes that are not committed:\n{}", changes.trim_end())))
}

/// What is published must be found again: refuses unless the commit has the version's tag.
fn tagged(workspace: &Workspace, version: &str) -> Outcome {
    let tag = format!("v{version}");
    let tags = git(workspace, &["tag", "--points-at", "HEAD"])?;
    if tags.lines().any(|line| line == tag) {
        return Ok(());
    }
    Err(Failure::Failed(format!("this commit has no tag {tag}; `git tag {tag}` first")))
}

fn git(workspace: &Workspace, args: &[&str]) -> Result<String, Failure> {
    cmd::capture(Command::new("git").current_dir(&workspace.root).args(args))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Failed(format!("reading {}: {error}", path.display())))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| Failure::Failed(format!("writing {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_can_be_released() {
        let workspace = Workspace::locate().expect("the workspace");
        let plan = Plan::new(&workspace.metadata().expect("metadata")).expect("an order");
        assert_eq!(plan.problems, Vec::<String>::new());
        let manifest = read(&workspace.root.join("Cargo.toml")).expect("the manifest");
        let next = bump::next(&plan.version, "major").expect("a version");
        let bumped = bump::manifest(&manifest, &plan.version, &next).expect("it has versions");
        let places = plan.crates.iter().filter(|name| *name != "longshore-cli").count() + 1;
        assert_eq!(bumped.matches(&format!("version = \"{next}\"")).count(), places, "{bumped}");
        let log = read(&workspace.root.join("CHANGELOG.md")).expect("the changelog");
        // Right after a release there is nothing new to tell.
        let log = Changelog::new(&log);
        assert!(log.release(&next, "2000-01-01").is_ok() || log.has(&plan.version).is_ok());
    }

    #[test]
    fn nothing_runs_on_a_misspelt_step() {
        let workspace = Workspace::locate().expect("the workspace");
        for line in ["", "plan now", "bump", "bump patch minor", "verify all", "pubish"] {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            assert!(matches!(run(&workspace, &words), Err(Failure::Usage(_))), "{line}");
        }
    }
}
