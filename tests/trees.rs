//! What a crate gets that depends on one of the fine-grained crates alone, as their READMEs show it.
//!
//! Versions are left out, so that a patch release of a dependency changes nothing here. The tree is that of
//! Linux, which other systems may not have at hand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program")]

use std::{fs, path::Path, process::Command};

const TARGET: &str = "x86_64-unknown-linux-gnu";

mod trees {
    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "shows the dependencies on Linux")]
    fn longshore_transport() {
        super::check("transport", "longshore-transport");
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "shows the dependencies on Linux")]
    fn longshore_blob_api() {
        super::check("blob-api", "longshore-blob-api");
    }
}

/// The block of text in the README that starts with the package's own name is what `cargo tree` says.
fn check(directory: &str, package: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let actual = tree(root, package);
    let readme = root.join("crates").join(directory).join("README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let shown = block(&text, package)
        .unwrap_or_else(|| panic!("{} has no ```text block that starts with {package}", readme.display()));
    assert!(shown == actual, "{} is out of date; the dependencies are now\n\n{actual}", readme.display());
}

fn tree(root: &Path, package: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["tree", "--offline", "--locked", "--quiet", "--target", TARGET, "--package", package])
        .args(["--edges", "normal", "--charset", "utf8", "--prefix", "indent", "--format", "{p}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| without_version(line) + "\n").collect()
}

/// `├── http v1.5.0 (*)` becomes `├── http (*)`; where a package of the workspace lies is left out too.
fn without_version(line: &str) -> String {
    let name = line.split_once(" v").map_or(line, |(name, _)| name);
    if line.ends_with("(*)") { format!("{name} (*)") } else { name.to_owned() }
}

fn block<'a>(readme: &'a str, package: &str) -> Option<&'a str> {
    let opening = format!("```text\n{package}\n");
    let start = readme.find(&opening)? + "```text\n".len();
    let length = readme[start..].find("```")?;
    Some(&readme[start..start + length])
}
