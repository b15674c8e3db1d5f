//! Which items of a tree are meant.

use std::{collections::HashSet, fmt, path::Path, sync::Arc, time::SystemTime};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use longshore_core_types::{Error, ErrorKind, Result};

/// Which items of a tree are meant: by name, size and time. Cloning is cheap.
///
/// Patterns follow the rules of gitignore and are matched against names below the tree. The last one that matches
/// decides; if none does, the directories above the item are asked, from the lowest. If there are only patterns to
/// include, everything else is left out.
#[derive(Clone, Default)]
pub struct Filter {
    rules: Option<Arc<Gitignore>>,
    /// What no pattern matches is left out.
    only_included: bool,
    newer_than: Option<SystemTime>,
    larger_than: Option<u64>,
    names: Option<Arc<HashSet<String>>>,
}

/// Makes a [`Filter`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is filtered until `build` is called"]
pub struct FilterBuilder {
    /// In their order; `true` includes.
    patterns: Vec<(bool, String)>,
    newer_than: Option<SystemTime>,
    larger_than: Option<u64>,
    names: Option<HashSet<String>>,
}

impl Filter {
    /// A filter that leaves nothing out yet.
    pub fn builder() -> FilterBuilder {
        FilterBuilder::default()
    }

    /// Whether an item is meant. What has no time is newer than nothing.
    pub fn keeps(&self, name: &str, size: u64, modified: Option<SystemTime>) -> bool {
        let by_size = self.larger_than.is_none_or(|limit| size > limit);
        let by_time = self.newer_than.is_none_or(|limit| modified.is_some_and(|time| time > limit));
        by_size && by_time && self.keeps_name(name)
    }

    fn keeps_name(&self, name: &str) -> bool {
        if self.names.as_ref().is_some_and(|names| !names.contains(name)) {
            return false;
        }
        let Some(rules) = &self.rules else { return true };
        // Slashes at the ends would make it something else than a relative path.
        let path = Path::new(name.trim_matches('/'));
        let matched = rules.matched_path_or_any_parents(path, name.ends_with('/'));
        if self.only_included { matched.is_ignore() } else { !matched.is_ignore() }
    }
}

impl FilterBuilder {
    /// Means what matches, also if an earlier pattern excludes it.
    pub fn include(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push((true, pattern.into()));
        self
    }

    /// Leaves out what matches, and everything below it.
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push((false, pattern.into()));
        self
    }

    /// Only what changed after this time.
    pub fn newer_than(mut self, time: SystemTime) -> Self {
        self.newer_than = Some(time);
        self
    }

    /// Only what has more bytes than this.
    pub fn larger_than(mut self, bytes: u64) -> Self {
        self.larger_than = Some(bytes);
        self
    }

    /// Only these names.
    pub fn names(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names = Some(names.into_iter().collect());
        self
    }

    /// Reads the patterns.
    ///
    /// [`ErrorKind::InvalidInput`] names one that cannot be read.
    pub fn build(self) -> Result<Filter> {
        let only_included = !self.patterns.is_empty() && self.patterns.iter().all(|(include, _)| *include);
        let mut rules = GitignoreBuilder::new("");
        for (include, pattern) in &self.patterns {
            let line = match (include, only_included) {
                // Without anything to exclude, what matches is found by the same rules as what is ignored.
                (true, true) | (false, _) => pattern.clone(),
                (true, false) => format!("!{pattern}"),
            };
            let added = rules.add_line(None, &line).map(|_| ());
            added.map_err(|error| wrong(pattern, &error))?;
        }
        let rules = match self.patterns.first() {
            None => None,
            Some((_, first)) => Some(Arc::new(rules.build().map_err(|error| wrong(first, &error))?)),
        };
        Ok(Filter {
            rules,
            only_included,
            newer_than: self.newer_than,
            larger_than: self.larger_than,
            names: self.names.map(Arc::new),
        })
    }
}

fn wrong(pattern: &str, error: &ignore::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the pattern {pattern:?} cannot be read: {error}"))
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("patterns", &self.rules.as_ref().map_or(0, |rules| rules.len()))
            .field("newer_than", &self.newer_than)
            .field("larger_than", &self.larger_than)
            .field("names", &self.names.as_ref().map(|names| names.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn kept(patterns: &[&str]) -> Vec<&'static str> {
        let mut builder = Filter::builder();
        for pattern in patterns {
            builder = match pattern.strip_prefix('+') {
                Some(pattern) => builder.include(pattern),
                None => builder.exclude(*pattern),
            };
        }
        let filter = builder.build().unwrap();
        let names = ["a.txt", "a.log", "d/a.txt", "d/b.log", "d/e/c.log", "tmp/x.txt", "tmp/"];
        names.into_iter().filter(|name| filter.keeps(name, 0, None)).collect()
    }

    #[test]
    fn patterns_follow_gitignore() {
        assert_eq!(kept(&["*.log"]), ["a.txt", "d/a.txt", "tmp/x.txt", "tmp/"]);
        assert_eq!(kept(&["/*.log", "tmp/"]), ["a.txt", "d/a.txt", "d/b.log", "d/e/c.log"]);
        assert_eq!(kept(&["*.log", "+d/e/*.log"]), ["a.txt", "d/a.txt", "d/e/c.log", "tmp/x.txt", "tmp/"]);
        assert_eq!(kept(&["d/**"]), ["a.txt", "a.log", "tmp/x.txt", "tmp/"]);
        assert_eq!(kept(&["+*.txt"]), ["a.txt", "d/a.txt", "tmp/x.txt"]);
        assert_eq!(kept(&["+d/", "+a.log"]), ["a.log", "d/a.txt", "d/b.log", "d/e/c.log"]);
        assert_eq!(kept(&["*", "+*.txt"]), ["a.txt", "d/a.txt", "tmp/x.txt"]);
        assert_eq!(kept(&[]).len(), 7);
    }

    #[test]
    fn sizes_times_and_names() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let filter = Filter::builder().larger_than(10).newer_than(at(5)).build().unwrap();
        assert!(filter.keeps("x", 11, Some(at(6))));
        assert!(!filter.keeps("x", 10, Some(at(6))) && !filter.keeps("x", 11, Some(at(5))));
        assert!(!filter.keeps("x", 11, None));
        let filter = Filter::builder().names(["a/b".to_owned()]).build().unwrap();
        assert!(filter.keeps("a/b", 0, None) && !filter.keeps("a", 0, None));
        let error = Filter::builder().exclude("a{b").build().unwrap_err();
        assert!(error.message().contains("a{b"), "{error}");
    }
}
