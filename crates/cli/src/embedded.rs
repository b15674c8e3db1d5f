//! The embedded server: one for a folder of data, shared by all processes that work on it.
//!
//! Three files lie in the folder beside the data:
//!
//! - `server.lock` is locked exclusively by the process that runs the server, for as long as it runs. The system
//!   lets go of the lock when the process ends, however it ends, so nobody has to guess whether a process of some
//!   number is still the right one.
//! - `server.json` says where the server is. It exists while the server accepts requests.
//! - `users.lock` is locked shared by every process that uses the server of another. Who runs the server waits
//!   for it in the end, so that no one's transfer breaks because a shorter command in another window is done.

use std::{
    fmt::Write as _,
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use longshore_devserver::{DevServer, Fault, Handle, StartError};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::Instant};

use crate::{
    failure::{Exit, Failure},
    interrupt::Interrupt,
    output::{ApoloServer, Output, S3Server, SupabaseServer},
};

/// How long another process may take to start or stop its server.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// The server of a folder of data.
#[derive(Debug)]
pub(crate) enum Embedded {
    /// This process runs it.
    Own(Box<Own>),
    /// Another process runs it.
    Attached(Attached),
}

/// A server that this process runs.
#[derive(Debug)]
pub(crate) struct Own {
    dir: PathBuf,
    handle: Handle,
    /// Held as long as the server runs.
    _lock: File,
}

/// A server that another process runs.
#[derive(Debug)]
pub(crate) struct Attached {
    info: Info,
    /// Keeps the other process from ending its server.
    _user: File,
}

/// What `server.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Info {
    /// Base URL of the AIStore gateway.
    pub(crate) aistore: String,
    /// Process that runs the server.
    pub(crate) pid: u32,
}

/// What a server shall be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Address of the gateway; any free port of the loopback interface by default.
    pub(crate) aistore: Option<String>,
    /// Address of an AuthN service; none by default, unless the cluster is guarded.
    pub(crate) authn: Option<String>,
    /// Address of an S3 endpoint; none by default.
    pub(crate) s3: Option<String>,
    /// Address of a Supabase Storage service; none by default.
    pub(crate) supabase: Option<String>,
    /// Address of an Apolo buckets service; none by default.
    pub(crate) apolo: Option<String>,
    /// Whether the cluster requires tokens.
    pub(crate) guarded: bool,
    /// Whether that address may be one that other machines reach.
    pub(crate) allow_remote: bool,
    /// Below which files may be promoted.
    pub(crate) promote_root: Option<PathBuf>,
    /// What it does wrong on purpose.
    pub(crate) faults: Vec<Fault>,
}

impl Embedded {
    /// Attaches to the server of this folder, or starts it if nobody else has.
    pub(crate) async fn open(dir: &Path) -> Result<Self, Failure> {
        make_folder(dir)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            // First of all: once this is held, the server of another process stays.
            if let Some(user) = try_lock(&dir.join("users.lock"), Lock::Shared)? {
                if let Some(lock) = try_lock(&dir.join("server.lock"), Lock::Exclusive)? {
                    drop(user);
                    return Own::start(dir, lock, Wishes::default())
                        .await
                        .map(|own| Self::Own(Box::new(own)));
                }
                if let Some(info) = read_info(dir)
                    && answers(&info).await
                {
                    return Ok(Self::Attached(Attached { info, _user: user }));
                }
            }
            if Instant::now() > deadline {
                return Err(Failure::new(
                    Exit::Failed,
                    format!(
                        "another process{} holds the embedded server's data in {} but serves nothing",
                        read_info(dir).map_or(String::new(), |info| format!(" ({})", info.pid)),
                        dir.display()
                    ),
                )
                .hint("end that process, or set AIS_ENDPOINT to work on a cluster"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Base URL of the AIStore gateway.
    pub(crate) fn aistore(&self) -> &str {
        match self {
            Self::Own(own) => own.handle.aistore_url(),
            Self::Attached(attached) => &attached.info.aistore,
        }
    }

    /// Lets go of it. A server of our own goes on until nobody else uses it.
    pub(crate) async fn close(self, out: &Output, interrupt: &Interrupt) {
        let Self::Own(own) = self else { return };
        let mut told = false;
        let users = loop {
            match try_lock(&own.dir.join("users.lock"), Lock::Exclusive) {
                Ok(Some(users)) => break Some(users),
                Ok(None) if interrupt.asked().is_none() => {}
                // Nothing can be waited for, or nobody wants to.
                _ => break None,
            }
            if !told {
                told = true;
                out.notice_text(
                    "done; the embedded server goes on for other longshore processes (Ctrl-C ends it)",
                );
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = interrupt.wait() => {}
            }
        };
        own.stop(out).await;
        drop(users);
    }
}

impl Own {
    /// Starts the server of a folder in the foreground; fails if it runs already.
    pub(crate) async fn claim(dir: &Path, wishes: Wishes) -> Result<Self, Failure> {
        make_folder(dir)?;
        if let Some(lock) = try_lock(&dir.join("server.lock"), Lock::Exclusive)? {
            return Self::start(dir, lock, wishes).await;
        }
        let by = |info: Info| format!(" by process {}, at {}", info.pid, info.aistore);
        let place = read_info(dir).map_or(String::new(), by);
        let message = format!("the data in {} is served already{place}", dir.display());
        Err(Failure::new(Exit::Failed, message)
            .hint("use that server, end it, or serve other data with --data DIR"))
    }

    async fn start(dir: &Path, lock: File, wishes: Wishes) -> Result<Self, Failure> {
        // What a process that was killed left behind is wrong from now on.
        remove_info(dir)?;
        let handle =
            start_server(&dir.join("aistore"), wishes).await.map_err(|error| start_failure(&error))?;
        let own = Self { dir: dir.to_owned(), handle, _lock: lock };
        let info = Info { aistore: own.handle.aistore_url().to_owned(), pid: std::process::id() };
        write_info(dir, &info)?;
        Ok(own)
    }

    /// Base URL of the AIStore gateway.
    pub(crate) fn aistore(&self) -> &str {
        self.handle.aistore_url()
    }

    /// Base URL of the AuthN service, if there is one.
    pub(crate) fn authn(&self) -> Option<&str> {
        self.handle.authn_url()
    }

    /// The Supabase Storage service, if there is one.
    pub(crate) fn supabase(&self) -> Option<SupabaseServer> {
        let settings = self.handle.supabase_settings();
        Some(SupabaseServer {
            url: self.handle.supabase_url()?.to_owned(),
            anon_key: settings.anon_key(),
            service_role_key: settings.service_key(),
            publishable_key: settings.publishable_key().to_owned(),
            secret_key: settings.secret_key().to_owned(),
            jwt_secret: settings.secret().to_owned(),
            s3_access_key: settings.s3_access_key().to_owned(),
            s3_secret_key: settings.s3_secret_key().to_owned(),
            s3_region: settings.region().to_owned(),
        })
    }

    /// The Apolo buckets service, if there is one, as the first of its users sees it.
    pub(crate) fn apolo(&self) -> Option<ApoloServer> {
        let (settings, url) = (self.handle.apolo_settings(), self.handle.apolo_url()?.to_owned());
        let (user, org, project) = ("alice", "acme", "proj1");
        Some(ApoloServer {
            token: settings.token(user),
            refresh_token: settings.refresh_token(user),
            passed_config: settings.passed_config(&url, user, org, project),
            cluster: settings.cluster().to_owned(),
            org: org.to_owned(),
            project: project.to_owned(),
            url,
        })
    }

    /// The S3 endpoint, if there is one.
    pub(crate) fn s3(&self) -> Option<S3Server> {
        let (access_key, secret_key) = self.handle.s3_key()?;
        Some(S3Server {
            url: self.handle.s3_url()?.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        })
    }

    /// Ends the server; what was committed is on disk.
    pub(crate) async fn stop(self, out: &Output) {
        // A file that stays is harmless: the next process finds nobody at that address and takes over.
        if let Err(Failure::Told(told)) = remove_info(&self.dir) {
            out.notice_text(told.to_string());
        }
        self.handle.shutdown().await;
    }
}

async fn start_server(data: &Path, wishes: Wishes) -> Result<Handle, StartError> {
    let mut builder =
        DevServer::builder().data_dir(data).guarded(wishes.guarded).allow_non_loopback(wishes.allow_remote);
    if let Some(dir) = wishes.promote_root {
        builder = builder.promote_root(dir);
    }
    if let Some(address) = wishes.authn {
        builder = builder.authn(address);
    }
    if let Some(address) = wishes.s3 {
        builder = builder.s3(address);
    }
    if let Some(address) = wishes.supabase {
        builder = builder.supabase(address);
    }
    if let Some(address) = wishes.apolo {
        builder = builder.apolo(address);
    }
    if let Some(address) = wishes.aistore {
        builder = builder.aistore(address);
    }
    let handle = builder.start().await?;
    for fault in wishes.faults {
        handle.faults().add(fault);
    }
    Ok(handle)
}

fn start_failure(error: &StartError) -> Failure {
    let (exit, hint) = match error {
        StartError::Address { .. } => (Exit::Usage, "an address is written 127.0.0.1:51080"),
        StartError::NotLoopback(_) => (Exit::Usage, "--allow-remote serves other machines too"),
        StartError::Bind { .. } => (Exit::Failed, "choose another port, or port 0 for any that is free"),
        _ => (Exit::Failed, "see that the folder can be written, or choose another one"),
    };
    let mut text = format!("cannot start the embedded server: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    Failure::new(exit, text).hint(hint)
}

#[derive(Clone, Copy, Debug)]
enum Lock {
    Shared,
    Exclusive,
}

/// Locks a file, which is made if need be; `None` if others hold it.
fn try_lock(path: &Path, lock: Lock) -> Result<Option<File>, Failure> {
    let cannot = |error| Failure::io(format!("cannot lock {}", path.display()), error);
    let file = private().read(true).write(true).create(true).truncate(false).open(path).map_err(cannot)?;
    let result = match lock {
        Lock::Shared => file.try_lock_shared(),
        Lock::Exclusive => file.try_lock(),
    };
    match result {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

fn make_folder(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir)
        .map_err(|error| Failure::io(format!("cannot make the folder {}", dir.display()), error))
}

/// Whether somebody listens there.
async fn answers(info: &Info) -> bool {
    let Some(address) = info.aistore.strip_prefix("http://") else { return false };
    matches!(tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await, Ok(Ok(_)))
}

fn info_path(dir: &Path) -> PathBuf {
    dir.join("server.json")
}

/// What the file says; `None` if there is none, or not a whole one yet.
fn read_info(dir: &Path) -> Option<Info> {
    serde_json::from_slice(&fs::read(info_path(dir)).ok()?).ok()
}

fn write_info(dir: &Path, info: &Info) -> Result<(), Failure> {
    let path = info_path(dir);
    let write = || {
        let temporary = path.with_extension("json.new");
        let mut file = private().write(true).create(true).truncate(true).open(&temporary)?;
        serde_json::to_writer(&file, info)?;
        file.write_all(b"\n")?;
        fs::rename(&temporary, &path)
    };
    write().map_err(|error: io::Error| Failure::io(format!("cannot write {}", path.display()), error))
}

fn remove_info(dir: &Path) -> Result<(), Failure> {
    let path = info_path(dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::io(format!("cannot remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// Opens files that nobody else may read.
fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_written_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_info(dir.path()), None);
        let info = Info { aistore: "http://127.0.0.1:9".into(), pid: 7 };
        write_info(dir.path(), &info).unwrap();
        assert_eq!(read_info(dir.path()), Some(info));
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &fs::metadata(info_path(dir.path())).unwrap().permissions(),
            );
            assert_eq!(mode & 0o777, 0o600);
        }
        remove_info(dir.path()).unwrap();
        remove_info(dir.path()).unwrap();
        assert_eq!(read_info(dir.path()), None);
    }

    #[test]
    fn locks_exclude_and_share() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let one = try_lock(&path, Lock::Shared).unwrap();
        assert!(try_lock(&path, Lock::Shared).unwrap().is_some());
        assert!(try_lock(&path, Lock::Exclusive).unwrap().is_none());
        drop(one);
        let all = try_lock(&path, Lock::Exclusive).unwrap();
        assert!(all.is_some() && try_lock(&path, Lock::Shared).unwrap().is_none());
    }
}
