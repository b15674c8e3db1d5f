//! `cargo xtask test`: the classes of tests, each with one closing line.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::process::Command;

use crate::cmd::{self, Failure, Outcome};
use crate::live;
use crate::peers;
use crate::report::{Counts, Tally};
use crate::results;
use crate::workspace::{self, Metadata, Workspace};

/// The package whose test targets need more than one crate.
const TESTS: &str = "longshore-tests";
const EXAMPLES: &str = "longshore-examples";
const CLI: &str = "longshore-cli";
/// Where the tests of the command line find the program.
const BIN_VARIABLE: &str = "LONGSHORE_BIN";
/// The tests of the command line that kill it.
const RESUME_GROUP: &str = "resume/";
const HEAVY_VARIABLE: &str = "LONGSHORE_HEAVY";

/// A class of tests, told apart by what it may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Unit,
    Doc,
    Wire,
    Conformance,
    Cli,
    Resume,
    Examples,
    Live,
    Peers,
}

impl Class {
    pub(crate) const ALL: [Self; 9] = [
        Self::Unit,
        Self::Doc,
        Self::Wire,
        Self::Conformance,
        Self::Cli,
        Self::Resume,
        Self::Examples,
        Self::Live,
        Self::Peers,
    ];
    /// What runs when nothing is named.
    const DEFAULT: [Self; 5] = [Self::Unit, Self::Doc, Self::Wire, Self::Conformance, Self::Cli];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Doc => "doc",
            Self::Wire => "wire",
            Self::Conformance => "conformance",
            Self::Cli => "cli",
            Self::Resume => "resume",
            Self::Examples => "examples",
            Self::Live => "live",
            Self::Peers => "peers",
        }
    }

    /// The class of a test target of [`TESTS`]. A target that nobody claims belongs to the behaviour of the
    /// stores, so that a new file can never be left out by mistake. `peers` needs programs that do not come
    /// with the project, and is not run here.
    fn of_target(target: &str) -> Option<Self> {
        match target {
            _ if target.starts_with("wire") => Some(Self::Wire),
            _ if target.starts_with("live") => Some(Self::Live),
            _ if target.starts_with("peers") => None,
            "cli" => Some(Self::Cli),
            _ => Some(Self::Conformance),
        }
    }

    /// Whether its tests start the program as users do.
    const fn runs_the_program(self) -> bool {
        matches!(self, Self::Cli | Self::Resume | Self::Live)
    }

    /// Whether the names of its tests start with the backend that they are about.
    const fn has_backends(self) -> bool {
        matches!(self, Self::Conformance | Self::Live | Self::Peers)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    classes: Vec<Class>,
    required: Vec<String>,
    heavy: bool,
    /// The peers to be run; empty means all.
    peers: Vec<String>,
    /// Handed to every test program as it is.
    passed_on: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                options.passed_on = args.cloned().collect();
                break;
            } else if arg == "--heavy" {
                options.heavy = true;
            } else if arg == "--require" {
                let names = args.next().ok_or_else(|| usage("`--require` needs the name of a backend"))?;
                options.require(names);
            } else if let Some(names) = arg.strip_prefix("--require=") {
                options.require(names);
            } else {
                let class = Class::ALL.into_iter().find(|class| class.name() == arg);
                // What follows `peers` and is no class is the name of a peer.
                if class.is_none() && options.classes.contains(&Class::Peers) && !arg.starts_with('-') {
                    options.peers.push(arg.clone());
                    continue;
                }
                let names = Class::ALL.map(Class::name).join(", ");
                let class = class.ok_or_else(|| usage(&format!("`{arg}` is no class of tests ({names})")))?;
                if !options.classes.contains(&class) {
                    options.classes.push(class);
                }
            }
        }
        if options.classes.is_empty() {
            options.classes.extend(Class::DEFAULT);
        }
        if !options.required.is_empty() && !options.classes.iter().any(|class| class.has_backends()) {
            return Err(usage(
                "`--require` counts cases of `conformance`, `live` or `peers`, and none of them is chosen",
            ));
        }
        Ok(options)
    }

    fn require(&mut self, names: &str) {
        let names = names.split(',').filter(|name| !name.is_empty());
        self.required.extend(names.map(str::to_owned));
    }
}

fn usage(message: &str) -> Failure {
    Failure::Usage(message.to_owned())
}

/// Runs the chosen classes, all of them even if one fails, and prints the total.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    let options = Options::parse(args)?;
    if options.classes.contains(&Class::Live) {
        live::check(|name| std::env::var(name).ok())?;
    }
    let metadata = workspace.metadata()?;
    let mut total = Counts::default();
    for &class in &options.classes {
        println!("\n== {} ==", class.name());
        let mut tally = match class {
            Class::Examples => run_examples(workspace, &options)?,
            Class::Peers => peers::test(workspace, &options.peers, &options.required, &options.passed_on)?,
            _ => run_class(workspace, &metadata, class, &options)?,
        };
        if class.has_backends() && class != Class::Peers {
            options.required.iter().for_each(|backend| tally.require(backend));
        }
        tally.closing(class.name(), class.has_backends()).iter().for_each(|line| println!("{line}"));
        let whole = options.passed_on.is_empty() && options.peers.is_empty();
        results::save(&metadata.target_dir, class.name(), &tally.results, whole)?;
        total.add(tally.counts);
    }
    println!("\ntotal: {total}");
    if total.failed == 0 { Ok(()) } else { Err(Failure::Reported) }
}

fn run_class(
    workspace: &Workspace,
    metadata: &Metadata,
    class: Class,
    options: &Options,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let selection = selection(metadata, class)?;
    if selection.is_empty() {
        tally.problem(1, format!("package {TESTS} has no test target of this class"));
        return Ok(tally);
    }
    // Always the whole workspace with the same features: the classes then share one set of built crates.
    let mut command =
        cmd::cargo(&workspace.root, ["test", "--workspace", "--all-features", "--no-fail-fast"]);
    command.args(selection);
    if class == Class::Resume {
        // A part of `cli`, for those who want to kill it more often.
        command.args(["--", RESUME_GROUP]).args(&options.passed_on);
    } else if !options.passed_on.is_empty() {
        command.arg("--").args(&options.passed_on);
    }
    set_environment(&mut command, class, options);
    if class.runs_the_program() {
        // As users get it: with its default features only.
        match workspace::build(&workspace.root, &["-p", CLI]) {
            Ok(built) => {
                let program = built.into_iter().find(|program| program.name == "longshore");
                let program = program.ok_or_else(|| Failure::Failed(format!("{CLI} made no `longshore`")))?;
                command.env(BIN_VARIABLE, program.path);
            }
            Err(Failure::Failed(message)) => {
                tally.problem(1, message);
                return Ok(tally);
            }
            Err(other) => return Err(other),
        }
    }
    println!("$ {}", cmd::shown(&command));
    if std::io::stdout().is_terminal() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    // Cargo tells on stderr which program it runs, and what that prints follows on stdout.
    let status = cmd::stream_both(&mut command, |line| {
        println!("{line}");
        tally.read(line);
    })?;
    tally.close(status);
    Ok(tally)
}

/// The arguments that choose the test targets of `class`; empty if there is none.
fn selection(metadata: &Metadata, class: Class) -> Result<Vec<String>, Failure> {
    let shared: BTreeSet<_> = metadata.package(TESTS).map(|p| p.tests.iter()).into_iter().flatten().collect();
    let others = metadata.packages.iter().filter(|package| package.name != TESTS);
    let others: BTreeSet<_> = others.flat_map(|package| &package.tests).collect();
    if let Some(twice) = shared.intersection(&others).next() {
        let message =
            format!("test target `{twice}` is in {TESTS} and in another package: rename one of them");
        return Err(Failure::Failed(message));
    }
    let mut arguments = Vec::new();
    let mut add = |name: &String| arguments.extend(["--test".to_owned(), name.clone()]);
    match class {
        Class::Doc => arguments.push("--doc".to_owned()),
        Class::Unit => {
            others.into_iter().for_each(&mut add);
            arguments.extend(["--lib", "--bins"].map(str::to_owned));
        }
        Class::Resume => shared.into_iter().filter(|name| *name == "cli").for_each(&mut add),
        _ => shared.into_iter().filter(|name| Class::of_target(name) == Some(class)).for_each(&mut add),
    }
    Ok(arguments)
}

/// Builds every example and runs each to its end.
fn run_examples(workspace: &Workspace, options: &Options) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let programs = match workspace::build(&workspace.root, &["-p", EXAMPLES, "--bins", "--examples"]) {
        Ok(programs) => programs,
        Err(Failure::Failed(message)) => {
            tally.problem(1, message);
            return Ok(tally);
        }
        Err(other) => return Err(other),
    };
    let wanted =
        |name: &str| options.passed_on.is_empty() || options.passed_on.iter().any(|f| name.contains(f));
    for program in programs.iter().filter(|program| wanted(&program.name)) {
        let mut command = Command::new(&program.path);
        command.current_dir(&workspace.root);
        set_environment(&mut command, Class::Examples, options);
        match cmd::run(&mut command) {
            Ok(()) => tally.counts.passed += 1,
            Err(Failure::Failed(message)) => tally.problem(1, message),
            Err(other) => return Err(other),
        }
    }
    if tally.counts == Counts::default() {
        tally.problem(1, format!("package {EXAMPLES} has no program that matches"));
    }
    Ok(tally)
}

fn set_environment(command: &mut Command, class: Class, options: &Options) {
    if class == Class::Live {
        cmd::bypass_proxies(command);
    } else {
        cmd::isolate(command);
    }
    if options.heavy {
        command.env(HEAVY_VARIABLE, "1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    fn parse(line: &str) -> Result<Options, Failure> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    fn metadata(packages: &[(&str, &[&str])]) -> Metadata {
        let packages = packages.iter().map(|(name, tests)| Package {
            name: (*name).to_owned(),
            tests: tests.iter().map(|test| (*test).to_owned()).collect(),
            ..Package::default()
        });
        Metadata { packages: packages.collect(), target_dir: "target".into() }
    }

    #[test]
    fn no_class_means_the_five_that_need_nothing() {
        let options = parse("").expect("valid");
        assert_eq!(
            options.classes.iter().map(|c| c.name()).collect::<Vec<_>>().join(" "),
            "unit doc wire conformance cli"
        );
        assert_eq!(options, Options { classes: Class::DEFAULT.into(), ..Options::default() });
    }

    #[test]
    fn options_may_stand_anywhere_before_the_filter() {
        let options = parse("--heavy conformance --require aistore,memory --require=s3 -- put --nocapture");
        let expected = Options {
            classes: vec![Class::Conformance],
            required: ["aistore", "memory", "s3"].map(str::to_owned).into(),
            heavy: true,
            peers: Vec::new(),
            passed_on: ["put", "--nocapture"].map(str::to_owned).into(),
        };
        assert_eq!(options.expect("valid"), expected);
    }

    #[test]
    fn live_backends_can_be_required() {
        let options = parse("live --require aistore,authn").expect("valid");
        assert_eq!((options.classes, options.required.len()), (vec![Class::Live], 2));
    }

    #[test]
    fn peers_can_be_named() {
        let options = parse("peers aistore-2.0.0 boto3 --require all -- bucket").expect("valid");
        assert_eq!(
            (options.classes, options.peers.join(" ")),
            (vec![Class::Peers], "aistore-2.0.0 boto3".into())
        );
        assert_eq!(
            (options.required.join(" "), options.passed_on.join(" ")),
            ("all".into(), "bucket".into())
        );
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in
            ["nuit", "--require", "unit --require aistore", "--verbose", "boto3 peers", "peers --verbose"]
        {
            assert!(matches!(parse(line), Err(Failure::Usage(_))), "{line}");
        }
    }

    #[test]
    fn every_test_target_belongs_to_one_class() {
        let metadata = metadata(&[
            (TESTS, &["cli", "conformance", "faults", "live", "wire_client", "wire_server"]),
            ("longshore-object-store", &["upstream"]),
        ]);
        let chosen = |class| selection(&metadata, class).expect("unambiguous").join(" ");
        assert_eq!(chosen(Class::Unit), "--test upstream --lib --bins");
        assert_eq!(chosen(Class::Doc), "--doc");
        assert_eq!(chosen(Class::Wire), "--test wire_client --test wire_server");
        assert_eq!(chosen(Class::Conformance), "--test conformance --test faults");
        assert_eq!(chosen(Class::Cli), "--test cli");
        assert_eq!(chosen(Class::Live), "--test live");
    }

    #[test]
    fn a_class_without_targets_selects_nothing() {
        assert!(selection(&metadata(&[(TESTS, &[])]), Class::Wire).expect("unambiguous").is_empty());
    }

    #[test]
    fn one_name_in_two_places_is_refused() {
        let metadata = metadata(&[(TESTS, &["cli"]), ("longshore-cli", &["cli"])]);
        assert!(matches!(selection(&metadata, Class::Cli), Err(Failure::Failed(m)) if m.contains("`cli`")));
    }
}
