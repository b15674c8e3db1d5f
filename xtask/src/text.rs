//! What no file of the project may contain, and how long a file should be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Above this a source file is reported, though not refused.
pub(crate) const MAX_LINES: usize = 700;

/// Files that people write. Recorded exchanges and lock files are not among them.
const EXTENSIONS: [&str; 10] = ["rs", "md", "toml", "sh", "yml", "yaml", "py", "js", "mjs", "ts"];
const SKIPPED_DIRS: [&str; 4] = [".git", ".peers", ".venv", "node_modules"];

/// Marks of unfinished work, spelled so that this file does not contain them.
const UNFINISHED: [&str; 3] = [concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimple", "mented!")];
/// Where people and build machines keep their files.
const USUAL_PLACES: [&str; 3] = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

/// One thing that must not be where it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// Every text file below `root` with its content, sorted by path. Build directories, which carry cargo's
/// `CACHEDIR.TAG`, are left out wherever they are.
pub(crate) fn files(root: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let kind = fs::symlink_metadata(&path)?;
            let name = path.file_name().unwrap_or_default();
            if kind.is_dir() {
                if !SKIPPED_DIRS.iter().any(|skipped| name == *skipped) && !path.join("CACHEDIR.TAG").exists()
                {
                    open.push(path);
                }
            } else if kind.is_file() && is_text(&path) {
                let content = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
                found.push((path, content));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_text(path: &Path) -> bool {
    let known = path.extension().is_some_and(|ext| EXTENSIONS.iter().any(|known| ext == *known));
    known || path.parent().and_then(Path::file_name).is_some_and(|dir| dir == ".ci")
}

/// The folders whose names must not appear: the usual ones, the workspace itself and the user's own.
pub(crate) fn places(root: &Path) -> Vec<String> {
    let home = std::env::home_dir().filter(|home| home.components().count() > 1);
    let here = home.iter().map(PathBuf::as_path).chain([root]).map(|path| format!("{}/", path.display()));
    USUAL_PLACES.iter().map(|place| (*place).to_owned()).chain(here).collect()
}

/// What is wrong with the text of one file.
pub(crate) fn findings(content: &str, places: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(content.lines()) {
        let mut add = |what: String| findings.push(Finding { line: number, what });
        if is_ignored_fence(line) {
            add("an example that is never compiled: use `no_run`, `text` or make it run".to_owned());
        }
        for mark in UNFINISHED {
            if contains_word(line, mark) {
                add(format!("`{mark}` marks unfinished work"));
            }
        }
        if let Some(place) = places.iter().find(|place| contains_path(line, place)) {
            add(format!("a path of one machine (`{place}...`)"));
        }
    }
    findings
}

/// The number of lines of a source file that is too long to read in one sitting.
pub(crate) fn too_long((path, content): &(PathBuf, String)) -> Option<(&Path, usize)> {
    let lines = content.lines().count();
    (lines > MAX_LINES && path.extension().is_some_and(|ext| ext == "rs")).then_some((path, lines))
}

/// Whether the line opens a code block of documentation with the attribute `ignore`.
fn is_ignored_fence(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).unwrap_or(line).trim_start();
    let Some(info) = line.strip_prefix("```") else { return false };
    info.split([',', ' ']).any(|word| word == "ignore" || word.starts_with("ignore-"))
}

fn contains_word(line: &str, word: &str) -> bool {
    let starts_word = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| starts_word(at))
}

/// Whether `line` names something below `place` as an absolute path, not as the middle of a URL or key.
fn contains_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let absolute = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-./}>)]*~$".contains(c));
        let names_something = line[at + place.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '.');
        absolute && names_something
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str) -> Vec<usize> {
        let places = ["/ho\u{6d}e/".to_owned(), "/opt/checkout/".to_owned()];
        findings(content, &places).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn examples_that_never_compile_are_found() {
        let fence = "```";
        for bad in ["ignore", "rust,ignore", "ignore,edition2024", "ignore-windows"] {
            assert_eq!(check(&format!("a\n{fence}{bad}")), [2], "{bad}");
            assert_eq!(check(&format!("    /// {fence}{bad}")), [1], "{bad}");
            assert_eq!(check(&format!("//! {fence}{bad}")), [1], "{bad}");
        }
        for good in ["", "rust", "no_run", "text", "sh", "ignored"] {
            assert_eq!(check(&format!("/// {fence}{good}")), [0; 0], "{good}");
        }
    }

    #[test]
    fn unfinished_work_is_found() {
        for mark in UNFINISHED {
            assert_eq!(check(&format!("fn f() {{\n  {mark}(\"later\") // {mark}\n}}")), [2], "{mark}");
        }
        assert_eq!(check("let not_a_todo_list = photo_do();"), [0; 0]);
    }

    #[test]
    fn machine_paths_are_found_and_keys_are_not() {
        let place = "/ho\u{6d}e/";
        for bad in [format!("\"{place}ann/x\""), format!("({place}ann)"), "/opt/checkout/src".to_owned()] {
            assert_eq!(check(&bad), [1], "{bad}");
        }
        for good in [format!("ais://b{place}ann"), format!("`{place}`"), "/opt/check".to_owned()] {
            assert_eq!(check(&good), [0; 0], "{good}");
        }
    }

    #[test]
    fn long_sources_are_reported_and_other_files_are_not() {
        let content = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(too_long(&("a.rs".into(), content.clone())), Some((Path::new("a.rs"), MAX_LINES + 1)));
        assert_eq!(too_long(&("a.md".into(), content)), None);
        assert_eq!(too_long(&("a.rs".into(), "x\n".repeat(MAX_LINES))), None);
    }

    #[test]
    fn the_walk_finds_sources_and_skips_what_was_built() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let names: Vec<_> = files(root).expect("readable").into_iter().map(|(path, _)| path).collect();
        assert!(names.contains(&root.join("src/text.rs")) && names.contains(&root.join("Cargo.toml")));
        assert!(is_text(Path::new(".ci/run")) && !is_text(Path::new("Cargo.lock")));
    }
}
