//! What the environment says about real servers.

use std::{env, path::PathBuf};

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

    /// Whether a Supabase project and a key with every right are named.
    pub(crate) fn supabase(&self) -> Result<(), Missing> {
        if !self.allowed {
            return Err("LONGSHORE_LIVE is not 1".to_owned());
        }
        variable("SUPABASE_URL").or_else(|_| variable("SUPABASE_STORAGE_URL"))?;
        variable("SUPABASE_SERVICE_ROLE_KEY").map(drop)
    }

    /// The built program.
    #[expect(clippy::unused_self, reason = "one place for everything that comes from the environment")]
    pub(crate) fn program(&self) -> Result<PathBuf, Missing> {
        variable("LONGSHORE_BIN").map(PathBuf::from)
    }
}

fn variable(name: &str) -> Result<String, Missing> {
    match env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("{name} is not set")),
    }
}
