//! What answers must be read as: read here by other means than the client's. Both in one notation.

use std::collections::BTreeMap;

use longshore::authn::{Cluster, Role, User};
use serde_json::{Map, Value, json};

use crate::recorded::Response;

/// The value that the client must make of an answer.
pub(crate) type Want = fn(&Response) -> Value;

pub(crate) fn nothing(_: &Response) -> Value {
    Value::Null
}

pub(crate) fn token(response: &Response) -> Value {
    response.json()["token"].clone()
}

pub(crate) fn of_role(role: &Role) -> Value {
    let clusters = role.clusters.iter().map(|acl| json!([acl.id, acl.alias, acl.access.bits()]));
    let buckets = role.buckets.iter().map(|acl| {
        let bucket = &acl.bucket;
        json!([bucket.name, bucket.provider, bucket.namespace.uuid, bucket.namespace.name, acl.access.bits()])
    });
    json!([
        role.name,
        role.description,
        clusters.collect::<Vec<_>>(),
        buckets.collect::<Vec<_>>(),
        role.is_admin
    ])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn bits(entry: &Value) -> u64 {
    entry["perm"].as_str().map_or(0, |text| text.parse().unwrap())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn role_in(role: &Value) -> Value {
    let clusters =
        list(&role["clusters"]).map(|acl| json!([text(&acl["id"]), text(&acl["alias"]), bits(acl)]));
    let buckets = list(&role["buckets"]).map(|acl| {
        let (bucket, namespace) = (&acl["bck"], &acl["bck"]["namespace"]);
        json!([
            text(&bucket["name"]),
            text(&bucket["provider"]),
            text(&namespace["uuid"]),
            text(&namespace["name"]),
            bits(acl)
        ])
    });
    json!([
        text(&role["name"]),
        text(&role["desc"]),
        clusters.collect::<Vec<_>>(),
        buckets.collect::<Vec<_>>(),
        role["admin"] == json!(true)
    ])
}

pub(crate) fn role(response: &Response) -> Value {
    role_in(&response.json())
}

pub(crate) fn of_roles(roles: &[Role]) -> Value {
    roles.iter().map(of_role).collect()
}

pub(crate) fn roles(response: &Response) -> Value {
    let body = response.json();
    let mut roles: Vec<Value> = list(&body).map(role_in).collect();
    roles.sort_by_key(|role| role[0].as_str().map(str::to_owned));
    roles.into()
}

pub(crate) fn of_user(user: &User) -> Value {
    json!([user.id, of_roles(&user.roles)])
}

fn user_in(user: &Value) -> Value {
    json!([text(&user["id"]), list(&user["roles"]).map(role_in).collect::<Vec<_>>()])
}

pub(crate) fn user(response: &Response) -> Value {
    user_in(&response.json())
}

pub(crate) fn of_users(users: &BTreeMap<String, User>) -> Value {
    users.iter().map(|(id, user)| (id.clone(), of_user(user))).collect::<Map<_, _>>().into()
}

pub(crate) fn users(response: &Response) -> Value {
    let body = response.json();
    let users = body.as_object().into_iter().flatten();
    users.map(|(id, user)| (id.clone(), user_in(user))).collect::<Map<_, _>>().into()
}

pub(crate) fn of_clusters<'a>(clusters: impl Iterator<Item = &'a Cluster>) -> Value {
    clusters.map(|cluster| json!([cluster.id, cluster.alias, cluster.urls])).collect()
}

pub(crate) fn clusters(response: &Response) -> Value {
    let body = response.json();
    let mut clusters: Vec<(&String, &Value)> = body["clusters"].as_object().into_iter().flatten().collect();
    clusters.sort_by_key(|(id, _)| id.as_str());
    let urls = |cluster: &Value| list(&cluster["urls"]).map(|url| text(url).to_owned()).collect::<Vec<_>>();
    clusters.iter().map(|(_, c)| json!([text(&c["id"]), text(&c["alias"]), urls(c)])).collect()
}
