//! Which URL a name stands for.

use std::fmt;

use http::Uri;
use longshore_core_types::{Error, ErrorKind, ObjectKey, Result, Secret, StoreUrl};
use longshore_transport::encode_path;
use percent_encoding::percent_decode_str;

/// The base of all names, and the query that goes with each.
#[derive(Clone)]
pub(crate) struct Address {
    /// Up to the last slash, which it ends with; as it was given, escapes included.
    base: String,
    /// May hold a signature.
    query: Option<Secret>,
    /// The one name that was taken from a URL, with its escapes as they were given.
    exact: Option<(ObjectKey, String)>,
}

impl Address {
    /// Takes all of the path as the base.
    pub(crate) fn base(url: &str) -> Result<Self> {
        let (mut base, query) = split(url)?;
        if !base.ends_with('/') {
            base.push('/');
        }
        Ok(Self { base, query, exact: None })
    }

    /// Takes what follows the last slash (but one, if the path ends in a slash) as the name of an object.
    pub(crate) fn object(url: &str) -> Result<(Self, ObjectKey)> {
        let (path, query) = split(url)?;
        let host = path.find("://").map_or(0, |at| at + 3);
        let trimmed = path.strip_suffix('/').unwrap_or(&path);
        let slash = trimmed.get(host..).and_then(|rest| rest.rfind('/')).map(|at| host + at);
        let Some(slash) = slash.filter(|at| at + 1 < path.len()) else {
            return Err(invalid(format!("{path} names a server, not an object on it")));
        };
        let (base, raw) = path.split_at(slash + 1);
        // What does not decode to text is a name as it stands.
        let name = percent_decode_str(raw).decode_utf8().map_or_else(|_| raw.to_owned(), Into::into);
        let key = ObjectKey::new(name)?;
        let exact = Some((key.clone(), raw.to_owned()));
        Ok((Self { base: base.to_owned(), query, exact }, key))
    }

    /// Whether URLs may hold a signature.
    pub(crate) fn is_signed(&self) -> bool {
        self.query.is_some()
    }

    /// The URL of a name without the query, to be shown.
    pub(crate) fn shown(&self, key: &ObjectKey) -> String {
        format!("{}{}", self.base, self.escaped(key))
    }

    /// The base as a store URL.
    pub(crate) fn url(&self) -> Result<StoreUrl> {
        self.base.parse()
    }

    /// The URL to ask. `InvalidInput` if no URL can hold the name.
    pub(crate) fn uri(&self, key: &ObjectKey) -> Result<Uri> {
        let exact = self.exact.as_ref().is_some_and(|(exact, _)| exact == key);
        if !exact && key.as_str().split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(invalid(format!("{key:?} has a dot segment, which a URL cannot hold")));
        }
        let mut text = self.shown(key);
        if let Some(query) = &self.query {
            text.push('?');
            text.push_str(query.expose());
        }
        // The cause would show the query.
        text.parse().map_err(|_| invalid(format!("{key:?} makes no valid URL under {}", self.base)))
    }

    fn escaped(&self, key: &ObjectKey) -> String {
        match &self.exact {
            Some((exact, raw)) if exact == key => raw.clone(),
            _ => encode_path(key.as_str()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// Checks a URL, and takes the query and the fragment off.
fn split(url: &str) -> Result<(String, Option<Secret>)> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| path.strip_prefix(scheme));
    let Some(rest) = rest else {
        return Err(invalid(format!("{path:?} is not a URL that starts with http:// or https://")));
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        // The URL is not repeated: it holds a password.
        return Err(invalid("a URL with a user in it is not accepted: put credentials on the transport"));
    }
    let parsed = path.parse::<Uri>();
    if host.is_empty()
        || parsed.is_err()
        || query.is_some_and(|query| format!("/?{query}").parse::<Uri>().is_err())
    {
        return Err(invalid(format!("{path:?} is not a valid URL")));
    }
    let query = query.filter(|query| !query.is_empty()).map(|query| Secret::from(query.to_owned()));
    Ok((path.to_owned(), query))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(name).unwrap()
    }

    #[test]
    fn names_are_escaped_under_the_base() {
        for base in ["https://h/a%20b", "https://h/a%20b/"] {
            let address = Address::base(base).unwrap();
            for (name, path) in [
                ("x/y.txt", "x/y.txt"),
                ("a b?c#d%e", "a%20b%3Fc%23d%25e"),
                ("\u{fc}", "%C3%BC"),
                ("//x//", "//x//"),
                ("...", "..."),
            ] {
                assert_eq!(address.uri(&key(name)).unwrap().to_string(), format!("https://h/a%20b/{path}"));
            }
            for name in ["..", "a/./b", "a/.."] {
                assert_eq!(address.uri(&key(name)).unwrap_err().kind(), ErrorKind::InvalidInput);
            }
        }
    }

    #[test]
    fn a_url_keeps_its_escapes_and_its_query() {
        let (address, name) = Address::object("https://h:1/d/a%2fb%20c?sig=s%2B&x#part").unwrap();
        assert_eq!(name.as_str(), "a/b c");
        assert_eq!(address.uri(&name).unwrap().to_string(), "https://h:1/d/a%2fb%20c?sig=s%2B&x");
        assert_eq!(address.uri(&key("other")).unwrap().to_string(), "https://h:1/d/other?sig=s%2B&x");
        assert_eq!(address.url().unwrap().to_string(), "https://h:1/d/");
        assert!(!format!("{address:?}{}", address.shown(&name)).contains("sig"));
        let (address, name) = Address::object("http://h/dir/").unwrap();
        assert_eq!((name.as_str(), address.uri(&name).unwrap().path()), ("dir/", "/dir/"));
        let (_, raw) = Address::object("http://h/%ff").unwrap();
        assert_eq!(raw.as_str(), "%ff");
    }

    #[test]
    fn bad_urls_say_why_and_tell_no_secret() {
        for (url, word) in [
            ("ftp://h/x?secret", "http://"),
            ("https:///x?secret", "valid"),
            ("https://h h/x?secret", "valid"),
            ("https://user:secret@h/x", "credentials"),
            ("https://h?secret", "names a server"),
            ("https://h/?secret", "names a server"),
            ("https://h/x?secret \u{1}", "valid"),
        ] {
            let error = Address::object(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(word), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
