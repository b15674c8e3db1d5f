//! What the platform says about itself.

use longshore_core_types::{Error, ErrorKind, Result};
use serde::Deserialize;

/// What the platform says about itself, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    authorized: bool,
    #[serde(default)]
    clusters: Vec<Cluster>,
    #[serde(default)]
    projects: Vec<Project>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) buckets_url: String,
    #[serde(default)]
    orgs: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Project {
    name: String,
    #[serde(default)]
    cluster_name: Option<String>,
    #[serde(default)]
    org_name: Option<String>,
}

impl Platform {
    /// The cluster, organisation and project that are wanted, or the first of what there is.
    pub(crate) fn select(
        &self,
        cluster: Option<&str>,
        org: Option<String>,
        project: Option<String>,
    ) -> Result<(&Cluster, Option<String>, Option<String>)> {
        if !self.authorized {
            let message = "the platform does not accept the token: log in anew (`apolo login`)";
            return Err(Error::new(ErrorKind::Unauthenticated, message));
        }
        let names = |names: Vec<&str>| names.join(", ");
        let found = match cluster {
            None => self.clusters.first(),
            Some(name) => self.clusters.iter().find(|c| c.name == name),
        };
        let found = found.ok_or_else(|| {
            let known = names(self.clusters.iter().map(|c| c.name.as_str()).collect());
            let message = match cluster {
                Some(name) => format!("there is no cluster {name:?} (there are: {known})"),
                None => "the platform names no cluster".to_owned(),
            };
            Error::new(ErrorKind::InvalidConfig, message)
        })?;
        let orgs = found.orgs.as_deref().unwrap_or_default();
        let org = org.or_else(|| orgs.first().cloned());
        let here =
            |p: &&Project| p.cluster_name.as_ref().is_none_or(|c| *c == found.name) && p.org_name == org;
        let project = project
            .or_else(|| self.projects.iter().filter(here).map(|p| p.name.as_str()).min().map(str::to_owned));
        Ok((found, org, project))
    }
}
