//! Configuring and starting a server.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::aistore::cloud::{Cloud, Origin};
use crate::aistore::ids::short_id;
use crate::aistore::{Cluster, Guard, Node, NodeAddress, Settings, TARGETS};
use crate::apolo::{self, ApoloSettings};
use crate::authn::{self, OwnCluster, Service};
use crate::handle::{Handle, Ready, S3Ready};
use crate::http::{Restart, serve};
use crate::journal::{DEFAULT_CAPACITY, Journal};
use crate::s3;
use crate::storage::{DataDir, Storage, StorageError};
use crate::supabase::{self, SupabaseSettings};

/// Entry point: [`DevServer::builder`].
#[derive(Clone, Copy, Debug)]
pub struct DevServer;

impl DevServer {
    /// A server with an empty temporary directory on free loopback ports, to be configured further.
    pub fn builder() -> DevServerBuilder {
        DevServerBuilder {
            data_dir: None,
            aistore: "127.0.0.1:0".into(),
            durable: false,
            allow_non_loopback: false,
            journal_capacity: DEFAULT_CAPACITY,
            promote_root: PathBuf::from("/var/lib/ais/promote"),
            job_idle: Duration::from_secs(5),
            authn: None,
            guarded: false,
            secret: None,
            s3: None,
            s3_key: ("longshore".into(), "longshore-secret".into()),
            users: authn::Settings {
                superuser: ("admin".into(), "admin".into()),
                lifetime: Duration::from_hours(24),
                max_age: Duration::from_hours(90 * 24),
            },
            supabase: None,
            supabase_settings: SupabaseSettings::default(),
            apolo: None,
            apolo_settings: ApoloSettings::default(),
        }
    }
}

/// Settings of a server that is not running yet.
#[derive(Clone)]
#[must_use = "a server runs once it is started"]
pub struct DevServerBuilder {
    data_dir: Option<PathBuf>,
    aistore: String,
    durable: bool,
    allow_non_loopback: bool,
    journal_capacity: usize,
    promote_root: PathBuf,
    job_idle: Duration,
    authn: Option<String>,
    guarded: bool,
    secret: Option<String>,
    s3: Option<String>,
    s3_key: (String, String),
    users: authn::Settings,
    supabase: Option<String>,
    supabase_settings: SupabaseSettings,
    apolo: Option<String>,
    apolo_settings: ApoloSettings,
}

impl std::fmt::Debug for DevServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevServerBuilder")
            .field("data_dir", &self.data_dir)
            .field("aistore", &self.aistore)
            .field("authn", &self.authn)
            .field("guarded", &self.guarded)
            .field("s3", &self.s3)
            .field("users", &self.users)
            .field("supabase", &self.supabase)
            .field("supabase_settings", &self.supabase_settings)
            .field("apolo", &self.apolo)
            .field("apolo_settings", &self.apolo_settings)
            .finish_non_exhaustive()
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not understood.
    #[error("bad address {address:?}: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is not a loopback address, and nothing else was allowed.
    #[error(
        "{0} is not a loopback address; anybody who reaches it could read and write: allow_non_loopback(true)"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error("cannot open the data directory {}: {reason}", dir.display())]
    Storage {
        /// The directory.
        dir: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The server's thread or runtime could not be started.
    #[error("cannot start the server's threads")]
    Threads(#[source] io::Error),
}

impl DevServerBuilder {
    /// Keeps buckets and objects in `dir`, which is created if missing, across restarts.
    /// Default: a temporary directory that is removed with the server.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Address of the AIStore gateway, `HOST:PORT`; port 0 takes a free one. Targets take free ports on the same
    /// host. Default: `127.0.0.1:0`.
    pub fn aistore(mut self, address: impl Into<String>) -> Self {
        self.aistore = address.into();
        self
    }

    /// Syncs every body and commit to the device, so that answered writes survive a crash of the machine. Without it
    /// they survive the death of the process, at any moment. Default: off; it costs a few milliseconds per write.
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Allows addresses other machines can reach. Unless [`guarded`](Self::guarded) it checks no
    /// credentials. Default: off.
    pub fn allow_non_loopback(mut self, allow: bool) -> Self {
        self.allow_non_loopback = allow;
        self
    }

    /// Requests that the journal keeps. Default: 10,000.
    pub fn journal_capacity(mut self, entries: usize) -> Self {
        self.journal_capacity = entries;
        self
    }

    /// Directory below which `promote` may read files of this machine. Default: `/var/lib/ais/promote`, as in AIStore.
    pub fn promote_root(mut self, dir: impl Into<PathBuf>) -> Self {
        self.promote_root = dir.into();
        self
    }

    /// How long multi-object jobs stay listed as running, idle, after their work is done. Default: 5 s.
    pub fn job_idle(mut self, idle: Duration) -> Self {
        self.job_idle = idle;
        self
    }

    /// Runs an AuthN service at `HOST:PORT`; port 0 takes a free one. Users, roles and revocations live in the data
    /// directory. Clusters that trust its tokens can be registered with it; the own cluster trusts them from the start.
    /// Default: none, unless [`guarded`](Self::guarded).
    pub fn authn(mut self, address: impl Into<String>) -> Self {
        self.authn = Some(address.into());
        self
    }

    /// Makes the AIStore cluster require tokens, and registers it with the AuthN service under the alias `dev`. Starts
    /// that service on a free loopback port if [`authn`](Self::authn) names none. Default: off.
    pub fn guarded(mut self, guarded: bool) -> Self {
        self.guarded = guarded;
        self
    }

    /// Name and password of the AuthN administrator; a data directory that has users keeps those. Default: `admin` and
    /// `admin`.
    pub fn superuser(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.superuser = (name.into(), password.into());
        self
    }

    /// Secret that tokens are signed with (HS256). Default: a random one, kept in the data directory.
    pub fn authn_secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Lifetime of tokens that are asked for without one, in whole seconds; here it may be shorter than the minute that
    /// a login can ask for, so that tests can see tokens expire. Default: 24 h.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.users.lifetime = lifetime;
        self
    }

    /// Longest lifetime of tokens, which is also what a login gets that asks for zero. Default: 90 days.
    pub fn max_token_age(mut self, age: Duration) -> Self {
        self.users.max_age = age;
        self
    }

    /// Runs an S3 endpoint at `HOST:PORT`; port 0 takes a free one. Its buckets and objects live in the data directory;
    /// the AIStore cluster sees them as the cloud behind it, under `aws://`. Requests are signed with [`s3_key`](Self::s3_key). Default: none.
    pub fn s3(mut self, address: impl Into<String>) -> Self {
        self.s3 = Some(address.into());
        self
    }

    /// Access key and secret of the S3 endpoint. Default: `longshore` and `longshore-secret`.
    pub fn s3_key(mut self, access_key: impl Into<String>, secret: impl Into<String>) -> Self {
        self.s3_key = (access_key.into(), secret.into());
        self
    }

    /// Runs a Supabase Storage service at `HOST:PORT`; port 0 takes a free one. Default: none.
    pub fn supabase(mut self, address: impl Into<String>) -> Self {
        self.supabase = Some(address.into());
        self
    }

    /// Keys, limits and rules of the Supabase Storage service. Default: those of a local Supabase.
    pub fn supabase_settings(mut self, settings: SupabaseSettings) -> Self {
        self.supabase_settings = settings;
        self
    }

    /// Runs the buckets service of an Apolo cluster at `HOST:PORT`; port 0 takes a free one. Its buckets lie on the S3
    /// endpoint, which is started on a free loopback port if [`s3`](Self::s3) names none. Default: none.
    pub fn apolo(mut self, address: impl Into<String>) -> Self {
        self.apolo = Some(address.into());
        self
    }

    /// Users, rights and limits of the Apolo buckets service.
    pub fn apolo_settings(mut self, settings: ApoloSettings) -> Self {
        self.apolo_settings = settings;
        self
    }

    /// Starts the server on threads of its own; returns once it accepts requests.
    pub async fn start(self) -> Result<Handle, StartError> {
        let (ready, started) = oneshot::channel();
        let starting = self.launch(ready)?;
        finish(started.await, starting)
    }

    /// As [`start`](Self::start), for code without a runtime. Must not be called from asynchronous code.
    pub fn start_blocking(self) -> Result<Handle, StartError> {
        let (ready, started) = oneshot::channel();
        let starting = self.launch(ready)?;
        finish(started.blocking_recv(), starting)
    }

    fn launch(self, ready: oneshot::Sender<Result<Ready, StartError>>) -> Result<Starting, StartError> {
        let address = self.address(&self.aistore)?;
        let authn = match &self.authn {
            Some(text) => Some(self.address(text)?),
            None if self.guarded => Some(SocketAddr::new(address.ip(), 0)),
            None => None,
        };
        let some = |text: &Option<String>| text.as_deref().map(|text| self.address(text)).transpose();
        let (supabase, apolo) = (some(&self.supabase)?, some(&self.apolo)?);
        // Buckets of Apolo lie on S3.
        let s3 = some(&self.s3)?.or_else(|| apolo.map(|apolo| SocketAddr::new(apolo.ip(), 0)));
        let addresses = Addresses { aistore: address, authn, s3, supabase, apolo };
        let (stop, stopping) = watch::channel(false);
        let (done, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("longshore-dev")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let main = move || {
            runtime.block_on(async move {
                match Running::open(&self, addresses).await {
                    Ok((running, what)) => {
                        if ready.send(Ok(what)).is_ok() {
                            running.run(stopping).await;
                        }
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
            drop(runtime);
            let _ = done.send(());
        };
        let thread = std::thread::Builder::new()
            .name("longshore-dev-main".into())
            .spawn(main)
            .map_err(StartError::Threads)?;
        Ok(Starting { stop, ended, thread })
    }

    fn address(&self, text: &str) -> Result<SocketAddr, StartError> {
        let bad = |reason: String| StartError::Address { address: text.to_owned(), reason };
        let mut found = text.to_socket_addrs().map_err(|e| bad(e.to_string()))?;
        let address = found.next().ok_or_else(|| bad("no address".into()))?;
        if !address.ip().is_loopback() && !self.allow_non_loopback {
            return Err(StartError::NotLoopback(address));
        }
        Ok(address)
    }

    fn directory(&self) -> Result<DataDir, StartError> {
        match &self.data_dir {
            Some(dir) => Ok(DataDir::Kept(dir.clone())),
            None => tempfile::Builder::new()
                .prefix("longshore-dev-")
                .tempdir()
                .map(DataDir::Temporary)
                .map_err(|e| StartError::Storage { dir: std::env::temp_dir(), reason: e.to_string() }),
        }
    }
}

fn finish(
    started: Result<Result<Ready, StartError>, oneshot::error::RecvError>,
    starting: Starting,
) -> Result<Handle, StartError> {
    let gone = || StartError::Threads(io::Error::other("the server's thread ended"));
    let ready = started.map_err(|_| gone())??;
    Ok(Handle::new(ready, starting))
}

/// The thread of a server and the way to end it.
#[derive(Debug)]
pub(crate) struct Starting {
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) ended: oneshot::Receiver<()>,
    pub(crate) thread: std::thread::JoinHandle<()>,
}

/// Where the services are to listen.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    aistore: SocketAddr,
    authn: Option<SocketAddr>,
    s3: Option<SocketAddr>,
    supabase: Option<SocketAddr>,
    apolo: Option<SocketAddr>,
}

type Listener = (TcpListener, mpsc::Receiver<Restart>);

/// A server that has bound its listeners.
struct Running {
    listeners: Vec<Listener>,
    cluster: Arc<Cluster>,
    storage: Arc<Storage>,
    authn: Option<(Listener, authn::Server)>,
    s3: Option<(Listener, s3::Server)>,
    supabase: Option<(Listener, supabase::Server)>,
    apolo: Option<(Listener, apolo::Server)>,
    // Dropped last: removes a temporary directory.
    _dir: DataDir,
}

impl Running {
    async fn open(builder: &DevServerBuilder, wanted: Addresses) -> Result<(Self, Ready), StartError> {
        let dir = builder.directory()?;
        let refused = |e: StorageError| storage_error(dir.path(), &e);
        let storage = Arc::new(Storage::open(dir.path(), builder.durable).map_err(refused)?);
        let (listeners, mut addresses) = bind_nodes(wanted.aistore).await?;
        let gateway = addresses.remove(0);
        let authn = bind_some(wanted.authn).await?;
        let s3 = bind_some(wanted.s3).await?;
        let supabase = bind_some(wanted.supabase).await?;
        let apolo = bind_some(wanted.apolo).await?;
        let s3_ready =
            s3.as_ref().map(|(_, _, at)| S3Ready { address: at.address, key: builder.s3_key.clone() });
        let ready = Ready {
            s3: s3_ready,
            address: gateway.address,
            authn: authn.as_ref().map(|(_, _, at)| at.address),
            supabase: supabase.as_ref().map(|(_, _, at)| at.address),
            supabase_settings: builder.supabase_settings.clone(),
            apolo: apolo.as_ref().map(|(_, _, at)| at.address),
            apolo_settings: builder.apolo_settings.clone(),
            data_dir: dir.path().to_owned(),
            faults: Arc::default(),
            journal: Arc::new(Journal::new(builder.journal_capacity)),
            job_time: Arc::default(),
        };
        let secret = authn::secret(&storage, builder.secret.as_deref()).map_err(refused)?;
        let provider = match &s3 {
            Some((_, _, at)) => Some(open_provider(&storage, builder, at).await.map_err(refused)?),
            None => None,
        };
        let cloud = provider.as_ref().map(|provider| cloud_over(provider, &storage, &ready));
        let cluster = Cluster::new(
            Arc::clone(&storage),
            gateway,
            addresses,
            Arc::clone(&ready.faults),
            Arc::clone(&ready.journal),
            Settings {
                promote_root: builder.promote_root.clone(),
                job_idle: builder.job_idle,
                job_time: Arc::clone(&ready.job_time),
                uuid: storage.cluster_id(short_id).await.map_err(refused)?,
                guard: Arc::new(Guard::new(secret.clone(), builder.guarded)),
                cloud,
            },
        )
        .map_err(refused)?;
        cluster.buckets.purge_strays().await.map_err(refused)?;
        let authn = match authn {
            Some((listener, restarts, at)) => {
                let own = OwnCluster {
                    uuid: cluster.uuid.clone(),
                    url: cluster.gateway.url(),
                    guard: Arc::clone(&cluster.guard),
                };
                let place = authn::Place {
                    address: at.address,
                    restarts: at.restarts,
                    faults: Arc::clone(&ready.faults),
                    journal: Arc::clone(&ready.journal),
                };
                let (store, users) = (Arc::clone(&storage), &builder.users);
                let service = Service::open(store, users, secret, own, builder.guarded, place).await;
                let service = service.map_err(|fail| StartError::Storage {
                    dir: dir.path().to_owned(),
                    reason: fail.message,
                })?;
                Some(((listener, restarts), authn::Server(Arc::new(service))))
            }
            None => None,
        };
        let s3 = s3.zip(provider.as_ref()).map(|((listener, restarts, at), provider)| {
            ((listener, restarts), s3_over(provider, &storage, &ready, at.restarts))
        });
        let apolo = match (apolo, provider) {
            (Some((listener, queue, at)), Some(provider)) => {
                let server = apolo_over(provider, &storage, builder, &ready, at).map_err(refused)?;
                Some(((listener, queue), server))
            }
            _ => None,
        };
        let supabase = supabase.map(|(listener, queue, at)| {
            let service = supabase::Service::new(
                Arc::clone(&storage),
                builder.supabase_settings.clone(),
                Arc::clone(&ready.faults),
                Arc::clone(&ready.journal),
                at.restarts,
            );
            ((listener, queue), supabase::Server(Arc::new(service)))
        });
        let cluster = Arc::new(cluster);
        Ok((Self { listeners, cluster, storage, authn, s3, supabase, apolo, _dir: dir }, ready))
    }

    async fn run(self, stopping: watch::Receiver<bool>) {
        let mut nodes = JoinSet::new();
        for (index, (listener, restarts)) in self.listeners.into_iter().enumerate() {
            let node = Node { cluster: Arc::clone(&self.cluster), target: index.checked_sub(1) };
            nodes.spawn(serve(listener, Arc::new(node), restarts, stopping.clone()));
        }
        if let Some(((listener, restarts), server)) = self.authn {
            nodes.spawn(serve(listener, Arc::new(server), restarts, stopping.clone()));
        }
        if let Some(((listener, restarts), server)) = self.s3 {
            nodes.spawn(serve(listener, Arc::new(server), restarts, stopping.clone()));
        }
        if let Some(((listener, restarts), server)) = self.supabase {
            nodes.spawn(serve(listener, Arc::new(server), restarts, stopping.clone()));
        }
        if let Some(((listener, restarts), server)) = self.apolo {
            nodes.spawn(serve(listener, Arc::new(server), restarts, stopping.clone()));
        }
        while let Some(ended) = nodes.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::error!(%error, "listener ended");
            }
        }
        if let Err(error) = self.storage.close().await {
            tracing::warn!(%error, "storage not closed in order");
        }
    }
}

/// The buckets of S3 and the keys that open them.
async fn open_provider(
    storage: &Arc<Storage>,
    builder: &DevServerBuilder,
    at: &NodeAddress,
) -> Result<apolo::Provider, StorageError> {
    let keys = Arc::new(s3::Keys::default());
    let master = builder.s3_key.clone();
    keys.add(master.0.clone(), s3::Key::master(master.1.clone()));
    let buckets = Arc::new(s3::OwnBuckets::open(Arc::clone(storage)).await?);
    Ok(apolo::Provider { endpoint: format!("http://{}", at.address), buckets, keys, master })
}

fn s3_over(
    provider: &apolo::Provider,
    storage: &Arc<Storage>,
    ready: &Ready,
    restarts: mpsc::Sender<Restart>,
) -> s3::Server {
    let own = Arc::clone(&provider.buckets);
    let (buckets, keys): (Arc<dyn s3::Catalog>, _) = (own, Arc::clone(&provider.keys));
    s3::Server::new(storage, &buckets, keys, restarts, Arc::clone(&ready.faults), Arc::clone(&ready.journal))
}

fn cloud_over(provider: &apolo::Provider, storage: &Arc<Storage>, ready: &Ready) -> Cloud {
    let buckets: Arc<dyn s3::Catalog> = Arc::<s3::OwnBuckets>::clone(&provider.buckets);
    let direct = s3::Direct::new(Arc::clone(storage), buckets);
    Cloud::new(Origin::new(direct, Arc::clone(&ready.faults)), provider.endpoint.clone())
}

fn apolo_over(
    provider: apolo::Provider,
    storage: &Arc<Storage>,
    builder: &DevServerBuilder,
    ready: &Ready,
    at: NodeAddress,
) -> Result<apolo::Server, StorageError> {
    let place = apolo::Place {
        url: format!("http://{}", at.address),
        restarts: at.restarts,
        faults: Arc::clone(&ready.faults),
        journal: Arc::clone(&ready.journal),
    };
    let settings = builder.apolo_settings.clone();
    let service = apolo::Service::open(Arc::clone(storage), settings, place, provider)?;
    Ok(apolo::Server(Arc::new(service)))
}

fn storage_error(dir: &Path, error: &StorageError) -> StartError {
    StartError::Storage { dir: dir.to_owned(), reason: error.to_string() }
}

type Bound = (TcpListener, mpsc::Receiver<Restart>, NodeAddress);

async fn bind_some(wanted: Option<SocketAddr>) -> Result<Option<Bound>, StartError> {
    match wanted {
        Some(wanted) => bind(wanted).await.map(Some),
        None => Ok(None),
    }
}

/// Binds the nodes of the cluster: the gateway where it is wanted, the targets beside it.
async fn bind_nodes(gateway: SocketAddr) -> Result<(Vec<Listener>, Vec<NodeAddress>), StartError> {
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for index in 0..=TARGETS {
        let wanted = if index == 0 { gateway } else { SocketAddr::new(gateway.ip(), 0) };
        let (listener, restarts, at) = bind(wanted).await?;
        listeners.push((listener, restarts));
        addresses.push(at);
    }
    Ok((listeners, addresses))
}

async fn bind(wanted: SocketAddr) -> Result<Bound, StartError> {
    let failed = |source| StartError::Bind { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (restarts, queue) = mpsc::channel(1);
    Ok((listener, queue, NodeAddress { address, restarts }))
}
