//! Wildcards in the keys of store URLs.
//!
//! `*` and `?` stop at `/`, `**` does not, `[a-z]` and `[!a-z]` stand for one character, `[*]` is a literal
//! star. A pattern splits once into the literal start, which a listing can ask for, and the rest, which is
//! matched here. Matching looks at every character once, whatever the pattern: keys come from strangers.

/// A key with wildcards in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    prefix: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `[...]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    Run,
    /// `**`
    DeepRun,
    /// `**/` at the start of a segment: any number of folders, also none. Always followed by `InFolder`,
    /// the state of being in the middle of such a folder's name.
    Folders,
    InFolder,
}

/// How a name relates to a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// Not at all.
    No,
    /// It lies below a name that matches, as a file lies below a folder.
    Below,
    /// As a whole.
    Whole,
}

impl Pattern {
    /// Reads a key; `None` if nothing in it is a wildcard.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        let tokens = tokenize(key);
        let literal = tokens.iter().take_while(|token| matches!(token, Token::Char(_))).count();
        if literal == tokens.len() && literal == key.chars().count() {
            return None;
        }
        let prefix = tokens.iter().take(literal).filter_map(|token| match token {
            Token::Char(c) => Some(*c),
            _ => None,
        });
        Some(Self { prefix: prefix.collect(), tokens: tokens[literal..].to_vec() })
    }

    /// The literal start, which every matching name has.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The literal start up to its last `/`: the folder that names are relative to in a copy.
    pub(crate) fn base(&self) -> &str {
        self.prefix.rfind('/').map_or("", |slash| &self.prefix[..=slash])
    }

    /// Whether `**` makes it match at any depth.
    pub(crate) fn is_deep(&self) -> bool {
        self.tokens.iter().any(|token| matches!(token, Token::DeepRun | Token::Folders))
    }

    /// Whether every name that matches lies in [`base`](Self::base) itself, so that one level has them all.
    pub(crate) fn is_one_level(&self) -> bool {
        !self.is_deep() && !self.tokens.contains(&Token::Char('/'))
    }

    /// How the name relates to the pattern.
    pub(crate) fn find(&self, name: &str) -> Match {
        let Some(rest) = name.strip_prefix(self.prefix.as_str()) else { return Match::No };
        let end = self.tokens.len();
        let mut now = vec![false; end + 1];
        let mut next = now.clone();
        self.reach(&mut now, 0);
        let mut below = false;
        let names_folders = self.tokens.last() == Some(&Token::Char('/'));
        for c in rest.chars() {
            below |= now[end] && (c == '/' || names_folders);
            next.fill(false);
            for (i, token) in self.tokens.iter().enumerate().filter(|(i, _)| now[*i]) {
                if let Some(to) = token.step(i, c) {
                    self.reach(&mut next, to);
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        match (now[end], below) {
            (true, _) => Match::Whole,
            (false, true) => Match::Below,
            (false, false) => Match::No,
        }
    }

    /// Enters a state, and those that follow it without a character.
    fn reach(&self, states: &mut [bool], mut state: usize) {
        loop {
            states[state] = true;
            state += match self.tokens.get(state) {
                Some(Token::Run | Token::DeepRun) => 1,
                Some(Token::Folders) => 2,
                _ => return,
            };
        }
    }
}

impl Token {
    /// Where the character leads from the state in front of this token, if it leads anywhere.
    fn step(&self, state: usize, c: char) -> Option<usize> {
        let taken = |yes: bool| yes.then_some(state + 1);
        match self {
            Self::Char(own) => taken(*own == c),
            Self::One => taken(c != '/'),
            Self::Class { negated, ranges } => {
                let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                taken(c != '/' && inside != *negated)
            }
            Self::Run => (c != '/').then_some(state),
            Self::DeepRun => Some(state),
            Self::Folders => Some(if c == '/' { state } else { state + 1 }),
            Self::InFolder => Some(if c == '/' { state - 1 } else { state }),
        }
    }
}

fn tokenize(key: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = key;
    while let Some(c) = rest.chars().next() {
        let at_segment = rest.len() == key.len() || tokens.last() == Some(&Token::Char('/'));
        if let Some(after) = rest.strip_prefix("**") {
            match after.strip_prefix('/') {
                Some(after) if at_segment => {
                    tokens.extend([Token::Folders, Token::InFolder]);
                    rest = after;
                }
                _ => {
                    tokens.push(Token::DeepRun);
                    rest = after;
                }
            }
            continue;
        }
        let (token, after) = match c {
            '*' => (Token::Run, &rest[1..]),
            '?' => (Token::One, &rest[1..]),
            '[' => class(rest).unwrap_or((Token::Char('['), &rest[1..])),
            c => (Token::Char(c), &rest[c.len_utf8()..]),
        };
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// Reads `[...]`; `None` if it is not closed, which makes the bracket a literal one.
fn class(text: &str) -> Option<(Token, &str)> {
    let body = text.strip_prefix('[')?;
    let negated = body.starts_with(['!', '^']);
    let body = if negated { &body[1..] } else { body };
    // A bracket in the first place is a member, as in every shell.
    let first = body.chars().next()?.len_utf8();
    let end = first + body.get(first..)?.find(']')?;
    let members: Vec<char> = body[..end].chars().collect();
    let mut ranges = Vec::new();
    let mut i = 0;
    while let Some(&low) = members.get(i) {
        if let (Some('-'), Some(&high)) = (members.get(i + 1), members.get(i + 2)) {
            ranges.push((low, high));
            i += 3;
        } else {
            ranges.push((low, low));
            i += 1;
        }
    }
    // One literal character is no wildcard: `[*]` is how a key that holds a star is written.
    let token = match ranges[..] {
        [(low, high)] if low == high && !negated => Token::Char(low),
        _ => Token::Class { negated, ranges },
    };
    Some((token, &body[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Pattern {
        fn matches(&self, name: &str) -> bool {
            self.find(name) == Match::Whole
        }
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap_or_else(|| panic!("{text} has no wildcard"))
    }

    #[test]
    fn the_literal_start_is_what_a_listing_asks_for() {
        for (text, prefix, base) in [
            ("a/b*.txt", "a/b", "a/"),
            ("*", "", ""),
            ("2024/**", "2024/", "2024/"),
            ("x?", "x", ""),
            ("a/[*]b/c*", "a/*b/c", "a/*b/"),
        ] {
            let pattern = pattern(text);
            assert_eq!((pattern.prefix(), pattern.base()), (prefix, base), "{text}");
        }
    }

    #[test]
    fn what_is_no_wildcard() {
        for text in ["", "a/b.txt", "a[b", "a{b,c}", "a\\b", "a]b", "[", "[]"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
        // Written as a pattern, though only one name matches.
        assert!(pattern("a[*]").matches("a*"));
        assert!(!pattern("a[*]").matches("ab"));
    }

    #[test]
    fn matches() {
        for (text, yes, no) in [
            ("a/*.txt", &["a/.txt", "a/é.txt", "a/b.c.txt"][..], &["a/b/c.txt", "a/b.txtx", "b/a.txt"][..]),
            ("a?c", &["abc", "aéc", "a*c"], &["a/c", "ac", "abbc"]),
            ("**", &["", "a", "a/b/c"], &[]),
            ("a/**", &["a/", "a/b", "a/b/c"], &["a", "b/a/c"]),
            ("**/x", &["x", "a/x", "a/b/x", "/x"], &["ax", "a/bx", "x/y"]),
            ("a/**/b", &["a/b", "a/c/b", "a/c/d/b"], &["a/cb", "ab", "a/b/c"]),
            ("a**b", &["ab", "a/b", "axx/yb"], &["a", "b", "abc"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
            ("[!a-c]x", &["dx"], &["ax", "/x"]),
            ("[^a]x", &["bx"], &["ax"]),
            ("[]-]x", &["]x", "-x"], &["ax"]),
            ("[a-]*", &["-", "a1"], &["b"]),
            ("img_[0-9][0-9].png", &["img_07.png"], &["img_7.png", "img_ab.png"]),
        ] {
            let pattern = pattern(text);
            for name in yes {
                assert!(pattern.matches(name), "{text} {name}");
            }
            for name in no {
                assert!(!pattern.matches(name), "{text} {name}");
            }
        }
    }

    #[test]
    fn what_lies_below_a_match() {
        let pattern = pattern("logs/2024-*");
        assert_eq!(pattern.find("logs/2024-01"), Match::Whole);
        assert_eq!(pattern.find("logs/2024-01/a/b"), Match::Below);
        assert_eq!(pattern.find("logs/2023-01/a"), Match::No);
        assert_eq!(pattern.find("logs/"), Match::No);
        let folders = Pattern::parse("logs/*/").unwrap();
        assert_eq!(folders.find("logs/a/b"), Match::Below);
        assert_eq!((folders.find("logs/a/"), folders.find("logs/a")), (Match::Whole, Match::No));
    }

    #[test]
    fn depth() {
        assert!(pattern("a/*.txt").is_one_level());
        assert!(!pattern("*/b").is_one_level());
        assert!(!pattern("a/**").is_one_level());
        assert!(pattern("a/**").is_deep() && pattern("**/b").is_deep() && !pattern("a/*").is_deep());
    }

    #[test]
    fn hostile_patterns_take_linear_time() {
        let pattern = pattern(&"*a".repeat(50));
        assert!(!pattern.matches(&("a".repeat(2000) + "b")));
        assert!(pattern.matches(&"a".repeat(2000)));
    }
}
