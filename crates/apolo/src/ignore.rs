//! Ignore files.

use crate::pattern::Pattern;

/// The rules of one ignore file, such as `.apoloignore`: which names are left out of an upload.
///
/// The form is that of git with differences: `a/**` covers `a/` itself too, and there are no classes such as `[[:alpha:]]`.
/// Names are relative to the folder of the file, and those of folders end in `/`. What is below a folder that is left out
/// is left out, whatever the rules say: a walk does not enter it.
///
/// ```
/// # use longshore_apolo::IgnoreFile;
/// let rules = IgnoreFile::parse("*.log\n!keep.log\nbuild/\n");
/// assert_eq!(rules.ignores("a/x.log"), Some(true));
/// assert_eq!(rules.ignores("keep.log"), Some(false));
/// assert_eq!(rules.ignores("build/"), Some(true));
/// assert_eq!(rules.ignores("src/main.rs"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoreFile {
    /// In the order of the file.
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    ignore: bool,
    pattern: Pattern,
}

/// A line without the spaces at its end that nothing escapes.
fn trimmed(line: &str) -> &str {
    let kept = line.trim_end_matches(' ');
    let escapes = kept.len() - kept.trim_end_matches('\\').len();
    if escapes % 2 == 1 && kept.len() < line.len() { &line[..=kept.len()] } else { kept }
}

impl IgnoreFile {
    /// Reads the text of an ignore file. Every text is one.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { rules: lines.map(rule).collect() }
    }

    /// Whether the rules leave out this name; `None` if none of them is about it. The last that is decides.
    pub fn ignores(&self, name: &str) -> Option<bool> {
        self.rules.iter().rev().find(|rule| rule.pattern.matches(name)).map(|rule| rule.ignore)
    }

    /// As [`ignores`](Self::ignores), for a name relative to the root of an upload, where the file lies in the folder
    /// `folder` below it: empty, or with a slash at its end.
    pub fn ignores_below(&self, folder: &str, name: &str) -> Option<bool> {
        self.ignores(name.strip_prefix(folder)?)
    }
}

fn rule(line: &str) -> Rule {
    let line = trimmed(line);
    let (ignore, pattern) = match line.strip_prefix('!') {
        Some(rest) => (false, rest),
        None => (true, line),
    };
    let anchored = pattern.trim_end_matches('/').contains('/');
    let pattern = if anchored {
        pattern.strip_prefix('/').unwrap_or(pattern).to_owned()
    } else {
        format!("**/{pattern}")
    };
    Rule { ignore, pattern: Pattern::new(&pattern) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::tests::vectors;

    #[test]
    fn decisions_are_those_of_the_platforms_client() {
        for case in vectors("ignore") {
            let text = case["ignore_file"].as_str().unwrap();
            let rules = IgnoreFile::parse(text);
            for (name, keep) in case["keep"].as_object().unwrap() {
                let kept = !rules.ignores(name).unwrap_or(false);
                assert_eq!(kept, keep.as_bool().unwrap(), "{text:?} on {name}");
            }
        }
    }

    #[test]
    fn files_in_folders_below_and_above() {
        for case in vectors("nested") {
            let get = |name: &str| case[name].as_str().unwrap();
            let rules = IgnoreFile::parse(get("ignore_file"));
            for (name, keep) in case["keep"].as_object().unwrap() {
                let whole = format!("{}{name}", get("prefix2"));
                let kept = !rules.ignores_below(get("prefix"), &whole).unwrap_or(false);
                assert_eq!(kept, keep.as_bool().unwrap(), "{case} on {name}");
            }
        }
    }
}
