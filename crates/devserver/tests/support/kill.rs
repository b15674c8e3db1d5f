//! A server in a process of its own, to be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longshore_devserver::DevServer;

/// Tells the child, which is this test program, where its data are.
const DIR: &str = "LONGSHORE_KILL_TEST_DIR";
/// Begins the line in which the child tells its address.
const MARK: &str = "listening: ";

/// Serves until killed, if this process is a child of the test.
pub(crate) fn serve_if_child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let server = DevServer::builder().data_dir(dir).start_blocking().expect("a server");
    println!("{MARK}{}", server.aistore_addr());
    loop {
        std::thread::park();
    }
}

/// A running child.
#[derive(Debug)]
pub(crate) struct Victim {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Victim {
    /// Starts a server on `dir`; `test` is the name of the test that calls [`serve_if_child`].
    pub(crate) fn start(dir: &Path, test: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--nocapture"])
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let line = output.lines().map_while(Result::ok).find_map(|l| Some(l.split_once(MARK)?.1.to_owned()));
        let address = line.expect("an address").parse().expect("an address");
        Self { child, address }
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
