//! Users.

use std::{collections::BTreeMap, future::IntoFuture, pin::Pin};

use longshore_core_types::{Error, ErrorKind, Result, Secret};

use crate::{
    AuthnClient, User,
    wire::{self, NewRoles},
};

/// Calls on users, of [`AuthnClient::users`]. They need an administrator, but for what concerns oneself.
#[derive(Clone, Debug)]
#[doc(alias = "UserManager")]
pub struct Users {
    client: AuthnClient,
}

impl Users {
    pub(crate) fn new(client: AuthnClient) -> Self {
        Self { client }
    }

    /// The client that makes the calls.
    pub fn client(&self) -> &AuthnClient {
        &self.client
    }

    /// All users by name, the superuser included. Retried.
    pub async fn list(&self) -> Result<BTreeMap<String, User>> {
        self.client.json(wire::list_users()).await
    }

    /// One user. Users may ask about themselves. `NotFound` if there is none. Retried.
    pub async fn get(&self, id: &str) -> Result<User> {
        self.client.json(wire::get_user(id)?).await
    }

    /// Creates a user; see [`CreateUser`].
    pub fn create(&self, id: impl Into<String>, password: &Secret) -> CreateUser {
        CreateUser { users: self.clone(), id: id.into(), password: password.clone(), roles: Vec::new() }
    }

    /// Changes a user; see [`UpdateUser`].
    pub fn update(&self, id: impl Into<String>) -> UpdateUser {
        UpdateUser { users: self.clone(), id: id.into(), password: None, roles: NewRoles::Keep }
    }

    /// Deletes a user. Its tokens stay valid until they expire or are revoked. `NotFound` if there is none,
    /// `PermissionDenied` for the built-in `admin`. Retried.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.client.delete(wire::delete_user(id)?).await
    }

    /// Fails if one of these roles does not exist: the service would drop its name without a word.
    async fn check_roles(&self, roles: &[String]) -> Result<()> {
        for role in roles {
            self.client.roles().get(role).await?;
        }
        Ok(())
    }

    /// Reads the user back and fails if the service dropped a role that was deleted meanwhile.
    async fn read_back(&self, id: &str, roles: &[String]) -> Result<User> {
        let user = self.get(id).await?;
        let has = |name: &String| user.roles.iter().any(|role| role.name == *name);
        let lost: Vec<&str> = roles.iter().filter(|name| !has(name)).map(String::as_str).collect();
        if lost.is_empty() {
            return Ok(user);
        }
        let lost = lost.join(", ");
        Err(Error::new(
            ErrorKind::Conflict,
            format!("user {id} was stored without these roles, which do not exist any more: {lost}"),
        ))
    }
}

type Pending = Pin<Box<dyn Future<Output = Result<User>> + Send>>;

/// A user that is about to be created; `.await` creates it and returns it as it is stored.
///
/// Roles are looked up first, so that a misspelt one is `NotFound` and nothing is created. A password of more
/// than 72 bytes is `InvalidInput`: the service would hang up. `AlreadyExists` if the name is taken. Not
/// retried once the service may have seen it.
#[must_use = "nothing is sent until it is awaited"]
#[derive(Debug)]
pub struct CreateUser {
    users: Users,
    id: String,
    password: Secret,
    roles: Vec<String>,
}

impl CreateUser {
    /// Gives the user a role. May be called several times.
    pub fn role(mut self, name: impl Into<String>) -> Self {
        self.roles.push(name.into());
        self
    }

    /// Gives the user roles.
    pub fn roles<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.roles.extend(names.into_iter().map(Into::into));
        self
    }
}

impl IntoFuture for CreateUser {
    type Output = Result<User>;
    type IntoFuture = Pending;

    fn into_future(self) -> Pending {
        Box::pin(async move {
            // Built first: bad input is reported before anything is sent.
            let request = wire::create_user(&self.id, &self.password, &self.roles)?;
            self.users.check_roles(&self.roles).await?;
            self.users.client.done(request).await?;
            self.users.read_back(&self.id, &self.roles).await
        })
    }
}

/// A change of a user that is about to be made; `.await` makes it and returns the user.
///
/// Users may change their own password. Tokens that exist keep their access until they expire.
#[must_use = "nothing is sent until it is awaited"]
#[derive(Debug)]
pub struct UpdateUser {
    users: Users,
    id: String,
    password: Option<Secret>,
    roles: NewRoles,
}

impl UpdateUser {
    /// Sets another password.
    pub fn password(mut self, password: &Secret) -> Self {
        self.password = Some(password.clone());
        self
    }

    /// Replaces all roles. With none, the user has no role afterwards.
    pub fn roles<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.roles = if names.is_empty() { NewRoles::Clear } else { NewRoles::Replace(names) };
        self
    }
}

impl IntoFuture for UpdateUser {
    type Output = Result<User>;
    type IntoFuture = Pending;

    fn into_future(self) -> Pending {
        Box::pin(async move {
            if self.password.is_none() && matches!(self.roles, NewRoles::Keep) {
                return Err(Error::new(ErrorKind::InvalidInput, "neither a password nor roles to change"));
            }
            let request = wire::update_user(&self.id, self.password.as_ref(), &self.roles)?;
            let roles = match self.roles {
                NewRoles::Replace(names) => names,
                NewRoles::Keep | NewRoles::Clear => Vec::new(),
            };
            self.users.check_roles(&roles).await?;
            self.users.client.done(request).await?;
            self.users.read_back(&self.id, &roles).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_transport::{
        RetryConfig,
        testing::{Reply, ScriptedService},
    };

    use super::*;

    fn client(service: &ScriptedService) -> AuthnClient {
        AuthnClient::builder("http://authn").service(service.clone()).build().unwrap()
    }

    #[tokio::test]
    async fn a_role_that_is_dropped_at_the_last_moment_is_reported() {
        let role = || Reply::ok(r#"{"name":"r","clusters":null,"buckets":null}"#);
        let stored = || Reply::ok(r#"{"id":"bob","roles":[]}"#);
        let service =
            ScriptedService::replies([role(), Reply::ok(""), stored(), role(), Reply::ok(""), stored()]);
        let users = client(&service).users();
        for error in [
            users.create("bob", &Secret::from("sesame")).role("r").await.unwrap_err(),
            users.update("bob").roles(["r"]).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.to_string().contains("do not exist any more: r"), "{error}");
        }
        assert_eq!(service.requests().len(), 6);
    }

    /// The answer to the first attempt was lost, and it did what it should.
    #[tokio::test]
    async fn what_a_repetition_finds_deleted_is() {
        let replies = [503, 404, 503, 404, 503, 404, 404].map(Reply::status);
        let service = ScriptedService::replies(replies);
        let wait = Duration::from_millis(1);
        let retry = RetryConfig::default().waits(wait, wait);
        let client = AuthnClient::builder("http://authn").retry(retry).service(service).build().unwrap();
        client.users().delete("bob").await.unwrap();
        client.roles().delete("r").await.unwrap();
        client.clusters().delete("c").await.unwrap();
        assert_eq!(client.users().delete("bob").await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_misspelt_role_stops_the_change() {
        let service = ScriptedService::replies([Reply::status(404), Reply::status(404)]);
        let users = client(&service).users();
        let created = users.create("bob", &Secret::from("sesame")).role("nosuch").await;
        let changed = users.update("bob").roles(["nosuch"]).await;
        for outcome in [created, changed] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(service.requests().len(), 2, "only the roles were asked for");
    }
}
