//! `cargo xtask demo`: a folder into a bucket and back, with the real program, compared byte for byte.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cmd::{self, Failure, Outcome};
use crate::compare::{self, Matched};
use crate::workspace::{self, Workspace};

const DEFAULT_DIR: &str = "crates";
/// How much of a listing is shown.
const LISTED: usize = 20;
/// How many differences are named before the rest is only counted.
const NAMED: usize = 50;

/// The command lines of the demonstration, in order. This is the one place that knows the program's
/// arguments.
struct Script {
    make_bucket: Vec<String>,
    upload: Vec<String>,
    list: Vec<String>,
    download: Vec<String>,
}

impl Script {
    fn new(source: &str, name: &str, copy: &str) -> Self {
        let remote = format!("ais://demo/{name}/");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            make_bucket: words(&["mb", "ais://demo"]),
            upload: words(&["cp", "-r", source, &remote]),
            list: words(&["ls", &remote]),
            download: words(&["cp", "-r", &remote, copy]),
        }
    }
}

/// The program under demonstration, and where it keeps its data meanwhile.
struct Program {
    path: PathBuf,
    /// Arguments before all others; none outside of tests.
    prefix: Vec<String>,
    dir: PathBuf,
    home: PathBuf,
}

impl Program {
    fn command(&self, args: &[String]) -> Command {
        let words = args.iter().map(String::as_str);
        let mut line = Command::new("longshore");
        println!("\n$ {}", cmd::shown(line.args(words)));
        let mut command = Command::new(&self.path);
        command.current_dir(&self.dir).args(&self.prefix).args(args);
        cmd::isolate(&mut command);
        for (variable, folder) in
            [("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")]
        {
            command.env(variable, self.home.join(folder));
        }
        command
    }

    /// Runs on this terminal, so that progress shows as it would for a user.
    fn run(&self, args: &[String]) -> Outcome {
        let mut command = self.command(args);
        let status = command.status();
        let status =
            status.map_err(|error| failed(format!("cannot start {}: {error}", self.path.display())))?;
        cmd::check(&command, status)
    }

    /// Runs and shows the first lines of what it prints.
    fn run_shortened(&self, args: &[String]) -> Outcome {
        let text = cmd::capture(&mut self.command(args))?;
        let lines: Vec<_> = text.lines().collect();
        lines.iter().take(LISTED).for_each(|line| println!("{line}"));
        if lines.len() > LISTED {
            println!("... and {} more", lines.len() - LISTED);
        }
        if lines.is_empty() { Err(failed("the listing is empty".to_owned())) } else { Ok(()) }
    }
}

/// A folder of its own that is removed in the end.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a new folder below `parent`, which is made too if need be.
    pub(crate) fn new(parent: &Path, name: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(parent)?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("longshore-{name}-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left behind by an interrupted process that had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("warning: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Builds the program, then copies a folder to the embedded server and back with it.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    // A folder that the user names is relative to where the user is, the default one to the workspace.
    let (source, dir) = match args {
        [] => (DEFAULT_DIR.to_owned(), workspace.root.clone()),
        [source] => {
            let dir = std::env::current_dir().map_err(|error| failed(format!("current folder: {error}")))?;
            (source.clone(), dir)
        }
        _ => return Err(Failure::Usage("`demo` takes one folder at most".to_owned())),
    };
    let name = bucket_folder(&dir.join(&source))?;
    let built = workspace::build(&workspace.root, &["--release", "-p", "longshore-cli"])?;
    let program = built.into_iter().find(|program| program.name == "longshore");
    let path = program.ok_or_else(|| failed("longshore-cli made no `longshore`".to_owned()))?.path;

    let parent = workspace.metadata()?.target_dir.join("tmp");
    let scratch = Scratch::new(&parent, "demo")
        .map_err(|error| failed(format!("making a folder in {}: {error}", parent.display())))?;
    let home = scratch.path().to_owned();
    let matched = there_and_back(&Program { path, prefix: Vec::new(), dir, home }, &source, &name)?;
    println!("\n{} files, {} bytes: the copy is identical to `{source}`", matched.files, matched.bytes);
    Ok(())
}

fn there_and_back(program: &Program, source: &str, name: &str) -> Result<Matched, Failure> {
    let copy = program.home.join("copy");
    let shown = copy.strip_prefix(&program.dir).unwrap_or(&copy);
    // A trailing slash says "folder"; a leading `-` must not be taken for an option.
    let target = format!("{}/", shown.display());
    let source_arg = if source.starts_with('-') { format!("./{source}") } else { source.to_owned() };
    let script = Script::new(&source_arg, name, &target);
    program.run(&script.make_bucket)?;
    program.run(&script.upload)?;
    program.run_shortened(&script.list)?;
    program.run(&script.download)?;

    let (matched, differences) = compare::compare(&program.dir.join(source), &copy)
        .map_err(|error| failed(format!("comparing the copy: {error}")))?;
    differences.iter().take(NAMED).for_each(|difference| println!("{difference}"));
    match differences.len() {
        0 if matched.files == 0 => Err(failed(format!("`{source}` holds no file, so nothing was shown"))),
        0 => Ok(matched),
        count => Err(failed(format!("the copy differs from `{source}` in {count} places"))),
    }
}

/// The name under which the folder goes into the bucket. Characters that mean something in a store URL, such
/// as wildcards, are replaced.
fn bucket_folder(source: &Path) -> Result<String, Failure> {
    let real = fs::canonicalize(source).map_err(|error| failed(format!("{}: {error}", source.display())))?;
    if !real.is_dir() {
        return Err(failed(format!("{} is not a folder", source.display())));
    }
    let name = real.file_name().ok_or_else(|| failed(format!("{} has no name", source.display())))?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    Ok(name.to_string_lossy().chars().map(plain).collect())
}

fn failed(message: String) -> Failure {
    Failure::Failed(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_plain() {
        let scratch = Scratch::new(&std::env::temp_dir(), "names").expect("a temporary folder");
        for (folder, name) in [("plain", "plain"), ("a b[1]*", "a-b-1--"), (".x", ".x")] {
            let path = scratch.path().join(folder);
            fs::create_dir(&path).expect("new folder");
            assert_eq!(bucket_folder(&path).expect("a folder"), name);
            assert_eq!(bucket_folder(&path.join("..").join(folder)).expect("a folder"), name);
        }
        fs::write(scratch.path().join("file"), "").expect("file");
        for wrong in ["file", "absent"] {
            let Err(Failure::Failed(message)) = bucket_folder(&scratch.path().join(wrong)) else {
                panic!("{wrong} was accepted");
            };
            assert!(message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn scratch_folders_are_distinct_and_removed() {
        let one = Scratch::new(&std::env::temp_dir(), "twice").expect("first");
        let two = Scratch::new(&std::env::temp_dir(), "twice").expect("second");
        let (a, b) = (one.path().to_owned(), two.path().to_owned());
        assert_ne!(a, b);
        fs::write(a.join("file"), "x").expect("file");
        drop((one, two));
        assert!(!a.exists() && !b.exists());
    }

    /// The whole flow with a stand-in for the program: a script that keeps buckets as folders.
    #[cfg(unix)]
    mod flow {
        use super::*;

        const FAKE: &str = r#"
            test -z "${AIS_ENDPOINT+set}" && test -z "${LONGSHORE_PROFILE+set}" || exit 9
            local_path() { case "$1" in ais://*) echo "$XDG_DATA_HOME/${1#ais://}" ;; *) echo "$1" ;; esac; }
            case "$1 $2" in
            "mb ais://"*) mkdir -p "$(local_path "$2")" ;;
            "ls ais://"*) ls "$(local_path "$2")" ;;
            "cp -r") to=$(local_path "$4"); mkdir -p "$to" && cp -r "$(local_path "$3")/." "$to" ;;
            *) exit 2 ;;
            esac
        "#;

        fn demo(spoil: &str) -> (Result<Matched, Failure>, Scratch) {
            let scratch = Scratch::new(&std::env::temp_dir(), "flow").expect("a temporary folder");
            let dir = scratch.path().to_owned();
            fs::create_dir_all(dir.join("src/sub")).expect("folder");
            fs::write(dir.join("src/a"), "12").expect("file");
            fs::write(dir.join("src/sub/b"), "345").expect("file");
            fs::write(dir.join("fake.sh"), format!("{FAKE}\n{spoil}\n")).expect("file");
            let prefix = vec![dir.join("fake.sh").display().to_string()];
            let program = Program { path: "sh".into(), prefix, home: dir.join("home"), dir };
            (there_and_back(&program, "src", "src"), scratch)
        }

        #[test]
        fn a_faithful_program_passes() {
            let (outcome, scratch) = demo("");
            assert_eq!(outcome.expect("identical"), Matched { files: 2, bytes: 5 });
            assert!(
                scratch.path().join("home/data/demo/src/sub/b").is_file(),
                "data stays in the scratch folder"
            );
        }

        #[test]
        fn every_unfaithful_program_fails() {
            for (spoil, reason) in [
                (r#"case "$3" in ais*) printf 99 >"$4/a" ;; esac"#, "differs from `src` in 1 places"),
                (r#"case "$3" in ais*) rm "$4/sub/b" ;; esac"#, "differs from `src` in 1 places"),
                (r#"case "$3" in ais*) touch "$4/c" "$4/d" ;; esac"#, "differs from `src` in 2 places"),
                (r#"test "$1" != cp"#, "ended with exit status: 1"),
                (r#"case "$3" in ais*) rm -r "$4" ;; esac"#, "comparing the copy"),
            ] {
                let (outcome, _scratch) = demo(spoil);
                let Err(Failure::Failed(message)) = outcome else { panic!("`{spoil}` passed") };
                assert!(message.contains(reason), "`{spoil}`: {message}");
            }
        }

        #[test]
        fn an_empty_listing_fails() {
            let scratch = Scratch::new(&std::env::temp_dir(), "list").expect("a temporary folder");
            let dir = scratch.path().to_owned();
            let program = |script: &str| Program {
                path: "sh".into(),
                prefix: ["-c", script].map(str::to_owned).into(),
                dir: dir.clone(),
                home: dir.clone(),
            };
            assert!(program("exit 0").run_shortened(&[]).is_err());
            assert!(program("echo one").run_shortened(&[]).is_ok());
        }
    }
}
