//! Patterns of names, as the platform's own client reads them in globs and in ignore files.
//!
//! `*` and `?` stop at `/`; `**/` stands for any number of folders, a final `**` for everything; `[a-z]` and `[!a-z]` are
//! one character, never `/`; `\x` is `x` itself. Unless the pattern ends in `/` or `**`, the name may. Matching looks at
//! every character once, whatever the pattern.

/// A pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    Run,
    /// A final `**`.
    Deep,
    /// `**/` at the start of a segment. Always followed by `InFolder`, the state of being in such a folder's name.
    Folders,
    InFolder,
    /// A slash that may be missing.
    Slash,
}

/// Whether a text has characters that stand for others.
pub(crate) fn has_magic(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// What follows a `[`, and how much of the text it is; `None` if it is never closed.
fn class(text: &[char]) -> Option<(Token, usize)> {
    let negated = text.first() == Some(&'!');
    let start = usize::from(negated);
    // The first character is one of the class, also if it is the bracket that closes it.
    let end = start + 1 + text.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let mut ranges = Vec::new();
    let mut at = start;
    while at < end {
        match text.get(at..at + 3) {
            Some([from, '-', to]) if at + 2 < end => {
                ranges.push((*from, *to));
                at += 3;
            }
            _ => {
                ranges.push((text[at], text[at]));
                at += 1;
            }
        }
    }
    Some((Token::Class { negated, ranges }, end + 1))
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut tokens = Vec::new();
        let (mut at, mut open) = (0, true);
        while at < chars.len() {
            let segment = at == 0 || chars[at - 1] == '/';
            match (chars[at], &chars[at + 1..]) {
                ('*', ['*', '/', ..]) if segment => {
                    tokens.extend([Token::Folders, Token::InFolder]);
                    at += 2;
                    open = at + 1 < chars.len();
                }
                ('*', ['*']) if segment => {
                    tokens.push(Token::Deep);
                    at += 1;
                    open = false;
                }
                ('*', _) => tokens.push(Token::Run),
                ('?', _) => tokens.push(Token::One),
                ('[', rest) => match class(rest) {
                    Some((class, length)) => {
                        tokens.push(class);
                        at += length;
                    }
                    None => tokens.push(Token::Char('[')),
                },
                ('\\', [next, ..]) => {
                    tokens.push(Token::Char(*next));
                    at += 1;
                }
                (other, _) => tokens.push(Token::Char(other)),
            }
            at += 1;
        }
        if open && !text.ends_with('/') {
            tokens.push(Token::Slash);
        }
        Self(tokens)
    }

    /// Whether the whole name is one of those.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let mut states = vec![false; self.0.len() + 1];
        self.enter(&mut states, 0);
        for c in name.chars() {
            let mut next = vec![false; states.len()];
            for (at, _) in states.iter().enumerate().filter(|(_, on)| **on) {
                self.step(&mut next, at, c);
            }
            states = next;
        }
        states[self.0.len()]
    }

    /// Enters a state, and those behind what may be nothing.
    fn enter(&self, states: &mut [bool], at: usize) {
        states[at] = true;
        match self.0.get(at) {
            Some(Token::Run | Token::Deep | Token::Slash) => self.enter(states, at + 1),
            Some(Token::Folders) => self.enter(states, at + 2),
            _ => {}
        }
    }

    fn step(&self, next: &mut [bool], at: usize, c: char) {
        let Some(token) = self.0.get(at) else { return };
        match token {
            Token::Char(wanted) if *wanted == c => self.enter(next, at + 1),
            Token::One if c != '/' => self.enter(next, at + 1),
            Token::Slash if c == '/' => self.enter(next, at + 1),
            Token::Class { negated, ranges } if c != '/' => {
                let within = ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                if within != *negated {
                    self.enter(next, at + 1);
                }
            }
            Token::Run if c != '/' => self.enter(next, at),
            Token::Deep => self.enter(next, at),
            Token::Folders => next[at + 1] = true,
            Token::InFolder => {
                next[at] = true;
                if c == '/' {
                    self.enter(next, at + 1);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::Value;

    use super::*;

    pub(crate) fn vectors(name: &str) -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/apolo.json");
        let mut all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        all[name].take().as_array().cloned().unwrap()
    }

    #[test]
    fn patterns_are_those_of_the_platforms_client() {
        for case in vectors("glob") {
            let text = case["pattern"].as_str().unwrap();
            let pattern = Pattern::new(text);
            assert_eq!(has_magic(text), case["has_magic"].as_bool().unwrap(), "{text}");
            for (name, expected) in case["match"].as_object().unwrap() {
                assert_eq!(pattern.matches(name), expected.as_bool().unwrap(), "{text} on {name}");
            }
        }
    }

    #[test]
    fn classes_and_escapes() {
        let matches = |pattern: &str, name: &str| Pattern::new(pattern).matches(name);
        assert!(matches("[a-c]x", "bx") && !matches("[!a-c]x", "bx") && matches("[!a-c]x", "dx"));
        assert!(matches("[]a]", "]") && matches("[^a]", "^") && !matches("[!a]", "/"));
        assert!(matches("[ab", "[ab") && matches(r"\*", "*") && !matches(r"\*", "a"));
        assert!(matches("a**b", "axxb") && !matches("a**b", "a/b"));
    }
}
