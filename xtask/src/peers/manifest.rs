//! `tests/peers/NAME/peer.toml`: what a peer is, what it needs, and how its server is started.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use crate::cmd::Failure;

const FILE: &str = "peer.toml";
/// A tour that hangs is ended after this long, unless its manifest knows better.
const DEFAULT_MINUTES: u64 = 10;

/// An official client and its tour.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Name of its folder.
    pub(crate) name: String,
    /// One line for people.
    pub(crate) about: String,
    pub(crate) language: Language,
    /// The script that runs the cases.
    pub(crate) tour: PathBuf,
    /// The folder with the list of packages to be installed.
    pub(crate) packages: PathBuf,
    /// Arguments of `longshore dev` besides `--json` and the data folder.
    pub(crate) server: Vec<String>,
    /// How long the tour may take.
    pub(crate) limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Node,
}

/// Every peer of the project, sorted by name. A folder without a manifest is none.
pub(crate) fn discover(root: &Path) -> Result<Vec<Peer>, Failure> {
    let folder = root.join("tests").join("peers");
    let reading = |error| Failure::Failed(format!("reading {}: {error}", folder.display()));
    let mut peers = Vec::new();
    for entry in fs::read_dir(&folder).map_err(reading)? {
        let dir = entry.map_err(reading)?.path();
        let file = dir.join(FILE);
        if !file.is_file() {
            continue;
        }
        let text = fs::read_to_string(&file);
        let text = text.map_err(|error| Failure::Failed(format!("reading {}: {error}", file.display())))?;
        let peer = Peer::parse(&dir, &text)
            .map_err(|mistake| Failure::Failed(format!("{}: {mistake}", file.display())))?;
        peers.push(peer);
    }
    peers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(peers)
}

impl Peer {
    fn parse(dir: &Path, text: &str) -> Result<Self, String> {
        let mut table: Table = text.parse().map_err(|error| format!("{error}"))?;
        let name = dir.file_name().and_then(|name| name.to_str()).ok_or("the folder's name is no text")?;
        let about = string(&mut table, "about")?.ok_or("`about` is missing")?;
        let language = match string(&mut table, "language")?.as_deref() {
            Some("python") => Language::Python,
            Some("node") => Language::Node,
            _ => return Err("`language` must be \"python\" or \"node\"".to_owned()),
        };
        let default_tour = match language {
            Language::Python => "tour.py",
            Language::Node => "tour.mjs",
        };
        let tour = string(&mut table, "tour")?.unwrap_or_else(|| default_tour.to_owned());
        let peers = dir.parent().ok_or("the folder has no parent")?;
        let packages = match (language, string(&mut table, "packages")?) {
            // All that runs on Node shares one list.
            (Language::Node, None) => peers.join("node"),
            (Language::Node, Some(_)) => return Err("`packages` is for Python only".to_owned()),
            (Language::Python, other) => other.map_or_else(|| dir.to_owned(), |other| peers.join(other)),
        };
        let server = match table.remove("server") {
            None => Vec::new(),
            Some(value) => words(value).ok_or("`server` must be a list of texts")?,
        };
        let minutes = match table.remove("minutes") {
            None => DEFAULT_MINUTES,
            Some(Value::Integer(minutes)) => {
                u64::try_from(minutes).ok().filter(|m| *m > 0).ok_or("`minutes` must be positive")?
            }
            Some(_) => return Err("`minutes` must be a number".to_owned()),
        };
        if let Some(key) = table.keys().next() {
            return Err(format!("`{key}` is not known here"));
        }
        let limit = Duration::from_secs(minutes * 60);
        Ok(Self { name: name.to_owned(), about, language, tour: dir.join(tour), packages, server, limit })
    }
}

fn string(table: &mut Table, key: &str) -> Result<Option<String>, String> {
    match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` must be a text")),
    }
}

fn words(value: Value) -> Option<Vec<String>> {
    let Value::Array(values) = value else { return None };
    let text = |value| if let Value::String(text) = value { Some(text) } else { None };
    values.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Peer, String> {
        Peer::parse(Path::new("tests/peers/demo"), text)
    }

    #[test]
    fn a_short_manifest_has_sensible_defaults() {
        let peer = parse("about = \"A client\"\nlanguage = \"python\"").expect("valid");
        assert_eq!(peer.name, "demo");
        assert_eq!(peer.tour, Path::new("tests/peers/demo/tour.py"));
        assert_eq!(peer.packages, Path::new("tests/peers/demo"));
        assert_eq!((peer.server.len(), peer.limit), (0, Duration::from_secs(600)));
        let peer = parse("about = \"A client\"\nlanguage = \"node\"").expect("valid");
        assert_eq!(peer.tour, Path::new("tests/peers/demo/tour.mjs"));
        assert_eq!(peer.packages, Path::new("tests/peers/node"));
    }

    #[test]
    fn everything_can_be_said() {
        let text = "about = 'x'\nlanguage = 'python'\ntour = '../shared/tour.py'\npackages = 'other'\n\
                    server = ['--guarded']\nminutes = 2";
        let peer = parse(text).expect("valid");
        assert_eq!(peer.tour, Path::new("tests/peers/demo/../shared/tour.py"));
        assert_eq!(peer.packages, Path::new("tests/peers/other"));
        assert_eq!((peer.server, peer.limit), (vec!["--guarded".to_owned()], Duration::from_secs(120)));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("language = 'python'", "`about`"),
            ("about = 'x'", "`language`"),
            ("about = 'x'\nlanguage = 'go'", "`language`"),
            ("about = 'x'\nlanguage = 'python'\nsrever = []", "`srever`"),
            ("about = 'x'\nlanguage = 'python'\nserver = '--guarded'", "`server`"),
            ("about = 'x'\nlanguage = 'python'\nminutes = 0", "`minutes`"),
            ("about = 'x'\nlanguage = 'node'\npackages = 'other'", "`packages`"),
        ] {
            let mistake = parse(text).expect_err(text);
            assert!(mistake.contains(expected), "{text}: {mistake}");
        }
    }
}
