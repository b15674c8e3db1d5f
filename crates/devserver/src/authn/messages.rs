//! Messages that clients send, and complaints about them.

use serde_json::Value;

use super::Call;
use crate::access::{BucketAcl, BucketRef, ClusterAcl, NamespaceRef};
use crate::aistore::error::{Fail, Result};
use crate::aistore::gojson::{self, Schema, Struct};
use crate::raw;

static CLUSTER: Struct = Struct {
    name: "authn.CluACL",
    fields: &[
        ("id", "ID", Schema::Text),
        ("alias", "Alias", Schema::Text),
        ("perm", "Access", Schema::QuotedInteger),
        ("urls", "URLs", Schema::List("[]string")),
    ],
    strict: false,
};

static NAMESPACE: Struct = Struct {
    name: "cmn.Ns",
    fields: &[("uuid", "UUID", Schema::Text), ("name", "Name", Schema::Text)],
    strict: false,
};

static BUCKET: Struct = Struct {
    name: "cmn.Bck",
    fields: &[
        ("name", "Name", Schema::Text),
        ("provider", "Provider", Schema::Text),
        ("namespace", "Ns", Schema::Struct(&NAMESPACE)),
    ],
    strict: false,
};

static BUCKET_ACL: Struct = Struct {
    name: "authn.BckACL",
    fields: &[("bck", "Bck", Schema::Struct(&BUCKET)), ("perm", "Access", Schema::QuotedInteger)],
    strict: false,
};

static ROLE: Struct = Struct {
    name: "authn.Role",
    fields: &[
        ("name", "Name", Schema::Text),
        ("desc", "Description", Schema::Text),
        ("clusters", "ClusterACLs", Schema::ListOf("[]*authn.CluACL", &CLUSTER)),
        ("buckets", "BucketACLs", Schema::ListOf("[]*authn.BckACL", &BUCKET_ACL)),
        ("admin", "IsAdmin", Schema::Bool),
    ],
    strict: false,
};

static USER: Struct = Struct {
    name: "authn.User",
    fields: &[
        ("id", "ID", Schema::Text),
        ("pass", "Password", Schema::Text),
        ("roles", "Roles", Schema::ListOf("[]*authn.Role", &ROLE)),
    ],
    strict: false,
};

static LOGIN: Struct = Struct {
    name: "authn.LoginMsg",
    fields: &[("password", "Password", Schema::Text), ("expires_in", "ExpiresIn", Schema::Long)],
    strict: false,
};

static TOKEN: Struct =
    Struct { name: "authn.TokenMsg", fields: &[("token", "Token", Schema::Text)], strict: false };

static AUTH: Struct = Struct {
    name: "config.AuthConfToSet",
    fields: &[("secret", "Secret", Schema::Text), ("expiration_time", "ExpirationTime", Schema::Duration)],
    strict: false,
};

static LOG: Struct =
    Struct { name: "config.LogConfToSet", fields: &[("level", "Level", Schema::Text)], strict: false };

static CONFIG: Struct = Struct {
    name: "config.ToUpdate",
    fields: &[("auth", "Auth", Schema::Struct(&AUTH)), ("log", "Log", Schema::Struct(&LOG))],
    strict: false,
};

/// The members of a message, whose names may be spelt in any case.
#[derive(Debug, Default)]
struct Members(Vec<(String, Value)>);

impl Members {
    fn of(value: Value) -> Self {
        match value {
            Value::Object(map) => Self(map.into_iter().map(|(n, v)| (n.to_ascii_lowercase(), v)).collect()),
            _ => Self::default(),
        }
    }

    fn take(&mut self, name: &str) -> Value {
        let found = self.0.iter_mut().rev().find(|(n, _)| n == name);
        found.map_or(Value::Null, |(_, value)| value.take())
    }

    fn text(&mut self, name: &str) -> String {
        match self.take(name) {
            Value::String(text) => text,
            _ => String::new(),
        }
    }

    fn list(&mut self, name: &str) -> Option<Vec<Value>> {
        match self.take(name) {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    fn bits(&mut self) -> u64 {
        self.text("perm").parse().unwrap_or_default()
    }
}

/// Reads a message; the error is the decoder's.
fn read(call: &Call, form: &'static Struct) -> std::result::Result<Members, String> {
    if call.body.iter().all(u8::is_ascii_whitespace) {
        return Err("EOF".into());
    }
    gojson::check(&call.body, Schema::Struct(form))?;
    // What follows the first value does not matter.
    let text = raw::escape(&call.body);
    let first = serde_json::Deserializer::from_str(&text).into_iter::<Value>().next();
    Ok(Members::of(first.transpose().map_err(|e| e.to_string())?.unwrap_or_default()))
}

fn verbose(call: &Call, form: &'static Struct, line: u32) -> Result<Members> {
    read(call, form).map_err(|e| {
        let (path, kind, method) = (&call.path, form.name, &call.method);
        Fail::bad(format!("{path}: failed to unmarshal [*{kind}] ({method}), err: {e} (hserv.go, #{line})"))
    })
}

fn terse(call: &Call, form: &'static Struct) -> Result<Members> {
    read(call, form).map_err(|_| Fail::bad("Invalid request"))
}

/// A user as it is written.
#[derive(Default)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) password: String,
    /// Names of roles; `None` for an entry that is null.
    pub(super) roles: Vec<Option<String>>,
}

impl User {
    fn new(mut members: Members) -> Self {
        let name = |v: Value| (!v.is_null()).then(|| Members::of(v).text("name"));
        Self {
            id: members.text("id"),
            password: members.text("pass"),
            roles: members.list("roles").unwrap_or_default().into_iter().map(name).collect(),
        }
    }

    pub(super) fn added(call: &Call) -> Result<Self> {
        verbose(call, &USER, 259).map(Self::new)
    }

    pub(super) fn updated(call: &Call) -> Result<Self> {
        terse(call, &USER).map(Self::new)
    }
}

fn cluster(value: Value) -> Option<ClusterAcl> {
    if value.is_null() {
        return None;
    }
    let mut members = Members::of(value);
    let text = |v: Value| v.as_str().map(str::to_owned);
    Some(ClusterAcl {
        id: members.text("id"),
        alias: members.text("alias"),
        urls: members.list("urls").unwrap_or_default().into_iter().filter_map(text).collect(),
        perm: members.bits(),
    })
}

fn bucket(value: Value) -> Option<BucketAcl> {
    if value.is_null() {
        return None;
    }
    let mut members = Members::of(value);
    let mut bucket = Members::of(members.take("bck"));
    let mut namespace = Members::of(bucket.take("namespace"));
    Some(BucketAcl {
        bck: BucketRef {
            name: bucket.text("name"),
            provider: bucket.text("provider"),
            namespace: NamespaceRef { uuid: namespace.text("uuid"), name: namespace.text("name") },
        },
        perm: members.bits(),
    })
}

fn role(mut members: Members) -> super::state::Role {
    let some = |items: Option<Vec<Value>>| items.map(Vec::into_iter);
    super::state::Role {
        name: members.text("name"),
        desc: members.text("desc"),
        clusters: some(members.list("clusters")).map(|items| items.filter_map(cluster).collect()),
        buckets: some(members.list("buckets")).map(|items| items.filter_map(bucket).collect()),
        admin: members.take("admin").as_bool().unwrap_or_default(),
    }
}

/// A role to be added.
pub(super) fn added_role(call: &Call) -> Result<super::state::Role> {
    verbose(call, &ROLE, 557).map(role)
}

/// What is to be merged into a role.
pub(super) fn updated_role(call: &Call) -> Result<super::state::Role> {
    terse(call, &ROLE).map(role)
}

/// A registration, or a change of one.
pub(super) fn registration(call: &Call) -> Result<ClusterAcl> {
    let line = if call.method == http::Method::PUT { 437 } else { 420 };
    let mut members = verbose(call, &CLUSTER, line)?;
    let fields = std::mem::take(&mut members.0);
    Ok(cluster(Value::Object(fields.into_iter().collect())).unwrap_or_default())
}

/// A login: the password, and the lifetime in nanoseconds if one is asked for.
pub(super) fn login(call: &Call) -> Result<(String, Option<i64>)> {
    let mut members = verbose(call, &LOGIN, 376)?;
    Ok((members.text("password"), members.take("expires_in").as_i64()))
}

/// A token.
pub(super) fn token(call: &Call) -> Result<String> {
    Ok(verbose(call, &TOKEN, 183)?.text("token"))
}

/// Changes of the configuration, as far as given.
#[derive(Default)]
pub(super) struct ConfigChange {
    pub(super) secret: Option<String>,
    /// Nanoseconds.
    pub(super) lifetime: Option<i64>,
    pub(super) log_level: Option<String>,
}

/// `None` if the message holds no section that can be changed.
pub(super) fn config(call: &Call) -> Result<Option<ConfigChange>> {
    let mut members = terse(call, &CONFIG)?;
    let (auth, log) = (members.take("auth"), members.take("log"));
    if auth.is_null() && log.is_null() {
        return Ok(None);
    }
    let (mut auth, mut log) = (Members::of(auth), Members::of(log));
    let text = |v: Value| v.as_str().map(str::to_owned);
    Ok(Some(ConfigChange {
        secret: text(auth.take("secret")),
        lifetime: text(auth.take("expiration_time")).and_then(|t| gojson::parse_duration(&t)),
        log_level: text(log.take("level")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: &'static [u8]) -> Call {
        Call {
            method: http::Method::POST,
            path: "/v1/roles".into(),
            items: Vec::new(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::from_static(body),
        }
    }

    fn refused(body: &'static [u8]) -> String {
        added_role(&call(body)).expect_err("a bad role").message
    }

    #[test]
    fn complaints() {
        assert_eq!(
            refused(b""),
            "/v1/roles: failed to unmarshal [*authn.Role] (POST), err: EOF (hserv.go, #557)"
        );
        assert!(refused(br#"{"clusters": [{"id": "c", "perm": 5}]}"#).contains(
            "authn.Role.ClusterACLs: []*authn.CluACL: authn.CluACL.Access: stringModeNumberDecoder"
        ));
        assert!(
            refused(br#"{"clusters":[{"perm":"18446744073709551616"}]}"#).contains("readUint64: overflow")
        );
        assert!(refused(br#"{"clusters":[{"perm":"007"}]}"#).contains("expect \", but found 0"));
        let unexpected = raw::unescape(&refused(br#"{"clusters":[{"perm":"-1"}]}"#));
        assert!(unexpected.windows(13).any(|w| w == b"character: \xff,"));
    }

    #[test]
    fn names_in_any_case_and_trailing_text() {
        let role = added_role(&call(br#"{"NAME":"r","Clusters":[null,{"ID":"c","perm":"1"}]} trailing"#));
        let role = role.expect("a role");
        assert_eq!((role.name.as_str(), role.clusters.expect("clusters")[0].perm), ("r", 1));
    }

    #[test]
    fn lifetimes() {
        assert_eq!(login(&call(br#"{"password":"x","expires_in":null}"#)).expect("a login").1, None);
        assert_eq!(login(&call(br#"{"password":"x","expires_in":5}"#)).expect("a login").1, Some(5));
        for bad in [&br#"{"expires_in":6.0}"#[..], br#"{"expires_in":9223372036854775808}"#] {
            let call = Call { body: bytes::Bytes::from_static(bad), ..call(b"") };
            assert!(login(&call).is_err());
        }
    }
}
