//! `cargo xtask tree`: third-party crates that must stay out of what users build.

use crate::cmd::{self, Failure, Outcome};
use crate::workspace::Workspace;

/// One HTTP client and one TLS library are enough, and none that needs a C library of the system.
const OTHER_STACKS: &[&str] = &[
    "reqwest",
    "openssl",
    "openssl-sys",
    "native-tls",
    "hyper-tls",
    "tokio-native-tls",
    "aws-lc-rs",
    "aws-lc-sys",
];
const HTTP_CLIENT: &[&str] = &["hyper", "hyper-util", "hyper-rustls"];
const HTTP_CLIENT_AND_RUNTIME: &[&str] = &["hyper", "hyper-util", "hyper-rustls", "tokio"];

struct Rule {
    package: &'static str,
    /// Whether the rule holds for every feature, or only for the default ones.
    all_features: bool,
    banned: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule { package: "longshore", all_features: false, banned: OTHER_STACKS },
    Rule { package: "longshore-cli", all_features: false, banned: OTHER_STACKS },
    Rule { package: "longshore-core-types", all_features: true, banned: HTTP_CLIENT_AND_RUNTIME },
    Rule { package: "longshore-blob-api", all_features: true, banned: HTTP_CLIENT },
    Rule { package: "longshore-transfer", all_features: true, banned: HTTP_CLIENT },
];

impl Rule {
    fn arguments(&self) -> Vec<&'static str> {
        let mut args = vec!["tree", "--edges", "normal", "--package", self.package];
        args.extend(self.all_features.then_some("--all-features"));
        args
    }

    fn features(&self) -> &'static str {
        if self.all_features { "all features" } else { "default features" }
    }
}

/// Checks every rule and shows, for a crate that should not be there, who brings it in.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    crate::no_arguments("tree", args)?;
    let mut violations = 0;
    for rule in RULES {
        let mut command = cmd::cargo(&workspace.root, rule.arguments());
        let output = cmd::capture(command.args(["--prefix", "none", "--quiet"]))?;
        let names = names(&output);
        if !names.contains(&rule.package) {
            return Err(Failure::Failed(format!("`{}` did not list the crate itself", cmd::shown(&command))));
        }
        let found: Vec<_> = rule.banned.iter().filter(|banned| names.contains(banned)).collect();
        for banned in &found {
            println!("tree: `{}` ({}) must not contain `{banned}`:", rule.package, rule.features());
            let mut command = cmd::cargo(&workspace.root, rule.arguments());
            cmd::run(command.args(["--invert", banned]))?;
        }
        if found.is_empty() {
            println!("tree: {} ({}): {} crates, none banned", rule.package, rule.features(), names.len());
        }
        violations += found.len();
    }
    if violations == 0 { Ok(()) } else { Err(Failure::Failed(format!("{violations} banned crates"))) }
}

/// The names in the output of `cargo tree --prefix none`, where each line starts with `name vVERSION`.
fn names(output: &str) -> Vec<&str> {
    let mut names: Vec<_> = output.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_once_each() {
        let output = "longshore v0.1.0 (/somewhere)\nhyper v1.6.0\n\ntokio v1.0.0\nhyper v1.6.0 (*)\n";
        assert_eq!(names(output), ["hyper", "longshore", "tokio"]);
    }

    #[test]
    fn names_are_compared_whole() {
        let output = names("openssl-probe v0.1.6\nhyper-like v1.0.0\n");
        assert!(!OTHER_STACKS.iter().chain(HTTP_CLIENT).any(|banned| output.contains(banned)));
    }

    #[test]
    fn contract_crates_are_checked_with_every_feature() {
        for rule in RULES.iter().filter(|rule| rule.banned.contains(&"hyper")) {
            assert!(rule.arguments().contains(&"--all-features"), "{}", rule.package);
        }
    }
}
