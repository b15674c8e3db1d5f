//! The world that the storage service serves: its keys, its limits, who may do what.

use std::fmt;
use std::time::Duration;

use super::jwt;

/// How long the keys that are made from the secret are good: till 2032.
const EXPIRES: i64 = 1_983_812_996;

/// Keys, limits and rules of the Supabase Storage service.
///
/// The defaults are those of a local Supabase: its JWT secret and the API keys signed with it, files up to 50 MiB,
/// signed uploads good for two hours.
///
/// ```
/// use longshore_devserver::{RowSecurity, SupabaseSettings};
///
/// let settings = SupabaseSettings::default().file_size_limit(1 << 30).row_security(RowSecurity::Users);
/// assert!(settings.anon_key().starts_with("eyJ"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SupabaseSettings {
    pub(super) jwt_secret: String,
    pub(super) publishable_key: String,
    pub(super) secret_key: String,
    pub(super) s3_access_key: String,
    pub(super) s3_secret_key: String,
    pub(super) s3_region: String,
    pub(super) project: String,
    pub(super) file_size_limit: u64,
    pub(super) signed_upload_lifetime: Duration,
    pub(super) upload_lifetime: Option<Duration>,
    pub(super) lock_wait: Duration,
    pub(super) row_security: RowSecurity,
}

/// Whom the service's row-level security lets write, and read what is not public. Without policies the real server is
/// [`Strict`](Self::Strict).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowSecurity {
    /// The service role alone.
    #[default]
    Strict,
    /// Also users who are logged in: tokens with the role `authenticated`.
    Users,
    /// Everybody with a valid token, the anonymous key included.
    Everybody,
}

impl Default for SupabaseSettings {
    fn default() -> Self {
        Self {
            jwt_secret: "super-secret-jwt-token-with-at-least-32-characters-long".into(),
            publishable_key: "sb_publishable_longshore_dev".into(),
            secret_key: "sb_secret_longshore_dev".into(),
            s3_access_key: "625729a08b95bf1b7ff351a663f3a23c".into(),
            s3_secret_key: "850181e4652dd023b7a98c58ae0d2d34bd487ee0cc3254aed6eda37307425907".into(),
            s3_region: "local".into(),
            project: "stub".into(),
            file_size_limit: 52_428_800,
            signed_upload_lifetime: Duration::from_hours(2),
            upload_lifetime: None,
            lock_wait: Duration::from_secs(5),
            row_security: RowSecurity::Strict,
        }
    }
}

impl SupabaseSettings {
    /// Secret that tokens are signed with (HS256). The anonymous and the service key follow from it.
    #[must_use]
    pub fn jwt_secret(mut self, secret: impl Into<String>) -> Self {
        self.jwt_secret = secret.into();
        self
    }

    /// The opaque API keys, which are good below `/storage/v1`: the publishable one stands for the anonymous key, the
    /// secret one for the service key. Defaults: `sb_publishable_longshore_dev`, `sb_secret_longshore_dev`.
    #[must_use]
    pub fn opaque_keys(mut self, publishable: impl Into<String>, secret: impl Into<String>) -> Self {
        self.publishable_key = publishable.into();
        self.secret_key = secret.into();
        self
    }

    /// Access key and secret of the S3 endpoint.
    #[must_use]
    pub fn s3_keys(mut self, access_key: impl Into<String>, secret: impl Into<String>) -> Self {
        self.s3_access_key = access_key.into();
        self.s3_secret_key = secret.into();
        self
    }

    /// Region of the S3 endpoint. Default: `local`.
    #[must_use]
    pub fn s3_region(mut self, region: impl Into<String>) -> Self {
        self.s3_region = region.into();
        self
    }

    /// The project's reference, which is the access key of S3 requests with a session token. Default: `stub`.
    #[must_use]
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = project.into();
        self
    }

    /// Most bytes of a file, whatever its bucket allows. Default: 50 MiB.
    #[must_use]
    pub fn file_size_limit(mut self, bytes: u64) -> Self {
        self.file_size_limit = bytes;
        self
    }

    /// How long signed upload URLs are good, in whole seconds. Default: 2 h.
    #[must_use]
    pub fn signed_upload_lifetime(mut self, lifetime: Duration) -> Self {
        self.signed_upload_lifetime = lifetime;
        self
    }

    /// How long a resumable upload may be continued after it was made; then it answers 410. Default: for ever.
    #[must_use]
    pub fn upload_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.upload_lifetime = lifetime;
        self
    }

    /// How long a request waits for another one that writes the same resumable upload. Default: 5 s.
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Who may do what. Default: [`RowSecurity::Strict`].
    #[must_use]
    pub fn row_security(mut self, rules: RowSecurity) -> Self {
        self.row_security = rules;
        self
    }

    /// The anonymous API key: a token with the role `anon`.
    pub fn anon_key(&self) -> String {
        self.token(&format!(r#"{{"iss":"supabase-demo","role":"anon","exp":{EXPIRES}}}"#))
    }

    /// The service API key: a token with the role `service_role`, which may do everything.
    pub fn service_key(&self) -> String {
        self.token(&format!(r#"{{"iss":"supabase-demo","role":"service_role","exp":{EXPIRES}}}"#))
    }

    /// A token of a user who is logged in: the role `authenticated` and `sub`, good for `lifetime`.
    pub fn user_token(&self, sub: &str, lifetime: Duration) -> String {
        let expires = super::time::unix_now().saturating_add_unsigned(lifetime.as_secs());
        let sub = serde_json::Value::from(sub);
        self.token(&format!(r#"{{"role":"authenticated","sub":{sub},"exp":{expires}}}"#))
    }

    fn token(&self, claims: &str) -> String {
        jwt::sign(&self.jwt_secret, r#"{"alg":"HS256","typ":"JWT"}"#, claims)
    }

    /// The opaque key that stands for the anonymous one.
    pub fn publishable_key(&self) -> &str {
        &self.publishable_key
    }

    /// The opaque key that stands for the service key.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Access key of the S3 endpoint.
    pub fn s3_access_key(&self) -> &str {
        &self.s3_access_key
    }

    /// Secret of the S3 endpoint.
    pub fn s3_secret_key(&self) -> &str {
        &self.s3_secret_key
    }

    /// Region of the S3 endpoint, as it was set.
    pub fn region(&self) -> &str {
        &self.s3_region
    }

    /// Secret that tokens are signed with, as it was set.
    pub fn secret(&self) -> &str {
        &self.jwt_secret
    }
}

impl fmt::Debug for SupabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupabaseSettings")
            .field("project", &self.project)
            .field("s3_region", &self.s3_region)
            .field("file_size_limit", &self.file_size_limit)
            .field("signed_upload_lifetime", &self.signed_upload_lifetime)
            .field("upload_lifetime", &self.upload_lifetime)
            .field("row_security", &self.row_security)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let settings = SupabaseSettings::default().jwt_secret("sentinel").s3_keys("sentinel", "sentinel");
        let settings = settings.opaque_keys("sentinel", "sentinel");
        assert!(!format!("{settings:?}").contains("sentinel"));
    }

    #[test]
    fn tokens_follow_the_secret() {
        let settings = SupabaseSettings::default().jwt_secret("another");
        let claims = jwt::verify("another", &settings.user_token("me", Duration::from_mins(1))).unwrap();
        assert_eq!((&claims["role"], &claims["sub"]), (&"authenticated".into(), &"me".into()));
        assert_ne!(settings.anon_key(), SupabaseSettings::default().anon_key());
    }
}
