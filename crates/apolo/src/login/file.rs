//! The file of a login: an `SQLite` database with one row, which the platform's client reads and writes too.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use longshore_core_types::{Error, ErrorKind, Result, Secret};
use rusqlite::{Connection, OpenFlags, Row, params};
use serde::Deserialize;

use super::{invalid, token};

/// Name of the database.
const NAME: &str = "db";

/// Whoever renews the token holds a lock on this file. The database itself must not be opened by others than `SQLite`:
/// to close it would end the locks of `SQLite`.
const LOCK: &str = "longshore.lock";

/// How often it is looked whether another process is done.
const LOOK: Duration = Duration::from_millis(50);

/// What the file says.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub(super) url: String,
    pub(super) token: Secret,
    /// From when on the token is to be renewed: the platform's client writes when three quarters of its life are over.
    pub(super) renew_from: SystemTime,
    pub(super) refresh_token: Option<Secret>,
    pub(super) token_url: String,
    pub(super) client_id: String,
    pub(super) cluster: Option<String>,
    pub(super) org: Option<String>,
    pub(super) project: Option<String>,
}

/// The settings of the platform's login, as far as they are needed here.
#[derive(Deserialize)]
struct Auth {
    token_url: String,
    client_id: String,
}

/// A token that was issued.
#[derive(Clone, Debug)]
pub(super) struct Renewed {
    pub(super) token: Secret,
    pub(super) renew_from: SystemTime,
    pub(super) end: SystemTime,
    /// In place of the one that was used up.
    pub(super) refresh_token: Option<Secret>,
}

/// Whether there is a login in a folder.
pub(super) fn is_in(folder: &Path) -> bool {
    folder.join(NAME).exists()
}

/// The file.
#[derive(Clone, Debug)]
pub(super) struct File {
    folder: PathBuf,
}

impl File {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Reads the file; waits, for some seconds at most, while another process writes it.
    pub(super) async fn load(&self) -> Result<Saved> {
        let this = self.clone();
        blocking(move || this.load_here()).await
    }

    /// Writes a new token in place of `old`; false if that is not there any more, and nothing was written.
    pub(super) async fn replace(&self, old: Secret, new: Renewed) -> Result<bool> {
        let this = self.clone();
        blocking(move || this.replace_here(&old, &new)).await
    }

    /// Waits until no other process renews the token.
    pub(super) async fn lock(&self) -> Result<Lock> {
        let path = self.folder.join(LOCK);
        let fault = |error: std::io::Error| {
            let message = format!("{} cannot be locked to renew the Apolo login", path.display());
            Error::new(ErrorKind::LocalIo, message).with_source(error)
        };
        let file =
            fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(fault)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
                Err(fs::TryLockError::Error(error)) => return Err(fault(error)),
            }
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn fault(&self, why: &dyn std::fmt::Display) -> Error {
        let path = self.folder.join(NAME);
        invalid(format!(
            "the login in {} cannot be used: {why}; log in anew with `apolo login`",
            path.display()
        ))
    }

    fn open(&self) -> Result<Connection> {
        check_access(&self.folder, 0o700)?;
        let path = self.folder.join(NAME);
        check_access(&path, 0o600)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags).map_err(|error| self.fault(&error))
    }

    fn load_here(&self) -> Result<Saved> {
        let connection = self.open()?;
        let query = "SELECT * FROM main ORDER BY timestamp DESC LIMIT 1";
        let found = connection.query_row(query, [], |row| Ok(self.read(row)));
        found.map_err(|error| self.fault(&error))?
    }

    fn read(&self, row: &Row<'_>) -> Result<Saved> {
        let text = |name: &str| {
            let value = row.get::<_, Option<String>>(name).ok().flatten();
            value.filter(|value| !value.is_empty())
        };
        let need = |name: &str| text(name).ok_or_else(|| self.fault(&format_args!("it has no {name}")));
        let renew_from = row.get::<_, f64>("expiration_time").ok().and_then(token::moment);
        let auth = serde_json::from_str::<Auth>(&need("auth_config")?);
        let auth = auth.map_err(|_| self.fault(&"its auth_config lacks token_url or client_id"))?;
        Ok(Saved {
            url: need("url")?,
            token: Secret::from(need("token")?),
            renew_from: renew_from.ok_or_else(|| self.fault(&"it has no expiration_time"))?,
            refresh_token: text("refresh_token").map(Secret::from),
            token_url: auth.token_url,
            client_id: auth.client_id,
            cluster: text("cluster_name"),
            org: text("org_name"),
            project: text("project_name"),
        })
    }

    fn replace_here(&self, old: &Secret, new: &Renewed) -> Result<bool> {
        let connection = self.open()?;
        // One statement: whoever reads sees all of it or nothing.
        let statement = "UPDATE main SET token = ?1, expiration_time = ?2, refresh_token = COALESCE(?3, refresh_token) \
                         WHERE token = ?4";
        let refresh = new.refresh_token.as_ref().map(Secret::expose);
        let values = params![new.token.expose(), token::seconds(new.renew_from), refresh, old.expose()];
        // What SQLite says of errors does not hold values.
        let changed = connection.execute(statement, values).map_err(|error| {
            let message = format!("the new token cannot be written to {}", self.folder.join(NAME).display());
            Error::new(ErrorKind::LocalIo, message).with_source(error)
        })?;
        Ok(changed > 0)
    }
}

/// Held by the process that renews the token.
#[derive(Debug)]
pub(super) struct Lock {
    /// Closing it lets go.
    _file: fs::File,
}

/// Runs what waits for files where that does not hold up others.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Other, "the login could not be read").with_source(error))
    })
}

/// The platform's client refuses what others can read, and so do we.
#[cfg(unix)]
fn check_access(path: &Path, want: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let found = fs::metadata(path).map_err(|error| {
        let message = format!("{} cannot be looked at", path.display());
        Error::new(ErrorKind::LocalIo, message).with_source(error)
    })?;
    if found.permissions().mode() & 0o777 & !want == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(invalid(format!("others may read the Apolo login in {path}: run `chmod {want:o} {path}` first")))
}

#[cfg(not(unix))]
fn check_access(_: &Path, _: u32) -> Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A login as the platform's client writes it.
    pub(in crate::login) fn write(
        folder: &Path,
        token: &str,
        renew_from: SystemTime,
        refresh: &str,
        url: &str,
    ) {
        let connection = Connection::open(folder.join(NAME)).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection
            .execute_batch(
                "CREATE TABLE main (auth_config TEXT, token TEXT, expiration_time REAL, refresh_token TEXT, url TEXT,
                 admin_url TEXT, vcluster_url TEXT, version TEXT, project_name TEXT, cluster_name TEXT,
                 org_name TEXT, clusters TEXT, projects TEXT, timestamp REAL)",
            )
            .unwrap();
        let auth = format!(
            r#"{{"auth_url": "{url}/authorize", "token_url": "{url}/oauth/token", "client_id": "id"}}"#
        );
        let values = params![auth, token, token::seconds(renew_from), refresh, format!("{url}/api/v1")];
        connection
            .execute(
                "INSERT INTO main VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL, '26.9.0', 'p', 'c', 'o', '[]', '[]', 1.5)",
                values,
            )
            .unwrap();
        #[cfg(unix)]
        for (path, mode) in [(folder.to_owned(), 0o700), (folder.join(NAME), 0o600)] {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    fn soon() -> SystemTime {
        SystemTime::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn files_are_read_and_written_back() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "sentinel1", soon(), "sentinel2", "http://h");
        let file = File::new(dir.path().to_owned());
        let saved = file.load().await.unwrap();
        assert_eq!(
            (saved.url.as_str(), saved.token_url.as_str()),
            ("http://h/api/v1", "http://h/oauth/token")
        );
        assert_eq!((saved.token.expose(), saved.project.as_deref()), ("sentinel1", Some("p")));
        assert!(!format!("{saved:?}").contains("sentinel"));
        let new = Renewed {
            token: Secret::from("sentinel3"),
            renew_from: soon(),
            end: soon(),
            refresh_token: None,
        };
        assert!(file.replace(saved.token.clone(), new.clone()).await.unwrap());
        let again = file.load().await.unwrap();
        assert_eq!(again.token.expose(), "sentinel3");
        assert_eq!(again.refresh_token.unwrap().expose(), "sentinel2");
        // Somebody has logged in meanwhile.
        assert!(!file.replace(saved.token, new).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_wrong_names_the_file_and_the_login_command() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "", soon(), "sentinel", "http://h");
        let file = File::new(dir.path().to_owned());
        let error = file.load().await.unwrap_err();
        assert!(
            error.to_string().contains("no token") && error.to_string().contains("apolo login"),
            "{error}"
        );
        fs::write(dir.path().join(NAME), "sentinel, and no database at all").unwrap();
        let error = file.load().await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidConfig && !error.chain().contains("sentinel"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "t", soon(), "", "http://h");
        fs::set_permissions(dir.path().join(NAME), fs::Permissions::from_mode(0o640)).unwrap();
        let error = File::new(dir.path().to_owned()).load().await.unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
