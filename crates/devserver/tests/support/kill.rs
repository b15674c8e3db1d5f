//! A server in a process of its own, to be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longshore_devserver::DevServer;

/// Tells the child, which is this test program, where its data are.
const DIR: &str = "LONGSHORE_KILL_TEST_DIR";
/// Tells the child to require tokens.
const GUARDED: &str = "LONGSHORE_KILL_TEST_GUARDED";
/// Begins the line in which the child tells its address.
const MARK: &str = "listening: ";

/// Serves until killed, if this process is a child of the test.
pub(crate) fn serve_if_child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let guarded = std::env::var_os(GUARDED).is_some();
    let builder = DevServer::builder().data_dir(dir).guarded(guarded).supabase("127.0.0.1:0");
    let server = builder.start_blocking().expect("a server");
    let supabase = server.supabase_addr().expect("a service");
    let authn = server.authn_addr().map_or_else(String::new, |address| address.to_string());
    println!("{MARK}{} {supabase} {authn}", server.aistore_addr());
    loop {
        std::thread::park();
    }
}

/// A running child.
#[derive(Debug)]
pub(crate) struct Victim {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Of the Supabase Storage service.
    pub(crate) supabase: SocketAddr,
    /// Of the AuthN service, where the child requires tokens.
    pub(crate) authn: Option<SocketAddr>,
}

impl Victim {
    /// Starts a server on `dir`; `test` is the name of the test that calls [`serve_if_child`].
    pub(crate) fn start(dir: &Path, test: &str) -> Self {
        Self::spawn(Command::new(std::env::current_exe().expect("this program")).env(DIR, dir), test)
    }

    /// As [`start`](Self::start), with a server that requires tokens.
    pub(crate) fn start_guarded(dir: &Path, test: &str) -> Self {
        let mut program = Command::new(std::env::current_exe().expect("this program"));
        Self::spawn(program.env(DIR, dir).env(GUARDED, "1"), test)
    }

    fn spawn(program: &mut Command, test: &str) -> Self {
        let mut child =
            program.args(["--exact", test, "--nocapture"]).stdout(Stdio::piped()).spawn().expect("a child");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let line = output.lines().map_while(Result::ok).find_map(|l| Some(l.split_once(MARK)?.1.to_owned()));
        let line = line.expect("addresses");
        let mut addresses = line.split(' ').map(|text| text.trim().parse().ok());
        let mut next = || addresses.next().flatten();
        let (address, supabase) = (next().expect("an address"), next().expect("an address"));
        Self { child, address, supabase, authn: next() }
    }

    /// SIGKILL; returns once the process is gone.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
