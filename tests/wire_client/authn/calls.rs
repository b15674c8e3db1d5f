//! Which call of the client a recorded request is.

use std::{future::Future, pin::Pin, time::Duration};

use longshore::authn::{AccessFlags, AuthnClient, TokenLifetime};
use longshore_core_types::{Result, Secret};
use serde_json::Value;

use super::wanted::{self, Want};
use crate::recorded::{Request, decode};

type Running = Pin<Box<dyn Future<Output = Result<Value>>>>;

/// A call of the client, and what its answer must be read as.
pub(crate) struct Call {
    pub(crate) run: Box<dyn FnOnce(AuthnClient) -> Running>,
    pub(crate) want: Want,
}

#[expect(clippy::unnecessary_wraps, reason = "each branch of `read` is a call or none")]
fn call<F, Fut>(want: Want, run: F) -> Option<Call>
where
    F: FnOnce(AuthnClient) -> Fut + 'static,
    Fut: Future<Output = Result<Value>> + 'static,
{
    Some(Call { run: Box::new(move |client| Box::pin(run(client))), want })
}

/// The call of a recorded request; `None` if no call makes it. What the body of the call then differs in is found
/// when it is sent.
pub(crate) fn read(request: &Request) -> Option<Call> {
    let path = request.path.strip_prefix("/v1/")?;
    let (what, name) = match path.split_once('/') {
        Some((what, name)) => (what, Some(decode(name))),
        None => (path, None),
    };
    let body = request.json();
    let writes = matches!(request.method.as_str(), "POST" | "PUT");
    (body.is_object() || !writes).then_some(())?;
    match (request.method.as_str(), what, name) {
        ("GET", "users", None) => call(wanted::users, |client| async move {
            client.users().list().await.map(|users| wanted::of_users(&users))
        }),
        ("GET", "users", Some(name)) => call(wanted::user, |client| async move {
            client.users().get(&name).await.map(|user| wanted::of_user(&user))
        }),
        ("POST", "users", Some(name)) => login(name, &body),
        ("POST", "users", None) => create_user(&body),
        ("PUT", "users", Some(name)) => update_user(name, &body),
        ("DELETE", "users", Some(name)) => {
            call(wanted::nothing, |client| async move { null(client.users().delete(&name).await) })
        }
        ("GET", "roles", None) => call(wanted::roles, |client| async move {
            client.roles().list().await.map(|roles| wanted::of_roles(&roles))
        }),
        ("GET", "roles", Some(name)) => call(wanted::role, |client| async move {
            client.roles().get(&name).await.map(|role| wanted::of_role(&role))
        }),
        ("POST", "roles", None) => role(text(&body, "name")?, &body, Change::Create),
        ("PUT", "roles", Some(name)) => role(name, &body, Change::Update),
        ("DELETE", "roles", Some(name)) => {
            call(wanted::nothing, |client| async move { null(client.roles().delete(&name).await) })
        }
        ("GET", "clusters", None) => call(wanted::clusters, |client| async move {
            client.clusters().list().await.map(|clusters| wanted::of_clusters(clusters.values()))
        }),
        ("GET", "clusters", Some(id)) => call(wanted::clusters, |client| async move {
            client.clusters().get(&id).await.map(|cluster| wanted::of_clusters([&cluster].into_iter()))
        }),
        ("POST", "clusters", None) => register(&body),
        ("PUT", "clusters", Some(id)) => update_cluster(id, &body),
        ("DELETE", "clusters", Some(id)) => {
            call(wanted::nothing, |client| async move { null(client.clusters().delete(&id).await) })
        }
        ("DELETE", "tokens", None) => {
            let token = Secret::from(text(&body, "token")?);
            call(wanted::nothing, |client| async move { null(client.tokens().revoke(&token).await) })
        }
        _ => None,
    }
}

fn null<T>(result: Result<T>) -> Result<Value> {
    result.map(|_| Value::Null)
}

fn text(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().map(str::to_owned)
}

fn login(user: String, body: &Value) -> Option<Call> {
    let password = Secret::from(text(body, "password")?);
    let lifetime = match &body["expires_in"] {
        Value::Null => TokenLifetime::ServerDefault,
        Value::Number(number) => match number.as_u64()? {
            0 => TokenLifetime::Maximum,
            nanoseconds => TokenLifetime::For(Duration::from_nanos(nanoseconds)),
        },
        _ => return None,
    };
    call(wanted::token, move |client| async move {
        let token = client.login(user, &password).lifetime(lifetime).await?;
        Ok(token.secret().expose().into())
    })
}

/// The names of the roles in a body; `None` if an entry is no role.
fn role_names(body: &Value) -> Option<Vec<String>> {
    body["roles"].as_array().into_iter().flatten().map(|role| text(role, "name")).collect()
}

fn create_user(body: &Value) -> Option<Call> {
    let (id, password, roles) = (text(body, "id")?, Secret::from(text(body, "pass")?), role_names(body)?);
    call(wanted::nothing, move |client| async move {
        null(client.users().create(id, &password).roles(roles).await)
    })
}

fn update_user(id: String, body: &Value) -> Option<Call> {
    let password = text(body, "pass").map(Secret::from);
    let roles = match body["roles"].as_array().map(Vec::as_slice) {
        None | Some([]) => None,
        // How a user is left without any.
        Some([Value::Null]) => Some(Vec::new()),
        Some(_) => Some(role_names(body)?),
    };
    call(wanted::nothing, move |client| async move {
        let mut update = client.users().update(id);
        if let Some(password) = &password {
            update = update.password(password);
        }
        if let Some(roles) = roles {
            update = update.roles(roles);
        }
        null(update.await)
    })
}

#[derive(Clone, Copy)]
enum Change {
    Create,
    Update,
}

/// Strict decimal, as the service wants it.
fn access(entry: &Value) -> Option<AccessFlags> {
    let text = entry["perm"].as_str()?;
    let bits: u64 = text.parse().ok()?;
    (bits.to_string() == text).then(|| AccessFlags::from_bits(bits))
}

fn role(name: String, body: &Value, change: Change) -> Option<Call> {
    let entries = |list: &str| body[list].as_array().cloned().unwrap_or_default();
    let cluster = |entry: &Value| Some((text(entry, "id")?, access(entry)?));
    let clusters: Vec<_> = entries("clusters").iter().map(cluster).collect::<Option<_>>()?;
    let bucket = |entry: &Value| {
        let bucket = &entry["bck"];
        let cluster = text(&bucket["namespace"], "uuid")?;
        Some((cluster, text(bucket, "provider")?, text(bucket, "name")?, access(entry)?))
    };
    let buckets: Vec<_> = entries("buckets").iter().map(bucket).collect::<Option<_>>()?;
    let description = text(body, "desc").unwrap_or_default();
    macro_rules! fill {
        ($change:expr) => {{
            let mut change = $change.description(description);
            for (cluster, access) in clusters {
                change = change.cluster(cluster, access);
            }
            for (cluster, provider, bucket, access) in buckets {
                change = change.bucket_of(cluster, provider, bucket, access);
            }
            null(change.await)
        }};
    }
    call(wanted::nothing, move |client| async move {
        match change {
            Change::Create => fill!(client.roles().create(name)),
            Change::Update => fill!(client.roles().update(name)),
        }
    })
}

fn urls(body: &Value) -> Option<Vec<String>> {
    body["urls"].as_array().into_iter().flatten().map(|url| url.as_str().map(str::to_owned)).collect()
}

fn register(body: &Value) -> Option<Call> {
    text(body, "id")?;
    let (alias, urls) = (text(body, "alias").unwrap_or_default(), urls(body)?);
    call(wanted::nothing, move |client| async move { null(client.clusters().register(&alias, &urls).await) })
}

fn update_cluster(id: String, body: &Value) -> Option<Call> {
    let (alias, urls) = (text(body, "alias"), urls(body)?);
    call(wanted::nothing, move |client| async move {
        let urls = (!urls.is_empty()).then_some(urls.as_slice());
        null(client.clusters().update(&id, alias.as_deref(), urls).await)
    })
}
