//! `cargo xtask lint`: formatting, forbidden text, clippy, documentation.

use crate::cmd::{self, Failure, Outcome};
use crate::text;
use crate::workspace::Workspace;

/// Runs the quick checks, all of them, then the slow ones if those pass.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    crate::no_arguments("lint", args)?;
    let root = &workspace.root;
    let format = cmd::run(&mut cmd::cargo(root, ["fmt", "--all", "--check"]));
    let text = check_text(workspace);
    format?;
    text?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    cmd::run(&mut cmd::cargo(root, clippy))?;
    document(workspace)
}

/// Builds the documentation of every crate; a broken link in it is an error.
pub(crate) fn document(workspace: &Workspace) -> Outcome {
    let doc = ["doc", "--workspace", "--no-deps", "--all-features"];
    let flags = deny_warnings(std::env::var("RUSTDOCFLAGS").ok());
    cmd::run(cmd::cargo(&workspace.root, doc).env("RUSTDOCFLAGS", flags))
}

fn check_text(workspace: &Workspace) -> Outcome {
    let files = text::files(&workspace.root)
        .map_err(|error| Failure::Failed(format!("reading the files of the workspace: {error}")))?;
    let mut errors = 0;
    for (path, content) in &files {
        let path = path.strip_prefix(&workspace.root).unwrap_or(path).display();
        for finding in text::findings(content, &text::places(&workspace.root)) {
            println!("{path}:{}: {}", finding.line, finding.what);
            errors += 1;
        }
    }
    for (path, lines) in files.iter().filter_map(text::too_long) {
        let path = path.strip_prefix(&workspace.root).unwrap_or(path).display();
        println!("warning: {path} has {lines} lines, more than {}: can it be split?", text::MAX_LINES);
    }
    println!("text: {} files, {errors} errors", files.len());
    if errors == 0 { Ok(()) } else { Err(Failure::Failed(format!("{errors} errors in text, see above"))) }
}

/// `RUSTDOCFLAGS` with warnings denied, on top of what the user has set.
fn deny_warnings(before: Option<String>) -> String {
    match before.filter(|flags| !flags.trim().is_empty()) {
        Some(flags) => format!("{flags} -D warnings"),
        None => "-D warnings".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_denied_on_top_of_own_flags() {
        assert_eq!(deny_warnings(None), "-D warnings");
        assert_eq!(deny_warnings(Some(" ".into())), "-D warnings");
        assert_eq!(deny_warnings(Some("--cfg docsrs".into())), "--cfg docsrs -D warnings");
    }
}
