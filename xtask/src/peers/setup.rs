//! Installing what peers need: a virtual environment for each list of Python packages, one folder for Node.
//!
//! Everything lies in the target folder and is made anew when its list changes. A file `.installed` is written
//! last and says what was installed with what, so that an interrupted installation is never taken for a whole one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cmd::{self, Failure, Outcome};

use super::manifest::{Language, Peer};

const STAMP: &str = ".installed";
const REQUIREMENTS: &str = "requirements.txt";
/// What `npm ci` reads.
const NODE_FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// A set of packages, installed or not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    pub(crate) language: Language,
    /// Where the list of packages is.
    source: PathBuf,
    /// Where they go.
    pub(crate) dir: PathBuf,
}

impl Installation {
    /// What `peer` needs, below the folder `base`.
    pub(crate) fn of(peer: &Peer, base: &Path) -> Self {
        let name = peer.packages.file_name().unwrap_or_default();
        Self { language: peer.language, source: peer.packages.clone(), dir: base.join(name) }
    }

    /// The interpreter that runs the tour.
    pub(crate) fn interpreter(&self) -> PathBuf {
        match self.language {
            Language::Python if cfg!(windows) => self.dir.join("Scripts").join("python.exe"),
            Language::Python => self.dir.join("bin").join("python"),
            Language::Node => PathBuf::from("node"),
        }
    }

    /// Fails with the reason unless everything is installed as listed now.
    pub(crate) fn check(&self) -> Result<(), String> {
        match fs::read_to_string(self.dir.join(STAMP)) {
            Err(_) => return Err("its packages are not installed".to_owned()),
            // The first line is the interpreter's version. It is not asked here, which keeps this quick.
            Ok(stamp) if stamp.split_once('\n').map(|(_, list)| list) != Some(self.list()?.as_str()) => {
                return Err("its list of packages has changed".to_owned());
            }
            Ok(_) => {}
        }
        if self.language == Language::Python && !self.interpreter().exists() {
            return Err("the Python that it was installed with is gone".to_owned());
        }
        Ok(())
    }

    /// Installs everything unless that is done.
    pub(crate) fn ensure(&self) -> Outcome {
        let name = self.dir.file_name().unwrap_or_default().display().to_string();
        let list = self.list().map_err(Failure::Failed)?;
        let version = self.version()?;
        let stamp = format!("{version}\n{list}");
        if self.check().is_ok() && fs::read_to_string(self.dir.join(STAMP)).ok().as_ref() == Some(&stamp) {
            println!("{name}: up to date ({version})");
            return Ok(());
        }
        println!("{name}: installing ({version})");
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).map_err(|error| failed("removing", &self.dir, &error))?;
        }
        fs::create_dir_all(&self.dir).map_err(|error| failed("making", &self.dir, &error))?;
        match self.language {
            Language::Python => self.install_python()?,
            Language::Node => self.install_node()?,
        }
        let file = self.dir.join(STAMP);
        fs::write(&file, stamp).map_err(|error| failed("writing", &file, &error))
    }

    fn install_python(&self) -> Outcome {
        cmd::run(Command::new(python()).args(["-m", "venv"]).arg(&self.dir))?;
        let pip = |arguments: &[&str]| {
            let mut command = Command::new(self.interpreter());
            command.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]).args(arguments);
            command
        };
        let requirements = self.source.join(REQUIREMENTS);
        // Only what is listed, in the versions listed; `check` then says if something is missing.
        cmd::run(pip(&["install", "--quiet", "--no-deps", "--requirement"]).arg(requirements))?;
        cmd::run(&mut pip(&["check"]))
    }

    fn install_node(&self) -> Outcome {
        for name in NODE_FILES {
            let (from, to) = (self.source.join(name), self.dir.join(name));
            fs::copy(&from, to).map_err(|error| failed("copying", &from, &error))?;
        }
        // Packages only: none of them gets to run a program while it is installed.
        let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
        cmd::run(command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&self.dir))
    }

    /// Everything that decides what is installed, as text.
    fn list(&self) -> Result<String, String> {
        let files: &[&str] = match self.language {
            Language::Python => &[REQUIREMENTS],
            Language::Node => &NODE_FILES,
        };
        let read = |name: &&str| {
            let path = self.source.join(name);
            fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))
        };
        files.iter().map(read).collect()
    }

    fn version(&self) -> Result<String, Failure> {
        let (program, needed) = match self.language {
            Language::Python => (python(), "Python 3 with the module `venv`"),
            Language::Node => ("node".to_owned(), "Node with npm"),
        };
        let missing = |what: String| Failure::Failed(format!("this needs {needed}: {what}"));
        match cmd::capture(Command::new(program).arg("--version")) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(Failure::Failed(what)) => Err(missing(what)),
            Err(other) => Err(other),
        }
    }
}

/// The interpreter that makes virtual environments: `PYTHON`, or what is usual.
fn python() -> String {
    let usual = if cfg!(windows) { "python" } else { "python3" };
    std::env::var("PYTHON").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| usual.to_owned())
}

fn failed(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{doing} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Scratch;

    fn installation(scratch: &Scratch) -> Installation {
        let (source, dir) = (scratch.path().join("list"), scratch.path().join("packages"));
        fs::create_dir(&source).expect("folder");
        fs::write(source.join(REQUIREMENTS), "a==1\n").expect("file");
        Installation { language: Language::Python, source, dir }
    }

    #[test]
    fn only_a_whole_installation_of_the_same_list_counts() {
        let scratch = Scratch::new(&std::env::temp_dir(), "stamp").expect("a temporary folder");
        let it = installation(&scratch);
        assert!(it.check().is_err_and(|reason| reason.contains("not installed")));

        let interpreter = it.interpreter();
        fs::create_dir_all(interpreter.parent().expect("a folder")).expect("folder");
        assert!(it.check().is_err(), "an interrupted installation has no stamp");
        fs::write(it.dir.join(STAMP), "Python 3\na==1\n").expect("file");
        assert!(it.check().is_err_and(|reason| reason.contains("gone")));
        fs::write(&interpreter, "").expect("file");
        assert_eq!(it.check(), Ok(()));

        fs::write(it.source.join(REQUIREMENTS), "a==2\n").expect("file");
        assert!(it.check().is_err_and(|reason| reason.contains("changed")));
    }
}
