//! What cargo knows about this workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cmd::{self, Failure};

/// Where the workspace lies.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
}

/// What `cargo metadata` says about the members.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_dir: PathBuf,
}

/// One member of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Whether it may go to a registry.
    pub(crate) published: bool,
    /// What users of a registry expect in its manifest and is not there.
    pub(crate) missing: Vec<&'static str>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
    /// Dependencies of its tests.
    pub(crate) dev_dependencies: Vec<Dependency>,
    /// Names of its integration test targets.
    pub(crate) tests: Vec<String>,
}

/// One dependency.
#[derive(Debug, Default)]
pub(crate) struct Dependency {
    /// The name of the crate depended on.
    pub(crate) name: String,
    /// The name by which features refer to it.
    pub(crate) alias: String,
    pub(crate) optional: bool,
    /// The versions that will do.
    pub(crate) requirement: String,
}

impl Workspace {
    /// Finds the workspace of the running `cargo xtask`.
    pub(crate) fn locate() -> Result<Self, Failure> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        match manifest_dir.as_deref().and_then(Path::parent) {
            Some(root) => Ok(Self { root: root.to_owned() }),
            None => Err(Failure::Failed("start this program as `cargo xtask`".to_owned())),
        }
    }

    /// Asks cargo for the members, without resolving their dependencies.
    pub(crate) fn metadata(&self) -> Result<Metadata, Failure> {
        let mut command = cmd::cargo(&self.root, ["metadata", "--no-deps", "--format-version", "1"]);
        Metadata::parse(&cmd::capture(&mut command)?)
            .ok_or_else(|| Failure::Failed("`cargo metadata` answered in an unknown form".to_owned()))
    }
}

impl Metadata {
    fn parse(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let packages = value["packages"].as_array()?.iter().map(Package::parse).collect::<Option<_>>()?;
        Some(Self { packages, target_dir: value["target_directory"].as_str()?.into() })
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    fn parse(value: &Value) -> Option<Self> {
        let features = value["features"].as_object()?.iter();
        let features = features.map(|(name, list)| Some((name.clone(), strings(list)?)));
        let (for_tests, dependencies): (Vec<_>, Vec<_>) =
            value["dependencies"].as_array()?.iter().partition(|d| d["kind"] == "dev");
        let missing =
            ["description", "license", "readme"].into_iter().filter(|&field| value[field].is_null());
        let tests = value["targets"].as_array()?.iter().filter(|t| has_kind(t, "test"));
        Some(Self {
            name: value["name"].as_str()?.to_owned(),
            version: value["version"].as_str()?.to_owned(),
            // `null` is any registry, an empty list is none.
            published: value["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            missing: missing.collect(),
            features: features.collect::<Option<_>>()?,
            dependencies: dependencies.into_iter().map(Dependency::parse).collect::<Option<_>>()?,
            dev_dependencies: for_tests.into_iter().map(Dependency::parse).collect::<Option<_>>()?,
            tests: tests.map(|t| t["name"].as_str().map(str::to_owned)).collect::<Option<_>>()?,
        })
    }
}

impl Dependency {
    fn parse(value: &Value) -> Option<Self> {
        let name = value["name"].as_str()?.to_owned();
        let alias = value["rename"].as_str().map_or_else(|| name.clone(), str::to_owned);
        let requirement = value["req"].as_str()?.to_owned();
        Some(Self { name, alias, optional: value["optional"].as_bool()?, requirement })
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
}

fn has_kind(target: &Value, kind: &str) -> bool {
    target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == kind))
}

/// A program that cargo has built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Built {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Runs `cargo build` with `args` and returns the programs and examples it made, sorted by name.
pub(crate) fn build(root: &Path, args: &[&str]) -> Result<Vec<Built>, Failure> {
    let mut command: Command = cmd::cargo(root, ["build"].iter().chain(args));
    println!("$ {}", cmd::shown(&command));
    command.arg("--message-format=json-render-diagnostics");
    let mut built: Vec<Built> = cmd::capture(&mut command)?.lines().filter_map(executable).collect();
    built.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(built)
}

fn executable(message: &str) -> Option<Built> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    let program = has_kind(target, "bin") || has_kind(target, "example");
    let path = message["executable"].as_str().filter(|_| program)?;
    Some(Built { name: target["name"].as_str()?.to_owned(), path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_understood() {
        let metadata = Workspace::locate().and_then(|w| w.metadata()).expect("metadata");
        let own = metadata.package("xtask").expect("this package");
        assert!(own.dependencies.iter().any(|d| d.name == "serde_json" && !d.optional));
    }

    #[test]
    fn metadata_tells_what_users_build_from_what_tests_use() {
        let json = r#"{"target_directory": "/t", "packages": [{
            "name": "a", "version": "1.2.3", "publish": null, "description": "d", "license": null, "readme": "r",
            "features": {"x": ["dep:renamed"]},
            "dependencies": [
                {"name": "b", "rename": "renamed", "kind": null, "optional": true, "req": "^1"},
                {"name": "c", "rename": null, "kind": "build", "optional": false, "req": "*"},
                {"name": "d", "rename": null, "kind": "dev", "optional": false, "req": "*"}],
            "targets": [{"name": "a", "kind": ["lib"]}, {"name": "wire_client", "kind": ["test"]}]}]}"#;
        let metadata = Metadata::parse(json).expect("well formed");
        let package = metadata.package("a").expect("a");
        let names: Vec<_> = package.dependencies.iter().map(|d| (&*d.name, &*d.alias, d.optional)).collect();
        assert_eq!(names, [("b", "renamed", true), ("c", "c", false)]);
        assert_eq!(package.dev_dependencies.iter().map(|d| &*d.name).collect::<Vec<_>>(), ["d"]);
        assert_eq!(package.dependencies[0].requirement, "^1");
        assert_eq!(
            (&*package.version, package.published, &*package.missing),
            ("1.2.3", true, &["license"][..])
        );
        assert_eq!(package.tests, ["wire_client"]);
        assert_eq!(package.features["x"], ["dep:renamed"]);
        assert!(Metadata::parse("{}").is_none());
    }

    #[test]
    fn built_programs_are_found_among_cargo_messages() {
        let bin = r#"{"reason":"compiler-artifact","executable":"/t/longshore","target":{"name":"longshore","kind":["bin"]}}"#;
        let lib = r#"{"reason":"compiler-artifact","executable":null,"target":{"name":"a","kind":["lib"]}}"#;
        assert_eq!(executable(bin), Some(Built { name: "longshore".into(), path: "/t/longshore".into() }));
        assert_eq!(executable(lib), None);
        assert_eq!(executable("warning: not json"), None);
    }
}
