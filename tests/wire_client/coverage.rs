//! The class of every exchange, from `tests/wire/coverage.toml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use libtest_mimic::Trial;
use serde::Deserialize;

use crate::{
    authn,
    recorded::{self, Group, directory},
    replay,
};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coverage {
    /// By file: which of its calls the client makes, refuses to make, or has no call for.
    aistore: BTreeMap<String, File>,
    supabase: BTreeMap<String, File>,
    apolo: BTreeMap<String, File>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    built: Vec<String>,
    /// By the test that shows the refusal.
    #[serde(default)]
    refused: BTreeMap<String, Vec<String>>,
    /// By the reason why the client has no such call.
    #[serde(default)]
    server_only: BTreeMap<String, Vec<String>>,
}

pub(crate) fn load() -> Coverage {
    let path = directory().join("coverage.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

impl Coverage {
    pub(crate) fn files(&self) -> Vec<String> {
        self.aistore.keys().filter(|file| !authn::is_ours(file)).cloned().collect()
    }

    pub(crate) fn authn_files(&self) -> Vec<String> {
        self.aistore.keys().filter(|file| authn::is_ours(file)).cloned().collect()
    }

    pub(crate) fn supabase_files(&self) -> Vec<String> {
        self.supabase.keys().cloned().collect()
    }

    pub(crate) fn apolo_files(&self) -> Vec<String> {
        self.apolo.keys().cloned().collect()
    }

    pub(crate) fn apolo_class(&self, file: &str, name: &str) -> Option<String> {
        self.apolo.get(file)?.class(name)
    }

    pub(crate) fn check_apolo(&self, file: &str, names: Vec<String>) -> Trial {
        let classes = self.apolo.get(file).cloned().unwrap_or_default();
        let known = names.into_iter().collect();
        Trial::test(format!("apolo/{file}: classes"), move || classes.check(&known).map_err(Into::into))
    }

    pub(crate) fn class(&self, file: &str, name: &str) -> Option<String> {
        self.aistore.get(file)?.class(name)
    }

    pub(crate) fn supabase_class(&self, file: &str, name: &str) -> Option<String> {
        self.supabase.get(file)?.class(name)
    }

    /// The trial that every name of a file's classes is an exchange, once, and every guard a test.
    pub(crate) fn check(&self, file: &str, groups: &[Group]) -> Trial {
        self.check_names(file, groups.iter().flat_map(Group::names).cloned().collect())
    }

    pub(crate) fn check_names(&self, file: &str, names: Vec<String>) -> Trial {
        let classes = self.aistore.get(file).cloned().unwrap_or_default();
        let known = names.into_iter().collect();
        Trial::test(format!("{file}: classes"), move || classes.check(&known).map_err(Into::into))
    }

    pub(crate) fn check_supabase(&self, file: &str, names: Vec<String>) -> Trial {
        let classes = self.supabase.get(file).cloned().unwrap_or_default();
        let known = names.into_iter().collect();
        Trial::test(format!("supabase/{file}: classes"), move || classes.check(&known).map_err(Into::into))
    }
}

impl File {
    fn class(&self, name: &str) -> Option<String> {
        let holds = |names: &Vec<String>| names.iter().any(|n| n == name);
        let class = if holds(&self.built) {
            "built"
        } else if self.refused.values().any(holds) {
            "refused"
        } else if self.server_only.values().any(holds) {
            "server-only"
        } else {
            return None;
        };
        Some(class.to_owned())
    }

    fn check(&self, known: &BTreeSet<String>) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let lists = self.refused.values().chain(self.server_only.values());
        for name in self.built.iter().chain(lists.flatten()) {
            if !known.contains(name) {
                return Err(format!("{name} is classed, but the file has no such exchange"));
            }
            if !seen.insert(name) {
                return Err(format!("{name} is classed twice"));
            }
        }
        match self.refused.keys().find(|guard| !is_test(guard)) {
            Some(guard) => Err(format!("{guard} is no test")),
            None => Ok(()),
        }
    }
}

/// Whether `module::tests::name` of the client is a test, by its source.
fn is_test(path: &str) -> bool {
    let Some((module, name)) = path.split_once("::tests::") else { return false };
    let source = directory().join("../../crates");
    let Some((of, module)) = module.split_once("::") else { return false };
    let base = source.join(of).join("src").join(module.replace("::", "/"));
    let files = [base.with_extension("rs"), base.join("mod.rs")];
    let holds =
        |file: &Path| std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")));
    files.iter().any(|file| holds(file))
}

/// Prints what every call is, for the writer of `coverage.toml`.
pub(crate) fn print_actual(coverage: &Coverage) {
    for file in coverage.files() {
        for group in recorded::load(&file) {
            let actual = match replay::replay(&group) {
                Ok(actual) => actual.name().to_owned(),
                Err(error) => format!("FAILED {error}"),
            };
            for name in group.names() {
                println!("{file}\t{name}\t{actual}");
            }
        }
    }
    authn::print_actual(coverage);
    crate::supabase::print_actual(coverage);
    crate::apolo::print_actual(coverage);
}
