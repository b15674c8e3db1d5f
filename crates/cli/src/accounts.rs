//! Services that a profile names beside an AIStore cluster.

use longshore::{
    Secret, apolo,
    object_store::s3::{AwsCredentials, S3Builder, S3Store},
    supabase,
};

use crate::{failure::Failure, settings::Settings};

/// The accounts of a profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) supabase: Option<SupabaseAccount>,
    pub(crate) s3: Option<S3Account>,
    pub(crate) apolo: Option<ApoloAccount>,
}

/// A Supabase project.
#[derive(Clone, Debug)]
pub(crate) struct SupabaseAccount {
    pub(crate) url: String,
    pub(crate) key: Secret,
}

/// A service with the API of S3.
#[derive(Clone, Debug)]
pub(crate) struct S3Account {
    /// Amazon's if there is none.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    /// Buckets are asked anonymously if there is none.
    pub(crate) key: Option<(String, Secret)>,
}

/// A user of the Apolo platform. What is not said is chosen as the platform's own client does.
#[derive(Clone, Debug)]
pub(crate) struct ApoloAccount {
    pub(crate) url: Option<String>,
    pub(crate) token: Secret,
    pub(crate) cluster: Option<String>,
    pub(crate) org: Option<String>,
    pub(crate) project: Option<String>,
}

impl ApoloAccount {
    pub(crate) fn builder(&self) -> apolo::ClientBuilder {
        let Self { url, token, cluster, org, project } = self.clone();
        let mut builder = apolo::Client::builder().token(token);
        if let Some(url) = url {
            builder = builder.api_url(url);
        }
        if let Some(cluster) = cluster {
            builder = builder.cluster(cluster);
        }
        if let Some(org) = org {
            builder = builder.org(org);
        }
        if let Some(project) = project {
            builder = builder.project(project);
        }
        builder
    }
}

impl SupabaseAccount {
    pub(crate) fn builder(&self) -> supabase::ClientBuilder {
        supabase::Client::builder(&self.url).key(self.key.clone())
    }
}

impl S3Account {
    /// A bucket, with the limits of the settings.
    pub(crate) fn bucket(&self, name: &str, settings: &Settings) -> Result<S3Store, Failure> {
        let mut builder = S3Builder::new(name);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.region(region);
        }
        builder = match &self.key {
            Some((access, secret)) => {
                builder.credentials(AwsCredentials::new(access.clone(), secret.clone()))
            }
            None => builder.anonymous(),
        };
        builder.configure(|config| settings.limits(config)).build().map_err(|error| Failure::of("", error))
    }
}
