//! The login that `apolo login` leaves on a machine.

mod choice;
mod file;
mod renew;
mod token;

use std::path::{Path, PathBuf};

use longshore_core_types::{Error, ErrorKind, Result};
use longshore_object_store::credentials::Renewing;
use longshore_transport::{Credentials, TransportBuilder, TransportConfig};

use self::{choice::Choice, file::File, renew::Login, token::Bearer};
use crate::place::Place;

/// Folders in which there may be a login; the first that has one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folders {
    folders: Vec<PathBuf>,
    /// Whether there has to be one.
    wanted: bool,
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

impl Folders {
    /// Those of the platform's client.
    pub(crate) fn usual(get: impl Fn(&str) -> Option<String>) -> Self {
        let home = get("HOME").or_else(|| get("USERPROFILE")).map(PathBuf::from);
        let expand = |text: String| match (text.strip_prefix("~/"), &home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(text),
        };
        let usual = |name: &str| home.as_ref().map(|home| home.join(name));
        let new = get("APOLO_CONFIG").map(expand).or_else(|| usual(".apolo"));
        let old = get("NEUROMATION_CONFIG").map(expand).or_else(|| usual(".neuro"));
        Self { folders: [new, old].into_iter().flatten().collect(), wanted: false }
    }

    pub(crate) fn only(folder: PathBuf) -> Self {
        Self { folders: vec![folder], wanted: true }
    }

    /// What a login says, and tokens by it; `None` if there is no login.
    pub(crate) async fn open(
        self,
        builder: &TransportBuilder,
        config: &TransportConfig,
        url: Option<&str>,
    ) -> Result<Option<(Place, Credentials)>> {
        let Some(folder) = self.folders.iter().find(|folder| file::is_in(folder)) else {
            return match self.folders.first().filter(|_| self.wanted) {
                Some(folder) => Err(invalid(format!(
                    "there is no login in {}: log in with `apolo login`",
                    folder.display()
                ))),
                None => Ok(None),
            };
        };
        let file = File::new(folder.clone());
        let saved = file.load().await?;
        let same = |other: &str| other.trim().trim_end_matches('/') == saved.url.trim_end_matches('/');
        if let Some(other) = url.filter(|url| !same(url)) {
            let message = format!(
                "the login in {} is one of {}, and its token is not sent to {}",
                folder.display(),
                saved.url,
                other.rsplit('@').next().unwrap_or_default()
            );
            return Err(invalid(message));
        }
        let mut place = Choice::read(folder, &working_folder())?.place();
        place.complete(Place {
            url: Some(saved.url),
            cluster: saved.cluster,
            org: saved.org,
            project: saved.project,
        });
        // Where a token service sends us on, the refresh token must not go.
        let transport = builder.sibling().config(config.clone().max_redirects(0)).build()?;
        let login = Renewing::new(Login::new(file, transport));
        Ok(Some((place, Credentials::new(Bearer(login)))))
    }
}

fn working_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| Path::new("").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_folders() {
        let folders = |pairs: &'static [(&'static str, &'static str)]| {
            let get = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            let found = Folders::usual(get).folders;
            found.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(folders(&[("HOME", "/h")]), "/h/.apolo /h/.neuro");
        assert_eq!(
            folders(&[("HOME", "/h"), ("APOLO_CONFIG", "~/x"), ("NEUROMATION_CONFIG", "/y")]),
            "/h/x /y"
        );
        assert_eq!(folders(&[]), "");
    }
}
