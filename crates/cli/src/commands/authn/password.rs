//! Passwords, which are asked for or read from standard input, never taken from the command line.

use std::io::{self, BufRead, IsTerminal, Write};

use longshore::Secret;

use crate::failure::Failure;

/// Reads a password: from the terminal without showing it, or one line of standard input.
pub(super) async fn read(prompt: &str, from_stdin: bool) -> Result<Secret, Failure> {
    let terminal = io::stdin().is_terminal();
    if !terminal && !from_stdin {
        return Err(Failure::usage("there is no terminal to ask for the password")
            .hint("give --password-stdin and write the password to standard input"));
    }
    let hidden = if terminal && !from_stdin {
        let _ = write!(io::stderr(), "{prompt}: ");
        Some(Hidden::new().map_err(|error| Failure::io("cannot hide the password", error))?)
    } else {
        None
    };
    // The guard stays here, so that the terminal shows what is typed again even if this future is dropped.
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = line.await.map_err(io::Error::other).and_then(|line| line);
    drop(hidden);
    let line = line.map_err(|error| Failure::io("cannot read the password", error))?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = Secret::from(password.strip_suffix('\r').unwrap_or(password));
    if password.is_empty() {
        return Err(Failure::usage("the password is empty"));
    }
    Ok(password)
}

/// Keeps the terminal from showing what is typed, until it is dropped.
struct Hidden {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

impl Hidden {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self { before })
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Err(io::Error::other("give --password-stdin on this system"))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            use rustix::termios::{OptionalActions, tcsetattr};
            // Nothing more can be done about a terminal that does not obey.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
            let _ = writeln!(io::stderr());
        }
    }
}
