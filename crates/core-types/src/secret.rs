//! Text that must not be shown.

use std::{borrow::Cow, fmt};

use zeroize::Zeroizing;

/// A password, token or key: overwritten when dropped, never printed.
///
/// `Debug` and `Display` show a fixed mask, so a secret inside a configuration that is logged stays one.
///
/// ```
/// # use longshore_core_types::Secret;
/// let token = Secret::from("abc");
/// assert_eq!(format!("{token} {token:?}"), "*** ***");
/// assert_eq!(token.expose(), "abc");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself. Call it where the text goes on the wire, nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Replaces every JSON web token in a text by a mask.
///
/// Servers echo refused tokens in their messages; what goes into an error passes through here.
///
/// ```
/// # use longshore_core_types::secret::redact_tokens;
/// let text = redact_tokens("token revoked: \"eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl\" (expired)");
/// assert_eq!(text, "token revoked: \"***\" (expired)");
/// ```
pub fn redact_tokens(text: &str) -> Cow<'_, str> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    let mut shown = String::new();
    let mut rest = text;
    // The header of every such token starts with `{"`, which is `eyJ` in base64.
    while let Some(start) = rest.find("eyJ") {
        let (before, token) = rest.split_at(start);
        let end = token.find(|c| !is_token(c)).unwrap_or(token.len());
        shown.push_str(before);
        shown.push_str("***");
        rest = &token[end..];
    }
    if shown.is_empty() && rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}
