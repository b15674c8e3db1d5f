//! Which names a store takes.

/// Which object names a store takes, as far as a name alone tells.
///
/// A store refuses the others by itself, one by one; this is for callers who want to know of all of them before they
/// begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameRules {
    /// What names may hold of ASCII beside letters and digits.
    pub punctuation: &'static str,
    /// Names may hold characters beyond ASCII.
    pub beyond_ascii: bool,
    /// A part between slashes may be `.` or `..`.
    pub dot_segments: bool,
    /// Longest name in bytes.
    pub max_bytes: usize,
}

impl NameRules {
    /// Letters and digits of ASCII, these characters, so many bytes, and nothing else.
    pub const fn new(punctuation: &'static str, max_bytes: usize) -> Self {
        Self { punctuation, beyond_ascii: false, dot_segments: false, max_bytes }
    }

    /// Whether this character may stand in a name.
    pub fn takes(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || self.punctuation.contains(c) || self.beyond_ascii && !c.is_ascii()
    }

    /// Why a name is not taken, such as `it contains '#'`; `None` if it is.
    pub fn fault(&self, name: &str) -> Option<String> {
        if name.is_empty() {
            return Some("it is empty".to_owned());
        }
        if name.len() > self.max_bytes {
            return Some(format!("it has {} bytes, more than {}", name.len(), self.max_bytes));
        }
        if let Some(c) = name.chars().find(|c| !self.takes(*c)) {
            return Some(format!("it contains {c:?}"));
        }
        let dots = name.split('/').find(|part| !self.dot_segments && matches!(*part, "." | ".."));
        dots.map(|part| format!("its part {part:?} would be lost on the way"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let rules = NameRules::new("/-.", 8);
        for name in ["a/b-c.d", "...", "/"] {
            assert_eq!(rules.fault(name), None, "{name}");
        }
        for (name, word) in [
            ("", "empty"),
            ("a#b", "'#'"),
            ("\u{fc}", "'\u{fc}'"),
            ("123456789", "9 bytes"),
            ("a/..", "lost"),
        ] {
            assert!(rules.fault(name).is_some_and(|fault| fault.contains(word)), "{name}");
        }
        let more = NameRules { beyond_ascii: true, dot_segments: true, ..rules };
        assert_eq!((more.fault("\u{fc}"), more.fault("a/..")), (None, None));
    }
}
