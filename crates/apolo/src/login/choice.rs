//! The choice of cluster, organisation and project in files of the user and of the folder that one works in.

use std::{fs, io, path::Path};

use longshore_core_types::Result;
use serde::Deserialize;

use super::invalid;
use crate::place::Place;

/// Names of the file in a folder that one works in or below, in the order in which they count.
const LOCAL: [&str; 2] = [".apolo.toml", ".neuro.toml"];

/// What is chosen in files, as far as it is.
#[derive(Debug, Default)]
pub(super) struct Choice {
    local: Job,
    /// Of all projects of the user; says a project at most.
    user: Job,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Job {
    #[serde(rename = "cluster-name")]
    cluster: Option<String>,
    #[serde(rename = "org-name")]
    org: Option<String>,
    #[serde(rename = "project-name")]
    project: Option<String>,
}

/// Other parts of the file are not for us.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    job: Job,
}

fn read(path: &Path) -> Result<Option<Job>> {
    let fault = |why: &dyn std::fmt::Display| invalid(format!("{} cannot be read: {why}", path.display()));
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str::<Document>(&text).map(|found| Some(found.job)).map_err(|e| fault(&e)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(&error)),
    }
}

impl Choice {
    /// Reads `user.toml` in the folder of the login, and the nearest file of a project upwards from `here`.
    pub(super) fn read(login: &Path, here: &Path) -> Result<Self> {
        let user = read(&login.join("user.toml"))?.unwrap_or_default();
        for folder in here.ancestors() {
            for name in LOCAL {
                if let Some(local) = read(&folder.join(name))? {
                    return Ok(Self { local, user });
                }
            }
        }
        Ok(Self { local: Job::default(), user })
    }

    pub(super) fn place(self) -> Place {
        Place {
            url: None,
            cluster: self.local.cluster,
            org: self.local.org,
            project: self.local.project.or(self.user.project),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_counts_and_then_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let (login, work) = (dir.path().join("login"), dir.path().join("work/deep"));
        fs::create_dir(&login).unwrap();
        fs::create_dir_all(&work).unwrap();
        assert_eq!(Choice::read(&login, &work).unwrap().place(), Place::default());
        fs::write(login.join("user.toml"), "[job]\nproject-name = \"mine\"\ncluster-name = \"no\"").unwrap();
        let place = Choice::read(&login, &work).unwrap().place();
        assert_eq!((place.cluster, place.project.as_deref()), (None, Some("mine")));
        let local = "[alias.x]\ncmd = \"y\"\n[job]\nproject-name = \"ours\"\norg-name = \"o\"";
        fs::write(dir.path().join("work/.neuro.toml"), local).unwrap();
        let place = Choice::read(&login, &work).unwrap().place();
        assert_eq!((place.org.as_deref(), place.project.as_deref()), (Some("o"), Some("ours")));
        fs::write(work.join(".apolo.toml"), "[job").unwrap();
        let error = Choice::read(&login, &work).unwrap_err();
        assert!(error.to_string().contains(".apolo.toml"), "{error}");
    }
}
