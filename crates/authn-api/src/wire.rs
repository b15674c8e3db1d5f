//! Requests and answers, without I/O.

use http::{HeaderValue, Method, header};
use longshore_core_types::{CallInfo, Error, ErrorKind, Idempotency, Payload, Resource, Result, Secret};
use longshore_transport::{BaseUrl, HttpRequest};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{AccessFlags, TokenLifetime, names};

/// A user with the roles it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[doc(alias = "UserInfo")]
#[non_exhaustive]
pub struct User {
    /// Name to log in with.
    pub id: String,
    /// Its roles, as they are now.
    #[serde(default, deserialize_with = "null_as_default")]
    pub roles: Vec<Role>,
}

/// A named set of access rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[doc(alias = "RoleInfo")]
#[non_exhaustive]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, rename = "desc")]
    pub description: String,
    /// Access to clusters and all buckets in them.
    #[serde(default, deserialize_with = "null_as_default", serialize_with = "empty_as_null")]
    pub clusters: Vec<ClusterAcl>,
    /// Access to single buckets. It replaces what the cluster's entry says about the bucket.
    #[serde(default, deserialize_with = "null_as_default", serialize_with = "empty_as_null")]
    pub buckets: Vec<BucketAcl>,
    /// Whether it allows everything; only the built-in role `Admin` does.
    #[serde(default, rename = "admin")]
    pub is_admin: bool,
}

/// Access to a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[doc(alias = "ClusterPermission")]
#[non_exhaustive]
pub struct ClusterAcl {
    /// Id of the cluster; empty for any.
    #[serde(default)]
    pub id: String,
    /// Its alias, if it is registered with one. Not sent.
    #[serde(default, skip_serializing)]
    pub alias: String,
    /// What is allowed. The service leaves it out when it is nothing.
    #[serde(default, rename = "perm")]
    pub access: AccessFlags,
}

/// Access to one bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[doc(alias = "BucketPermission")]
#[non_exhaustive]
pub struct BucketAcl {
    /// Which bucket of which cluster.
    #[serde(rename = "bck")]
    pub bucket: BucketId,
    /// What is allowed.
    #[serde(default, rename = "perm")]
    pub access: AccessFlags,
}

/// A bucket as access rights name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct BucketId {
    /// Its name.
    pub name: String,
    /// Its provider, such as `ais` or `aws`.
    #[serde(default)]
    pub provider: String,
    /// The cluster that it is in.
    #[serde(default)]
    pub namespace: NamespaceId,
}

/// The cluster of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct NamespaceId {
    /// Id of the cluster.
    #[serde(default)]
    pub uuid: String,
    /// Not looked at by the service.
    #[serde(default)]
    pub name: String,
}

/// A registered cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[doc(alias = "ClusterInfo")]
#[non_exhaustive]
pub struct Cluster {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// Its other name; may be empty.
    #[serde(default)]
    pub alias: String,
    /// Its gateways.
    #[serde(default, deserialize_with = "null_as_default")]
    pub urls: Vec<String>,
}

/// Reads `null` as an empty value: the service writes both.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn empty_as_null<S: serde::Serializer, T: Serialize>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    (!list.is_empty()).then_some(list).serialize(serializer)
}

/// A request without its server: what a call puts on the wire.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) call: CallInfo,
}

impl Request {
    fn new(method: Method, path: String, operation: &'static str, resource: Resource) -> Self {
        let idempotency = match method {
            Method::POST => Idempotency::NotIdempotent,
            _ => Idempotency::Idempotent,
        };
        Self { method, path, body: None, call: CallInfo::new(operation, idempotency).on(resource) }
    }

    fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request cannot be written as JSON").with_source(error)
        })?;
        self.body = Some(body);
        Ok(self)
    }

    /// The request as it goes to the service at `base`, with the token if there is one.
    pub(crate) fn at(self, base: &BaseUrl, token: Option<HeaderValue>) -> Result<(HttpRequest, CallInfo)> {
        let call = self.call;
        let uri = base.uri(&self.path, "").map_err(|error| error.with_call(&call))?;
        let mut request =
            http::Request::builder().method(self.method).uri(uri).header(header::ACCEPT, "application/json");
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request =
            request.extension(call.clone()).body(self.body.map_or_else(Payload::empty, Payload::from));
        let request = request.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request does not fit into a URL")
                .with_call(&call)
                .with_source(error)
        })?;
        Ok((request, call))
    }
}

/// The value of an answer in JSON.
pub(crate) fn read<T: DeserializeOwned>(call: &CallInfo, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        Error::new(ErrorKind::Protocol, "the answer is not what AuthN sends")
            .with_call(call)
            .with_source(error)
    })
}

fn named(kind: &'static str, name: &str) -> Resource {
    Resource::Named { kind, name: name.to_owned().into() }
}

// ---- login and tokens

#[derive(Serialize)]
struct LoginBody<'a> {
    password: &'a str,
    expires_in: Option<i64>,
}

#[derive(Deserialize)]
pub(crate) struct TokenBody {
    pub(crate) token: String,
}

pub(crate) fn login(user: &str, password: &Secret, lifetime: TokenLifetime) -> Result<Request> {
    let user = names::check("user", user)?;
    if password.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "the password is empty"));
    }
    let body = LoginBody { password: password.expose(), expires_in: lifetime.nanoseconds()? };
    Request::new(Method::POST, format!("/v1/users/{user}"), "authn.login", named("user", user)).json(&body)
}

pub(crate) fn revoke(token: &Secret) -> Result<Request> {
    #[derive(Serialize)]
    struct Body<'a> {
        token: &'a str,
    }
    if token.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "the token is empty"));
    }
    Request::new(Method::DELETE, "/v1/tokens".to_owned(), "authn.token.revoke", Resource::Endpoint)
        .json(&Body { token: token.expose() })
}

// ---- users

#[derive(Serialize)]
struct RoleName<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct UserBody<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a str>,
    roles: Vec<Option<RoleName<'a>>>,
}

/// What an update does to the roles of a user.
#[derive(Clone, Debug, Default)]
pub(crate) enum NewRoles {
    #[default]
    Keep,
    Replace(Vec<String>),
    Clear,
}

pub(crate) fn list_users() -> Request {
    Request::new(Method::GET, "/v1/users".to_owned(), "authn.user.list", Resource::Endpoint)
}

pub(crate) fn get_user(id: &str) -> Result<Request> {
    let id = names::check("user", id)?;
    Ok(Request::new(Method::GET, format!("/v1/users/{id}"), "authn.user.get", named("user", id)))
}

pub(crate) fn create_user(id: &str, password: &Secret, roles: &[String]) -> Result<Request> {
    let id = names::check("user", id)?;
    names::check_password(password)?;
    let roles = roles.iter().map(|name| Some(RoleName { name })).collect();
    let body = UserBody { id, pass: Some(password.expose()), roles };
    Request::new(Method::POST, "/v1/users".to_owned(), "authn.user.create", named("user", id)).json(&body)
}

pub(crate) fn update_user(id: &str, password: Option<&Secret>, roles: &NewRoles) -> Result<Request> {
    let id = names::check("user", id)?;
    if let Some(password) = password {
        names::check_password(password)?;
    }
    let roles = match roles {
        NewRoles::Keep => Vec::new(),
        NewRoles::Replace(names) => names.iter().map(|name| Some(RoleName { name })).collect(),
        // An empty list changes nothing; one without any known role empties the user's.
        NewRoles::Clear => vec![None],
    };
    let body = UserBody { id, pass: password.map(Secret::expose), roles };
    Request::new(Method::PUT, format!("/v1/users/{id}"), "authn.user.update", named("user", id)).json(&body)
}

pub(crate) fn delete_user(id: &str) -> Result<Request> {
    let id = names::check("user", id)?;
    Ok(Request::new(Method::DELETE, format!("/v1/users/{id}"), "authn.user.delete", named("user", id)))
}

// ---- roles

pub(crate) fn list_roles() -> Request {
    Request::new(Method::GET, "/v1/roles".to_owned(), "authn.role.list", Resource::Endpoint)
}

pub(crate) fn get_role(name: &str) -> Result<Request> {
    let name = names::check_known("role", name)?;
    Ok(Request::new(Method::GET, format!("/v1/roles/{name}"), "authn.role.get", named("role", name)))
}

pub(crate) fn create_role(role: &Role) -> Result<Request> {
    let name = names::check("role", &role.name)?;
    Request::new(Method::POST, "/v1/roles".to_owned(), "authn.role.create", named("role", name)).json(role)
}

pub(crate) fn update_role(role: &Role) -> Result<Request> {
    let name = names::check_known("role", &role.name)?;
    Request::new(Method::PUT, format!("/v1/roles/{name}"), "authn.role.update", named("role", name))
        .json(role)
}

pub(crate) fn delete_role(name: &str) -> Result<Request> {
    let name = names::check_known("role", name)?;
    Ok(Request::new(Method::DELETE, format!("/v1/roles/{name}"), "authn.role.delete", named("role", name)))
}

// ---- clusters

/// The answer to both reading calls: `{}` when there are none.
#[derive(Default, Deserialize)]
pub(crate) struct ClusterList {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) clusters: std::collections::BTreeMap<String, Cluster>,
}

#[derive(Serialize)]
struct ClusterBody<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
    urls: &'a [String],
}

pub(crate) fn list_clusters() -> Request {
    Request::new(Method::GET, "/v1/clusters".to_owned(), "authn.cluster.list", Resource::Endpoint)
}

pub(crate) fn get_cluster(id: &str) -> Result<Request> {
    let path = format!("/v1/clusters/{}", names::cluster_in_path(id)?);
    Ok(Request::new(Method::GET, path, "authn.cluster.get", named("cluster", id)))
}

pub(crate) fn register_cluster(id: &str, alias: &str, urls: &[String]) -> Result<Request> {
    if !alias.is_empty() {
        names::check("cluster", alias)?;
    }
    let body = ClusterBody { id, alias: (!alias.is_empty()).then_some(alias), urls };
    Request::new(Method::POST, "/v1/clusters".to_owned(), "authn.cluster.register", named("cluster", id))
        .json(&body)
}

pub(crate) fn update_cluster(id: &str, alias: Option<&str>, urls: &[String]) -> Result<Request> {
    if let Some(alias) = alias {
        names::check("cluster", alias)?;
    }
    let path = format!("/v1/clusters/{}", names::cluster_in_path(id)?);
    Request::new(Method::PUT, path, "authn.cluster.update", named("cluster", id)).json(&ClusterBody {
        id,
        alias,
        urls,
    })
}

pub(crate) fn delete_cluster(id: &str) -> Result<Request> {
    let path = format!("/v1/clusters/{}", names::cluster_in_path(id)?);
    Ok(Request::new(Method::DELETE, path, "authn.cluster.delete", named("cluster", id)))
}

/// The id of the cluster itself, asked at one of its gateways.
pub(crate) fn cluster_map() -> Request {
    Request::new(Method::GET, "/v1/daemon?what=smap".to_owned(), "authn.cluster.uuid", Resource::Endpoint)
}

/// The part of a cluster map that registering needs.
#[derive(Deserialize)]
pub(crate) struct ClusterMap {
    pub(crate) uuid: String,
}
