//! The command under test.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

static BINARY: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("LONGSHORE_BIN") {
    Some(path) => {
        let path = std::path::absolute(PathBuf::from(path)).expect("an absolute path");
        assert!(path.is_file(), "LONGSHORE_BIN: there is no {}", path.display());
        path
    }
    None => build(),
});

/// Path of the command under test.
pub(crate) fn longshore() -> &'static Path {
    &BINARY
}

/// Builds the command into the folder that this test was built into.
fn build() -> PathBuf {
    let me = std::env::current_exe().expect("the path of this test");
    let profile = me.ancestors().nth(2).expect("target/PROFILE/deps/test").to_owned();
    let target = profile.parent().expect("target/PROFILE");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "longshore-cli"]).arg("--target-dir").arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo starts").success(), "the command does not build");
    profile.join(format!("longshore{}", std::env::consts::EXE_SUFFIX))
}
