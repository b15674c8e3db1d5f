//! Who calls, and what the stand-in for row-level security lets them do.

use super::Service;
use super::error::{Fail, Result};
use super::jwt::{self, Claims};
use super::settings::RowSecurity;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    role: Role,
    /// Owner of what is written.
    pub(super) sub: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Anonymous,
    User,
    Service,
}

impl Caller {
    /// The service role itself.
    pub(super) fn service() -> Self {
        Self { role: Role::Service, sub: None }
    }

    fn from_claims(claims: &Claims) -> Result<Self> {
        let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
        let role = match text("role").unwrap_or("anon") {
            "anon" => Role::Anonymous,
            "authenticated" => Role::User,
            "service_role" => Role::Service,
            // The database knows no other.
            _ => {
                let message = "database error, code: 22023";
                return Err(Fail::new(500, "DatabaseError", message, "DatabaseError"));
            }
        };
        Ok(Self { role, sub: text("sub").map(str::to_owned) })
    }

    /// True if row security does not hold the caller back.
    pub(super) fn is_free(&self, rules: RowSecurity) -> bool {
        match self.role {
            Role::Service => true,
            Role::User => rules != RowSecurity::Strict,
            Role::Anonymous => rules == RowSecurity::Everybody,
        }
    }

    /// Refuses all but the service role.
    pub(super) fn need_service(&self) -> Result<()> {
        if self.role == Role::Service {
            return Ok(());
        }
        Err(Fail::denied("Access denied: Invalid role").real())
    }
}

/// The token in an `Authorization` header, with or without its scheme.
fn token(header: &str) -> &str {
    let bearer = header.get(..6).is_some_and(|s| s.eq_ignore_ascii_case("bearer"));
    match header.get(6..) {
        Some(rest) if bearer && rest.is_empty() => "",
        Some(rest) if bearer && rest.starts_with(' ') => rest.trim(),
        _ => header.trim(),
    }
}

impl Service {
    /// Who the bearer of a token is.
    pub(super) fn bearer(&self, header: &str) -> Result<Caller> {
        let claims = jwt::verify(&self.settings.jwt_secret, token(header)).map_err(Fail::denied)?;
        Caller::from_claims(&claims)
    }

    /// True if row security lets the caller read everything and write.
    pub(super) fn frees(&self, caller: &Caller) -> bool {
        caller.is_free(self.settings.row_security)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(claims: &str) -> Result<Caller> {
        Caller::from_claims(&serde_json::from_str(claims).unwrap())
    }

    #[test]
    fn roles() {
        let anon = caller("{}").unwrap();
        let user = caller(r#"{"role":"authenticated","sub":"u"}"#).unwrap();
        let service = caller(r#"{"role":"service_role"}"#).unwrap();
        assert_eq!(user.sub.as_deref(), Some("u"));
        let free = |rules| [&anon, &user, &service].map(|c| c.is_free(rules));
        assert_eq!(free(RowSecurity::Strict), [false, false, true]);
        assert_eq!(free(RowSecurity::Users), [false, true, true]);
        assert_eq!(free(RowSecurity::Everybody), [true; 3]);
        assert!(service.need_service().is_ok() && user.need_service().is_err());
        assert_eq!(caller(r#"{"role":"nobody"}"#).unwrap_err().status, 500);
    }

    #[test]
    fn schemes() {
        for (header, expected) in
            [("Bearer a.b.c", "a.b.c"), ("bearer  a", "a"), ("a.b.c", "a.b.c"), ("Bearer", ""), ("", "")]
        {
            assert_eq!(token(header), expected, "{header}");
        }
    }
}
