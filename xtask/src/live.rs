//! What the tests against real servers need before they may start.

use crate::cmd::Failure;

/// Says that real servers may be touched; nothing else does.
const CONSENT: &str = "LONGSHORE_LIVE";

/// The servers that `tests/live.rs` knows, each with the variables that all have to be set.
const SERVERS: [(&str, &[&str]); 7] = [
    ("aistore", &["AIS_ENDPOINT"]),
    ("authn", &["AIS_ENDPOINT", "AIS_AUTHN_URL", "AIS_AUTHN_SU_NAME", "AIS_AUTHN_SU_PASS"]),
    ("supabase", &["SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"]),
    ("apolo", &["APOLO_PASSED_CONFIG"]),
    ("s3", &["LONGSHORE_LIVE_S3_BUCKET"]),
    ("gs", &["LONGSHORE_LIVE_GS_BUCKET"]),
    ("az", &["LONGSHORE_LIVE_AZ_CONTAINER"]),
];

/// Refuses to start unless the user allows it and names at least one server.
pub(crate) fn check(variable: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    if variable(CONSENT).as_deref() != Some("1") {
        return Err(refusal(&format!("{CONSENT} is not 1")));
    }
    if !SERVERS.iter().any(|(_, needed)| needed.iter().all(is_set)) {
        return Err(refusal("no server is named"));
    }
    Ok(())
}

fn refusal(reason: &str) -> Failure {
    let servers: Vec<_> =
        SERVERS.iter().map(|(name, needed)| format!("\n  {name}: {}", needed.join(", "))).collect();
    Failure::Usage(format!(
        "the class `live` writes to real servers and was not started: {reason}.\nSet {CONSENT}=1 and the variables of at least one of{}",
        servers.concat()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_with(set: &[(&str, &str)]) -> Result<(), Failure> {
        check(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn consent_and_one_server_are_needed() {
        let endpoint = ("AIS_ENDPOINT", "http://127.0.0.1:8080");
        assert!(check_with(&[(CONSENT, "1"), endpoint]).is_ok());
        for set in [&[][..], &[endpoint], &[(CONSENT, "1")], &[(CONSENT, "yes"), endpoint]] {
            assert!(matches!(check_with(set), Err(Failure::Usage(_))), "{set:?}");
        }
    }

    #[test]
    fn a_server_counts_only_with_all_its_variables() {
        let url = ("SUPABASE_URL", "http://127.0.0.1:54321");
        assert!(check_with(&[(CONSENT, "1"), url]).is_err());
        assert!(check_with(&[(CONSENT, "1"), url, ("SUPABASE_SERVICE_ROLE_KEY", "")]).is_err());
        assert!(check_with(&[(CONSENT, "1"), url, ("SUPABASE_SERVICE_ROLE_KEY", "key")]).is_ok());
    }
}
