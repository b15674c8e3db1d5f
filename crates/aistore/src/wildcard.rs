//! Wildcards in the names of local files.

/// Whether a name matches a pattern: `*` any characters, `?` one, `[abc]`, `[a-z]` and `[!a-z]` one of or none of these.
/// A `[` without its `]` stands for itself.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last star stands, and how far into the name it was taken to reach.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        let step = match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, seen));
                at += 1;
                continue;
            }
            Some(_) => one(&pattern[at..], name[seen]),
            None => None,
        };
        match (step, &mut star) {
            (Some(length), _) => {
                at += length;
                seen += 1;
            }
            (None, Some((after, reach))) => {
                *reach += 1;
                (at, seen) = (*after, *reach);
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// How much of the pattern stands for this character, if it does.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let negated = rest.first() == Some(&'!');
            let class = &rest[usize::from(negated)..];
            // A `]` right at the beginning is one of the characters.
            let Some(end) = class.iter().skip(1).position(|c| *c == ']').map(|at| at + 1) else {
                return (c == '[').then_some(1);
            };
            let mut found = false;
            let mut at = 0;
            while at < end {
                if at + 2 < end && class[at + 1] == '-' {
                    found |= (class[at]..=class[at + 2]).contains(&c);
                    at += 3;
                } else {
                    found |= class[at] == c;
                    at += 1;
                }
            }
            (found != negated).then_some(end + 2 + usize::from(negated))
        }
        [first, ..] => (*first == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("*", "anything"),
            ("*", ""),
            ("*.jpg", "a.b.jpg"),
            ("a?c*", "abc"),
            ("[a-c][!x]", "by"),
            ("[]]", "]"),
            ("a[", "a["),
            ("*a*b*", "xxaxxbxx"),
            ("[!]]", "a"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.jpg", "a.png"),
            ("", "a"),
            ("a?c", "ac"),
            ("[a-c]", "d"),
            ("[!a]", "a"),
            ("*a*b", "ba"),
            ("[!]]", "]"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
