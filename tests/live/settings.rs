//! What the environment says about real servers.

use std::{env, path::PathBuf};

use longshore::authn::{AuthnClient, LoginCredentials};
use longshore_core_types::Secret;

/// Why tests cannot run here.
pub(crate) type Missing = String;

/// What the environment says about real servers.
pub(crate) struct Settings {
    allowed: bool,
}

impl Settings {
    pub(crate) fn from_environment() -> Self {
        Self { allowed: variable("LONGSHORE_LIVE").is_ok_and(|value| value == "1") }
    }

    /// The gateway of an AIStore cluster.
    pub(crate) fn aistore(&self) -> Result<String, Missing> {
        if self.allowed { variable("AIS_ENDPOINT") } else { Err("LONGSHORE_LIVE is not 1".to_owned()) }
    }

    /// The AuthN service that guards the cluster of [`aistore`](Self::aistore), and its superuser.
    pub(crate) fn authn(&self) -> Result<Superuser, Missing> {
        self.aistore()?;
        Ok(Superuser {
            url: variable("AIS_AUTHN_URL")?,
            name: variable("AIS_AUTHN_SU_NAME")?,
            password: Secret::from(variable("AIS_AUTHN_SU_PASS")?),
        })
    }

    /// Whether a Supabase project and a key with every right are named.
    pub(crate) fn supabase(&self) -> Result<(), Missing> {
        if !self.allowed {
            return Err("LONGSHORE_LIVE is not 1".to_owned());
        }
        variable("SUPABASE_URL").or_else(|_| variable("SUPABASE_STORAGE_URL"))?;
        variable("SUPABASE_SERVICE_ROLE_KEY").map(drop)
    }

    /// The bucket that this variable names at a cloud. Where the cloud is, and who asks, stands in the variables that
    /// the stores themselves read.
    pub(crate) fn cloud(&self, bucket: &str) -> Result<String, Missing> {
        if self.allowed { variable(bucket) } else { Err("LONGSHORE_LIVE is not 1".to_owned()) }
    }

    /// The built program.
    #[expect(clippy::unused_self, reason = "one place for everything that comes from the environment")]
    pub(crate) fn program(&self) -> Result<PathBuf, Missing> {
        variable("LONGSHORE_BIN").map(PathBuf::from)
    }
}

/// Who may do everything in an AuthN service.
#[derive(Clone)]
pub(crate) struct Superuser {
    url: String,
    pub(crate) name: String,
    pub(crate) password: Secret,
}

impl Superuser {
    /// A client of the service; nobody is logged in.
    pub(crate) fn client(&self) -> Result<AuthnClient, Missing> {
        AuthnClient::builder(&self.url).build().map_err(|error| format!("AIS_AUTHN_URL: {}", error.chain()))
    }

    /// Credentials for a cluster that the service guards.
    pub(crate) fn credentials(&self) -> Result<LoginCredentials, Missing> {
        Ok(LoginCredentials::new(self.client()?, self.name.as_str(), self.password.clone()))
    }
}

fn variable(name: &str) -> Result<String, Missing> {
    match env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("{name} is not set")),
    }
}
