//! Where a listing goes on.

use longshore_blob_api::PageToken;
use longshore_core_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Behind every name that starts with what stands before it.
const LAST: char = char::MAX;

/// Where a listing goes on, and in which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Names up to this one are done.
    #[serde(rename = "a")]
    pub(super) after: String,
    /// The cluster's id of the listing that may be continued there.
    #[serde(rename = "u", default, skip_serializing_if = "String::is_empty")]
    pub(super) uuid: String,
    /// Names that are gone through level by level.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(super) stretch: Option<Stretch>,
    /// The directory that is listed with everything below; where there is a stretch, one of its directories.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(super) dir: Option<String>,
}

impl Position {
    pub(super) fn parse(token: &PageToken) -> Result<Self> {
        serde_json::from_str(token.as_str()).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the page token was not made by this store")
                .with_source(error)
        })
    }

    pub(super) fn token(&self) -> Result<PageToken> {
        let text = serde_json::to_string(self);
        Ok(PageToken::new(text.map_err(|error| {
            Error::new(ErrorKind::Other, "a page token cannot be written").with_source(error)
        })?))
    }
}

/// Neighbours in the order of names that start alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretch {
    /// What all names start with.
    #[serde(rename = "n")]
    pub(super) stem: String,
    /// Whether anything may follow. Otherwise it is the directory of that name, and what sorts before it: `/` and
    /// the characters below.
    #[serde(rename = "o")]
    pub(super) open: bool,
}

impl Stretch {
    /// The directory whose items the names are.
    pub(super) fn level(&self) -> &str {
        parent(&self.stem)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let follows = |rest: &str| self.open || rest.starts_with(|c| c <= '/');
        name.strip_prefix(&self.stem).is_some_and(follows)
    }

    /// Whether the name lies behind all that the stretch may have.
    pub(super) fn ends_before(&self, name: &str) -> bool {
        name > self.stem.as_str() && !self.has(name)
    }

    /// The directory of this stretch in which `after` lies, unless it is done.
    pub(super) fn unfinished(&self, after: &str) -> Option<String> {
        let (item, _) = after.strip_prefix(self.level())?.split_once('/')?;
        let dir = format!("{}{item}/", self.level());
        (self.has(&dir) && !after.starts_with(&end_of(&dir))).then_some(dir)
    }
}

/// The directory of a name, with its final `/`; empty at the top.
pub(super) fn parent(name: &str) -> &str {
    name.rfind('/').map_or("", |slash| &name[..=slash])
}

/// Behind everything that starts with this.
pub(super) fn end_of(start: &str) -> String {
    format!("{start}{LAST}")
}

/// Before everything that starts with this, and behind nearly all that comes earlier.
pub(super) fn before(start: &str) -> String {
    let Some(last) = start.chars().next_back() else { return String::new() };
    let stem = &start[..start.len() - last.len_utf8()];
    match (1..u32::from(last)).rev().find_map(char::from_u32) {
        Some(previous) => format!("{stem}{previous}{LAST}"),
        None => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were() {
        let stretch = Stretch { stem: "dir/a".into(), open: false };
        let (after, dir) = ("dir/a-b/\u{e9}\"".into(), Some("dir/a-b/".into()));
        let position = Position { after, uuid: "AbC_-1".into(), stretch: Some(stretch), dir };
        assert_eq!(Position::parse(&position.token().unwrap()).unwrap(), position);
        assert_eq!(Position::parse(&PageToken::new("nonsense")).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn bounds() {
        for start in ["a", "dir/b", "\u{e000}", "\u{e9}"] {
            assert!(before(start).as_str() < start && end_of(start).as_str() > start, "{start:?}");
        }
        assert!(before("b").as_str() > "azzz");
        assert_eq!((before(""), before("x\u{1}")), (String::new(), "x".to_owned()));
    }

    #[test]
    fn a_stretch_around_a_directory() {
        let stretch = Stretch { stem: "d/a".into(), open: false };
        assert_eq!(stretch.level(), "d/");
        for name in ["d/a-", "d/a.b", "d/a/", "d/a/x", "d/a b/"] {
            assert!(stretch.has(name) && !stretch.ends_before(name), "{name}");
        }
        for name in ["d/a0", "d/ab", "d/b"] {
            assert!(!stretch.has(name) && stretch.ends_before(name), "{name}");
        }
        assert!(!stretch.has("d/a") && !stretch.ends_before("d/a"));
        assert_eq!(stretch.unfinished("d/a-b/c").as_deref(), Some("d/a-b/"));
        for after in ["d/a", "d/a-b", "d/b/c", "x", end_of("d/a-b/").as_str()] {
            assert_eq!(stretch.unfinished(after), None, "{after}");
        }
    }
}
