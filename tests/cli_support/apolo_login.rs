//! The login of the platform's own command, as `longshore` uses it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use longshore_devserver::{DevServer, Handle};
use rusqlite::{Connection, params};

use super::{Home, cases};

cases! { a_login_is_used a_login_is_renewed_once_by_many a_login_that_has_ended_says_so }

fn platform() -> Handle {
    DevServer::builder().apolo("127.0.0.1:0").start_blocking().expect("the server starts")
}

/// A login as the platform's client writes it; `due` is when it renews the token.
fn login(home: &Home, platform: &Handle, token: &str, due: SystemTime, refresh_token: &str) -> PathBuf {
    let folder = home.work().parent().expect("a home").join(".apolo");
    fs::create_dir(&folder).expect("a folder");
    let file = folder.join("db");
    let database = Connection::open(&file).expect("a database");
    let columns = "auth_config TEXT, token TEXT, expiration_time REAL, refresh_token TEXT, url TEXT, admin_url TEXT, \
                   vcluster_url TEXT, version TEXT, project_name TEXT, cluster_name TEXT, org_name TEXT, \
                   clusters TEXT, projects TEXT, timestamp REAL";
    database.pragma_update(None, "journal_mode", "WAL").expect("a journal");
    database.execute(&format!("CREATE TABLE main ({columns})"), []).expect("a table");
    let api = platform.apolo_url().expect("a service");
    let base = api.strip_suffix("/api/v1").expect("an address");
    let auth = format!(r#"{{"token_url": "{base}/oauth/token", "client_id": "longshore-dev"}}"#);
    let due = due.duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
    let row = params![auth, token, due, refresh_token, api];
    let statement = "INSERT INTO main VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL, '26.9.0', 'proj1', 'default-cluster', \
                     'acme', '[]', '[]', 1.0)";
    database.execute(statement, row).expect("a row");
    #[cfg(unix)]
    for (path, mode) in [(&folder, 0o700), (&file, 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
    }
    file
}

/// Token and refresh token of the file, and when the token is due.
fn saved(file: &PathBuf) -> (String, String, f64) {
    let database = Connection::open(file).expect("a database");
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    database.query_row("SELECT token, refresh_token, expiration_time FROM main", [], read).expect("a row")
}

fn renewals(platform: &Handle) -> usize {
    platform.journal().count(|entry| entry.path == "/oauth/token")
}

fn a_login_is_used() {
    let (platform, home) = (platform(), Home::new());
    let later = SystemTime::now() + Duration::from_mins(10);
    let token = platform.apolo_settings().token("alice");
    let file = login(&home, &platform, &token, later, "");
    home.run(["mb", "blob:photos"]).ok();
    assert_eq!(home.run(["ls", "blob:"]).ok().lines(), ["blob:photos"]);
    assert_eq!((renewals(&platform), saved(&file).0), (0, token));
    // A file of the folder one works in chooses another project, and a variable wins over both.
    fs::write(home.path(".apolo.toml"), "[job]\nproject-name = \"proj2\"").expect("a file");
    assert!(home.run(["ls", "blob:"]).ok().lines().is_empty());
    let home = home.with("APOLO_PROJECT", "proj1");
    assert_eq!(home.run(["ls", "blob:"]).ok().lines(), ["blob:photos"]);
    // Its token is not for others.
    let home = home.with("APOLO_API_URL", "http://127.0.0.1:9/api/v1");
    home.run(["ls", "blob:"]).exits(2).says(&["is not sent to http://127.0.0.1:9"]);
}

fn a_login_is_renewed_once_by_many() {
    let (platform, home) = (platform(), Home::new());
    let settings = platform.apolo_settings();
    let refresh = settings.refresh_token("alice");
    // All of them are there before the first has an answer.
    platform.faults().add_str("cluster:node=apolo:delay=300ms").unwrap();
    let file = login(&home, &platform, "due", SystemTime::now(), &refresh);
    let running: Vec<_> = (0..4).map(|_| home.start(["-vvv", "ls", "blob:"])).collect();
    for command in running {
        let ran = command.wait().ok();
        assert!(!ran.err.contains(&refresh), "{}", ran.err);
    }
    assert_eq!(renewals(&platform), 1);
    let (token, kept, due) = saved(&file);
    assert!(token != "due" && kept == refresh);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
    assert!((2600.0..=2700.0).contains(&(due - now)), "three quarters of an hour, not {}", due - now);
}

fn a_login_that_has_ended_says_so() {
    let (platform, home) = (platform(), Home::new());
    login(&home, &platform, "sentinel", SystemTime::now(), "");
    let ran = home.run(["ls", "blob:"]).exits(1).says(&["`apolo login`"]);
    assert!(!ran.err.contains("sentinel"), "{}", ran.err);
    let other = Home::new();
    login(&other, &platform, "old", SystemTime::now(), "sentinel");
    let ran = other.run(["ls", "blob:"]).exits(1).says(&["403", "`apolo login`"]);
    assert!(!ran.err.contains("sentinel"), "{}", ran.err);
}
