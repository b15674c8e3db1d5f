//! Peers: the official clients of the platforms, pointed at the dev server.
//!
//! Each lies in a folder of `tests/peers` with a manifest. `cargo xtask setup peers` installs what they need into
//! the target folder, `cargo xtask test peers` starts `longshore dev` for each and runs its tour.

mod manifest;
mod server;
mod setup;
mod tour;

use std::path::PathBuf;

use crate::cmd::{Failure, Outcome};
use crate::report::Tally;
use crate::workspace::{self, Workspace};

use manifest::Peer;
use setup::Installation;

/// The name under which `--require` means every peer that was chosen.
const ALL: &str = "all";

/// `cargo xtask setup peers [NAME]...`
pub(crate) fn setup(workspace: &Workspace, args: &[String]) -> Outcome {
    let Some(("peers", names)) = args.split_first().map(|(what, names)| (what.as_str(), names)) else {
        return Err(Failure::Usage("`setup` needs to know what: `setup peers [NAME]...`".to_owned()));
    };
    let peers = chosen(manifest::discover(&workspace.root)?, names)?;
    let base = base(workspace)?;
    for installation in installations(&peers, &base) {
        installation.ensure()?;
    }
    Ok(())
}

/// Runs the tours of the peers called `names`, of all if there are none. `filter` goes to the tours.
pub(crate) fn test(
    workspace: &Workspace,
    names: &[String],
    required: &[String],
    filter: &[String],
) -> Result<Tally, Failure> {
    let peers = chosen(manifest::discover(&workspace.root)?, names)?;
    let base = base(workspace)?;
    let mut tally = Tally::default();
    let mut program = None;
    for peer in &peers {
        let installation = Installation::of(peer, &base);
        if let Err(reason) = installation.check() {
            let reason = format!("{reason}: run `cargo xtask setup peers {}`", peer.name);
            tour::skipped(&mut tally, &peer.name, &reason);
            continue;
        }
        if program.is_none() && server::external()?.is_none() {
            program = Some(build(workspace)?);
        }
        tour::run(&mut tally, peer, &installation, program.as_deref(), filter)?;
    }
    tally.require_some();
    let every = required.iter().any(|name| name == ALL);
    for name in required.iter().filter(|name| !every && *name != ALL) {
        tally.require(name);
    }
    for peer in peers.iter().filter(|_| every) {
        tally.require(&peer.name);
    }
    Ok(tally)
}

/// Where everything is installed that peers need.
fn base(workspace: &Workspace) -> Result<PathBuf, Failure> {
    Ok(workspace.metadata()?.target_dir.join("peers"))
}

/// The program, as users get it.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let built = workspace::build(&workspace.root, &["-p", "longshore-cli"])?;
    let program = built.into_iter().find(|program| program.name == "longshore");
    program
        .map(|program| program.path)
        .ok_or_else(|| Failure::Failed("longshore-cli made no `longshore`".into()))
}

fn chosen(peers: Vec<Peer>, names: &[String]) -> Result<Vec<Peer>, Failure> {
    if let Some(name) = names.iter().find(|name| !peers.iter().any(|peer| &peer.name == *name)) {
        let known: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
        return Err(Failure::Usage(format!("there is no peer `{name}` (there are: {})", known.join(", "))));
    }
    Ok(peers.into_iter().filter(|peer| names.is_empty() || names.contains(&peer.name)).collect())
}

/// What these peers need, each once.
fn installations(peers: &[Peer], base: &std::path::Path) -> Vec<Installation> {
    let mut found: Vec<Installation> = Vec::new();
    for installation in peers.iter().map(|peer| Installation::of(peer, base)) {
        if !found.contains(&installation) {
            found.push(installation);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_of_the_project_are_understood_and_share_what_they_can() {
        let root = Workspace::locate().expect("started by cargo").root;
        let peers = manifest::discover(&root).expect("every manifest is right");
        assert!(!peers.is_empty());
        let base = PathBuf::from("t");
        assert!(installations(&peers, &base).len() <= peers.len());
        let one = chosen(peers, &["no-such-peer".to_owned()]);
        assert!(matches!(one, Err(Failure::Usage(message)) if message.contains("no-such-peer")));
    }

    #[test]
    fn setup_says_what_it_can_set_up() {
        let workspace = Workspace { root: PathBuf::from(".") };
        for args in [&[][..], &["pears".to_owned()]] {
            assert!(matches!(setup(&workspace, args), Err(Failure::Usage(_))));
        }
    }
}
