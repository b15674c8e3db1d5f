//! What a method and a path lead to.

use http::Method;

use super::query::decode;

/// A bucket and a key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: String,
    pub(super) key: String,
}

/// Who may come this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// A token is needed.
    Authenticated,
    /// Everybody, into public buckets.
    Public,
    /// A token counts if it is good, and nothing is said if it is not.
    Tolerant,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Status,
    Version,
    Health,
    Buckets,
    Bucket(String),
    Empty(String),
    Read(Access, Place),
    Info(Access, Place),
    ReadSigned(Place),
    Render(Access, Place),
    RenderSigned(Place),
    Upload(Place),
    UploadSigned(Place),
    Delete(Place),
    DeleteMany(String),
    Copy,
    Move,
    List(String),
    ListV2(String),
    Sign(Place),
    SignMany(String),
    SignUpload(Place),
    Purge,
    /// A resumable upload, or the place where they are made.
    Tus {
        signed: bool,
        id: Option<String>,
    },
    S3,
}

/// A path that is not well encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadPath;

/// Splits a raw path into the tree and the rest.
fn cut(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    }
}

fn place(rest: Option<&str>) -> Option<Place> {
    let (bucket, key) = rest?.split_once('/')?;
    if bucket.is_empty() {
        return None;
    }
    Some(Place { bucket: decode(bucket)?, key: decode(key)? })
}

/// A single segment.
fn name(rest: Option<&str>) -> Option<String> {
    rest.filter(|r| !r.is_empty() && !r.contains('/')).and_then(decode)
}

impl Route {
    /// `path` is raw and begins with a slash.
    pub(super) fn find(method: &Method, path: &str) -> Result<Option<Self>, BadPath> {
        decode(path).ok_or(BadPath)?;
        let (tree, rest) = cut(path.trim_start_matches('/'));
        let get = matches!(*method, Method::GET | Method::HEAD);
        Ok(match tree {
            "status" if get && rest.is_none() => Some(Self::Status),
            "version" if get && rest.is_none() => Some(Self::Version),
            "health" if get && rest.is_none() => Some(Self::Health),
            "bucket" => Self::bucket(method, rest),
            "object" => Self::object(method, rest),
            "render" if get => Self::render(rest),
            "cdn" if *method == Method::DELETE => Some(Self::Purge),
            "upload" => Self::tus(method, rest),
            "s3" => Some(Self::S3),
            _ => None,
        })
    }

    /// True for trees with a form of their own for what is not there.
    pub(super) fn is_tree(path: &str) -> bool {
        let (tree, _) = cut(path.trim_start_matches('/'));
        matches!(tree.split('?').next(), Some("bucket" | "object" | "render" | "cdn" | "vector"))
    }

    fn bucket(method: &Method, rest: Option<&str>) -> Option<Self> {
        let Some(rest) = rest.filter(|r| !r.is_empty()) else {
            let fits = matches!(*method, Method::GET | Method::HEAD | Method::POST);
            return fits.then_some(Self::Buckets);
        };
        match rest.split_once('/') {
            None => {
                let fits = matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE);
                decode(rest).filter(|_| fits).map(Self::Bucket)
            }
            Some((id, "empty")) if *method == Method::POST => decode(id).map(Self::Empty),
            Some(_) => None,
        }
    }

    fn object(method: &Method, rest: Option<&str>) -> Option<Self> {
        let (first, after) = cut(rest?);
        let plain = || place(rest);
        match *method {
            Method::GET | Method::HEAD => match first {
                "authenticated" => place(after).map(|p| Self::Read(Access::Authenticated, p)),
                "public" => place(after).map(|p| Self::Read(Access::Public, p)),
                "sign" => place(after).map(Self::ReadSigned),
                "info" => {
                    let (access, rest) = match after.map(cut) {
                        Some(("authenticated", rest)) => (Access::Authenticated, rest),
                        Some(("public", rest)) => (Access::Public, rest),
                        _ => (Access::Tolerant, after),
                    };
                    place(rest).map(|p| Self::Info(access, p))
                }
                _ => plain().map(|p| Self::Read(Access::Tolerant, p)),
            },
            Method::POST => match first {
                "copy" if after.is_none() => Some(Self::Copy),
                "move" if after.is_none() => Some(Self::Move),
                "list" => name(after).map(Self::List),
                "list-v2" => name(after).map(Self::ListV2),
                "sign" => place(after).map(Self::Sign).or_else(|| name(after).map(Self::SignMany)),
                "upload" => match after.map(cut) {
                    Some(("sign", rest)) => place(rest).map(Self::SignUpload),
                    _ => None,
                },
                _ => plain().map(Self::Upload),
            },
            Method::PUT => match first {
                "upload" => match after.map(cut) {
                    Some(("sign", rest)) => place(rest).map(Self::UploadSigned),
                    _ => None,
                },
                _ => plain().map(Self::Upload),
            },
            Method::DELETE => plain().map(Self::Delete).or_else(|| name(rest).map(Self::DeleteMany)),
            _ => None,
        }
    }

    fn render(rest: Option<&str>) -> Option<Self> {
        let (kind, after) = cut(rest?.strip_prefix("image/")?);
        let place = place(after)?;
        match kind {
            "public" => Some(Self::Render(Access::Public, place)),
            "authenticated" => Some(Self::Render(Access::Authenticated, place)),
            "sign" => Some(Self::RenderSigned(place)),
            _ => None,
        }
    }

    fn tus(method: &Method, rest: Option<&str>) -> Option<Self> {
        let rest = rest?.strip_prefix("resumable")?;
        let rest = if rest.is_empty() { "" } else { rest.strip_prefix('/')? };
        let (signed, rest) = match cut(rest) {
            ("sign", after) => (true, after.unwrap_or_default()),
            _ => (false, rest),
        };
        let id = (!rest.is_empty()).then(|| rest.to_owned());
        let fits = match *method {
            Method::OPTIONS => true,
            Method::POST => id.is_none(),
            Method::HEAD | Method::PATCH | Method::DELETE | Method::PUT => id.is_some(),
            _ => false,
        };
        fits.then_some(Self::Tus { signed, id })
    }

    /// Name of the operation, to select faults by, and whether the body that counts is the request's.
    pub(super) fn operation(&self, method: &Method) -> (&'static str, bool) {
        match self {
            Self::Status | Self::Version | Self::Health | Self::Purge | Self::S3 => ("cluster", false),
            Self::Buckets | Self::Bucket(_) | Self::Empty(_) => ("bucket", false),
            Self::Info(..) => ("head", false),
            Self::Read(..) | Self::ReadSigned(_) | Self::Render(..) | Self::RenderSigned(_) => {
                (if *method == Method::HEAD { "head" } else { "get" }, false)
            }
            Self::Upload(_) | Self::UploadSigned(_) => ("put", true),
            Self::Delete(_) | Self::DeleteMany(_) => ("delete", false),
            Self::Copy => ("copy", false),
            Self::Move => ("move", false),
            Self::List(_) | Self::ListV2(_) => ("list", false),
            Self::Sign(_) | Self::SignMany(_) | Self::SignUpload(_) => ("sign", false),
            Self::Tus { .. } => match *method {
                Method::POST => ("mpt-create", true),
                Method::PATCH => ("mpt-part", true),
                Method::HEAD => ("mpt-head", false),
                Method::DELETE => ("mpt-abort", false),
                _ => ("cluster", false),
            },
        }
    }

    /// The bucket and the key that the path names.
    pub(super) fn names(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Read(_, p)
            | Self::Info(_, p)
            | Self::ReadSigned(p)
            | Self::Render(_, p)
            | Self::RenderSigned(p)
            | Self::Upload(p)
            | Self::UploadSigned(p)
            | Self::Delete(p)
            | Self::Sign(p)
            | Self::SignUpload(p) => (Some(&p.bucket), Some(&p.key)),
            Self::Bucket(b)
            | Self::Empty(b)
            | Self::DeleteMany(b)
            | Self::List(b)
            | Self::ListV2(b)
            | Self::SignMany(b) => (Some(b), None),
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &Method, path: &str) -> Option<Route> {
        Route::find(method, path).unwrap()
    }

    fn at(bucket: &str, key: &str) -> Place {
        Place { bucket: bucket.into(), key: key.into() }
    }

    #[test]
    fn objects() {
        let cases = [
            (Method::POST, "/object/b/a%20b", Some(Route::Upload(at("b", "a b")))),
            (Method::POST, "/object/b//a//", Some(Route::Upload(at("b", "/a//")))),
            (Method::POST, "/object/b/", Some(Route::Upload(at("b", "")))),
            (Method::POST, "/object/b", None),
            (Method::GET, "/object/b/k", Some(Route::Read(Access::Tolerant, at("b", "k")))),
            (Method::GET, "/object/public/b/k", Some(Route::Read(Access::Public, at("b", "k")))),
            (Method::HEAD, "/object/info/public/b/k", Some(Route::Info(Access::Public, at("b", "k")))),
            (Method::GET, "/object/info/b/k", Some(Route::Info(Access::Tolerant, at("b", "k")))),
            (Method::POST, "/object/sign/b", Some(Route::SignMany("b".into()))),
            (Method::POST, "/object/sign/b/k", Some(Route::Sign(at("b", "k")))),
            (Method::PUT, "/object/upload/sign/b/k/l", Some(Route::UploadSigned(at("b", "k/l")))),
            (Method::DELETE, "/object/b", Some(Route::DeleteMany("b".into()))),
            (Method::DELETE, "/object/b/k", Some(Route::Delete(at("b", "k")))),
            (Method::GET, "/object", None),
        ];
        for (method, path, expected) in cases {
            assert_eq!(find(&method, path), expected, "{path}");
        }
        assert_eq!(Route::find(&Method::GET, "/object/b/%zz"), Err(BadPath));
    }

    #[test]
    fn others() {
        let tus = |signed, id: Option<&str>| Some(Route::Tus { signed, id: id.map(str::to_owned) });
        assert_eq!(find(&Method::GET, "/bucket/"), Some(Route::Buckets));
        assert_eq!(find(&Method::PATCH, "/bucket/a"), None);
        assert_eq!(find(&Method::GET, "/bucket/a/b/c"), None);
        assert_eq!(find(&Method::GET, "/status/"), None);
        assert_eq!(find(&Method::POST, "/upload/resumable/"), tus(false, None));
        assert_eq!(find(&Method::POST, "/upload/resumable/sign"), tus(true, None));
        assert_eq!(find(&Method::PATCH, "/upload/resumable/sign/abc"), tus(true, Some("abc")));
        assert_eq!(find(&Method::GET, "/upload/resumable/abc"), None);
        assert!(Route::is_tree("/object") && !Route::is_tree("/nope"));
    }
}
