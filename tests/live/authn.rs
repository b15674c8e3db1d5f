//! A real AuthN service: logging in, users, roles, clusters and tokens.

use std::{
    collections::BTreeSet,
    future::Future,
    process,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{StatusCode, header};
use libtest_mimic::{Failed, Trial};
use longshore::{
    aistore::{Bucket, ClientBuilder},
    authn::{AccessFlags, AuthnClient, CreateRole, TokenLifetime},
};
use longshore_core_types::{Error, ErrorKind, Payload, Result, Secret};
use tokio::runtime::Runtime;

use super::{
    cluster::trial,
    settings::{Missing, Superuser},
};

/// A real AuthN service, the cluster that it guards, and what the tests made in them.
pub(crate) struct Pair {
    runtime: Runtime,
    superuser: Superuser,
    admin: AuthnClient,
    pub(crate) endpoint: String,
    /// What the names of everything that is made begin with.
    prefix: String,
    names: AtomicUsize,
    made: Mutex<Made>,
    cluster: OnceLock<std::result::Result<String, String>>,
}

#[derive(Default)]
struct Made {
    users: Vec<String>,
    roles: Vec<String>,
    buckets: Vec<Bucket>,
    /// Id and alias of the cluster, if it was not registered before.
    cluster: Option<(String, String)>,
}

pub(crate) type Case = fn(&Pair) -> std::result::Result<(), Failed>;

const CASES: &[(&str, Case)] = &[
    ("login_and_logout", |pair| pair.wait(login_and_logout(pair))),
    ("users", |pair| pair.wait(users(pair))),
    ("roles", |pair| pair.wait(roles(pair))),
    ("permissions_are_strict_decimals", |pair| pair.wait(permissions_are_strict_decimals(pair))),
    ("clusters", |pair| pair.wait(clusters(pair))),
    ("tokens", |pair| pair.wait(tokens(pair))),
];

pub(crate) fn trials(pair: &std::result::Result<Arc<Pair>, Missing>) -> Vec<Trial> {
    CASES.iter().map(|&(name, case)| trial(format!("authn::{name}"), pair, case)).collect()
}

impl Pair {
    /// Does no I/O.
    pub(crate) fn new(superuser: Superuser) -> std::result::Result<Self, Missing> {
        let endpoint = std::env::var("AIS_ENDPOINT").map_err(|error| format!("AIS_ENDPOINT: {error}"))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            runtime: Runtime::new().map_err(|error| format!("no runtime: {error}"))?,
            admin: superuser.client()?,
            superuser,
            endpoint,
            prefix: format!("live-{}-{}", since.as_secs(), process::id()),
            names: AtomicUsize::default(),
            made: Mutex::default(),
            cluster: OnceLock::new(),
        })
    }

    /// Waits for a case. Before the first one the superuser logs in, and the cluster is registered unless it is.
    pub(crate) fn wait(&self, case: impl Future<Output = Result<()>>) -> std::result::Result<(), Failed> {
        let ready = self
            .cluster
            .get_or_init(|| self.runtime.block_on(self.find_cluster()).map_err(|error| error.chain()));
        ready.as_ref().map_err(|error| format!("the service is not usable: {error}"))?;
        self.runtime.block_on(case).map_err(|error| error.chain().into())
    }

    async fn find_cluster(&self) -> Result<String> {
        self.admin.login(self.superuser.name.as_str(), &self.superuser.password).await?;
        let client = ClientBuilder::from_env().token(self.admin_token()).build()?;
        let id = client.cluster().map().await?.uuid;
        match self.admin.clusters().get(&id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let alias = self.name();
                self.made().cluster = Some((id.clone(), alias.clone()));
                self.admin.clusters().register(&alias, std::slice::from_ref(&self.endpoint)).await?;
            }
            known => drop(known?),
        }
        Ok(id)
    }

    pub(crate) fn admin(&self) -> &AuthnClient {
        &self.admin
    }

    pub(crate) fn admin_token(&self) -> Secret {
        self.admin.token().map_or_else(|| Secret::from(""), |token| token.secret().clone())
    }

    /// Id of the cluster.
    pub(crate) fn cluster(&self) -> &str {
        self.cluster.get().and_then(|id| id.as_deref().ok()).unwrap_or_default()
    }

    /// A client of the service with a session of its own: nobody logged in.
    pub(crate) fn fresh(&self) -> AuthnClient {
        self.admin.fresh()
    }

    /// A name that nothing else has.
    fn name(&self) -> String {
        format!("{}-{}", self.prefix, self.names.fetch_add(1, Ordering::Relaxed))
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn role_name(&self) -> String {
        let name = self.name();
        self.made().roles.push(name.clone());
        name
    }

    pub(crate) fn user_name(&self) -> String {
        let name = self.name();
        self.made().users.push(name.clone());
        name
    }

    /// A user who has one role, which `access` defines. Returns its name; for the password see [`password`].
    pub(crate) async fn user(&self, access: impl FnOnce(CreateRole) -> CreateRole) -> Result<String> {
        let (role, user) = (self.role_name(), self.user_name());
        access(self.admin.roles().create(&role)).await?;
        self.admin.users().create(&user, &password()).role(role).await?;
        Ok(user)
    }

    /// A bucket of the guarded cluster, as the superuser sees it.
    pub(crate) async fn bucket(&self) -> Result<Bucket> {
        let client = ClientBuilder::from_env().token(self.admin_token()).build()?;
        let bucket = client.bucket(format!("longshore-{}", self.name()))?;
        self.made().buckets.push(bucket.clone());
        bucket.create().await?;
        Ok(bucket)
    }

    /// Removes everything that the tests made and did not remove themselves.
    pub(crate) fn clean(&self) -> std::result::Result<(), String> {
        let Made { users, roles, buckets, cluster } = std::mem::take(&mut *self.made());
        let gone = |result: Result<()>| match result {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.chain()),
            _ => Ok(()),
        };
        self.runtime.block_on(async {
            let mut outcomes = Vec::new();
            for bucket in buckets {
                outcomes.push(gone(bucket.delete().missing_ok(true).await));
            }
            for user in users {
                outcomes.push(gone(self.admin.users().delete(&user).await));
            }
            for role in roles {
                outcomes.push(gone(self.admin.roles().delete(&role).await));
            }
            if let Some((id, alias)) = cluster {
                outcomes.push(gone(self.admin.clusters().delete(&id).await));
                // The service leaves those that it made when the cluster was registered.
                for kind in ["ClusterOwner", "BucketOwner", "Guest"] {
                    outcomes.push(gone(self.admin.roles().delete(&format!("{kind}-{alias}")).await));
                }
            }
            let faults: Vec<String> = outcomes.into_iter().filter_map(std::result::Result::err).collect();
            if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
        })
    }
}

/// Of every user that is made here.
pub(crate) fn password() -> Secret {
    Secret::from("a password of a test")
}

/// What a test found to be wrong.
pub(crate) fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, what.into())
}

/// The kind of a failure.
pub(crate) fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

async fn login_and_logout(pair: &Pair) -> Result<()> {
    let user = pair.user(|role| role.description("nothing")).await?;
    let client = pair.fresh();
    let another = client.login(&user, &Secret::from("another")).await;
    assert_eq!(kind(another), Some(ErrorKind::Unauthenticated));
    let nobody = client.login(pair.name(), &password()).await;
    assert_eq!(kind(nobody), Some(ErrorKind::Unauthenticated));
    assert!(client.token().is_none());

    let mut lives = Vec::new();
    for lifetime in
        [TokenLifetime::For(Duration::from_mins(10)), TokenLifetime::ServerDefault, TokenLifetime::Maximum]
    {
        let claims = client.login(&user, &password()).lifetime(lifetime).await?.claims()?;
        assert_eq!((claims.user.as_str(), claims.admin), (user.as_str(), false));
        lives.push(claims.expires - claims.issued);
    }
    assert_eq!(lives[0], 600);
    assert!(lives[0] < lives[1] && lives[1] <= lives[2], "{lives:?}");

    // Users may ask about themselves, and about nobody else.
    assert_eq!(client.users().get(&user).await?.id, user);
    assert_eq!(kind(client.users().list().await), Some(ErrorKind::PermissionDenied));
    let token = client.login(&user, &password()).await?.secret().clone();
    client.logout().await?;
    assert!(client.token().is_none());
    assert_eq!(kind(client.users().get(&user).await), Some(ErrorKind::Unauthenticated));
    let late = AuthnClient::builder(client.url().to_string()).token(token.clone()).build()?;
    let Err(error) = late.users().get(&user).await else {
        return Err(wrong("the token serves after the logout"));
    };
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    // The service repeats the token in its answer.
    assert!(
        error.chain().contains("revoked") && !error.chain().contains(token.expose()),
        "{}",
        error.chain()
    );
    Ok(())
}

async fn users(pair: &Pair) -> Result<()> {
    let users = pair.admin().users();
    let (first, second) = (pair.role_name(), pair.role_name());
    for role in [&first, &second] {
        pair.admin().roles().create(role).await?;
    }
    let name = pair.user_name();
    // The service would drop the name of a role that does not exist, and hang up on a long password.
    let no_role = users.create(&name, &password()).role(pair.name()).await;
    assert_eq!(kind(no_role), Some(ErrorKind::NotFound));
    let long = Secret::from("p".repeat(73));
    assert_eq!(kind(users.create(&name, &long).await), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(users.get(&name).await), Some(ErrorKind::NotFound));

    let longest = Secret::from("p".repeat(72));
    let user = users.create(&name, &longest).role(&first).await?;
    assert_eq!(user.roles.iter().map(|role| &role.name).collect::<Vec<_>>(), [&first]);
    assert_eq!(users.list().await?.get(&name), Some(&user));
    assert_eq!(kind(users.create(&name, &longest).await), Some(ErrorKind::AlreadyExists));

    let user = users.update(&name).password(&password()).roles([&second]).await?;
    assert_eq!(user.roles.iter().map(|role| &role.name).collect::<Vec<_>>(), [&second]);
    assert_eq!(kind(pair.fresh().login(&name, &longest).await), Some(ErrorKind::Unauthenticated));
    pair.fresh().login(&name, &password()).await?;
    assert!(users.update(&name).roles([] as [&str; 0]).await?.roles.is_empty());
    users.delete(&name).await?;
    assert_eq!(kind(users.get(&name).await), Some(ErrorKind::NotFound));
    assert_eq!(kind(users.delete(&name).await), Some(ErrorKind::NotFound));
    Ok(())
}

/// An update overwrites entries of the same cluster or bucket, and leaves the others.
async fn roles(pair: &Pair) -> Result<()> {
    let (roles, id, name) = (pair.admin().roles(), pair.cluster(), pair.role_name());
    let role = roles.create(&name).description("first").cluster(id, AccessFlags::ALL);
    let role = role.bucket(id, "one", AccessFlags::GET).await?;
    assert_eq!((role.description.as_str(), role.is_admin), ("first", false));
    assert_eq!(role.clusters[0].access, AccessFlags::ALL);
    assert_eq!(roles.get(&name).await?, role);
    // A list has no aliases of clusters.
    let listed = roles.list().await?.into_iter().find(|listed| listed.name == name);
    assert_eq!(
        listed.map(|listed| (listed.description, listed.buckets)),
        Some(("first".to_owned(), role.buckets))
    );
    assert_eq!(kind(roles.create(&name).await), Some(ErrorKind::AlreadyExists));

    let role = roles.update(&name).bucket(id, "two", AccessFlags::RW);
    let role = role.bucket(id, "one", AccessFlags::NONE).await?;
    assert_eq!((role.description.as_str(), role.clusters[0].access), ("first", AccessFlags::ALL));
    let buckets: Vec<_> = role.buckets.iter().map(|acl| (acl.bucket.name.as_str(), acl.access)).collect();
    assert_eq!(buckets, [("one", AccessFlags::NONE), ("two", AccessFlags::RW)]);
    // Bits that have no name yet are kept.
    let unnamed = AccessFlags::RO | AccessFlags::from_bits(1 << 40);
    let role = roles.update(&name).description("second").cluster(id, unnamed).await?;
    assert_eq!((role.description.as_str(), role.clusters.len()), ("second", 1));
    assert_eq!((role.clusters[0].access, role.buckets.len()), (unnamed, 2));

    let nowhere = roles.update(&name).cluster(pair.name(), AccessFlags::RO).await;
    assert_eq!(kind(nowhere), Some(ErrorKind::NotFound));
    roles.delete(&name).await?;
    assert_eq!(kind(roles.get(&name).await), Some(ErrorKind::NotFound));
    assert_eq!(kind(roles.update("Admin").description("x").await), Some(ErrorKind::PermissionDenied));
    assert_eq!(kind(roles.delete("Admin").await), Some(ErrorKind::PermissionDenied));
    Ok(())
}

/// The one form that this crate writes is the only one that the service takes.
async fn permissions_are_strict_decimals(pair: &Pair) -> Result<()> {
    let name = pair.role_name();
    let send = async |access: serde_json::Value| {
        let role = serde_json::json!({"name": name, "clusters": [{"id": pair.cluster(), "perm": access}]});
        let request = http::Request::post(format!("{}/v1/roles", pair.admin().url()))
            .header(header::AUTHORIZATION, format!("Bearer {}", pair.admin_token().expose()))
            .body(Payload::from(role.to_string().into_bytes()));
        let request = request.map_err(|error| wrong(error.to_string()))?;
        let answer = pair.admin().transport().send(request).await;
        Ok::<_, Error>(answer.map_err(|error| wrong(error.to_string()))?.status())
    };
    for bad in ["0771", "+771", "-1", "0x303", "", "ro", "18446744073709551616"] {
        assert_eq!(send(bad.into()).await?, StatusCode::BAD_REQUEST, "{bad:?}");
        assert!(serde_json::from_value::<AccessFlags>(bad.into()).is_err(), "{bad:?}");
    }
    assert_eq!(send(771.into()).await?, StatusCode::BAD_REQUEST);
    assert_eq!(kind(pair.admin().roles().get(&name).await), Some(ErrorKind::NotFound));
    assert_eq!(send("771".into()).await?, StatusCode::OK);
    assert_eq!(pair.admin().roles().get(&name).await?.clusters[0].access, AccessFlags::RO);
    Ok(())
}

async fn clusters(pair: &Pair) -> Result<()> {
    let clusters = pair.admin().clusters();
    let cluster = clusters.get(pair.cluster()).await?;
    assert_eq!(cluster.id, pair.cluster());
    assert_eq!(clusters.list().await?.get(&cluster.id), Some(&cluster));
    let again = clusters.register(&pair.name(), std::slice::from_ref(&pair.endpoint)).await;
    assert_eq!(kind(again), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(clusters.get(&pair.name()).await), Some(ErrorKind::NotFound));
    assert_eq!(kind(clusters.delete(&pair.name()).await), Some(ErrorKind::NotFound));
    // The service asks the cluster again whether it accepts its tokens.
    assert_eq!(clusters.update(&cluster.id, None, Some(&cluster.urls)).await?, cluster);
    let Some((_, alias)) = pair.made().cluster.clone() else { return Ok(()) };

    assert_eq!((&cluster.alias, &cluster.urls[..]), (&alias, std::slice::from_ref(&pair.endpoint)));
    let roles: BTreeSet<String> = pair.admin().roles().list().await?.into_iter().map(|r| r.name).collect();
    for kind in ["ClusterOwner", "BucketOwner", "Guest"] {
        assert!(roles.contains(&format!("{kind}-{alias}")), "{roles:?}");
    }
    let other = pair.name();
    assert_eq!(clusters.update(&cluster.id, Some(&other), None).await?.alias, other);
    assert_eq!(clusters.get(&other).await?.id, cluster.id);
    Ok(())
}

async fn tokens(pair: &Pair) -> Result<()> {
    let user = pair.user(|role| role.description("nothing")).await?;
    let client = pair.fresh();
    let token = client.login(&user, &password()).await?;
    // Who has a token may end it, without being logged in; twice is no error.
    let tokens = pair.fresh().tokens();
    tokens.revoke(token.secret()).await?;
    tokens.revoke(token.secret()).await?;
    assert_eq!(kind(client.users().get(&user).await), Some(ErrorKind::Unauthenticated));
    let forged = Secret::from(format!("{}x", token.secret().expose()));
    assert_eq!(kind(tokens.revoke(&forged).await), Some(ErrorKind::Unauthenticated));
    Ok(())
}
