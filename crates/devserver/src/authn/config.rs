//! `/v1/daemon`: the service's configuration; and what it tells about its keys.

use http::{Method, StatusCode};
use serde_json::Value;

use super::duration::MINUTE;
use super::state::{Config, printed};
use super::{Call, Service, document, messages, need_admin};
use crate::aistore::error::{Fail, Result};
use crate::aistore::reply::Reply;

/// Lifetime that a token has if none is configured: a day.
const DEFAULT_LIFETIME: i64 = 24 * 60 * MINUTE;

pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    need_admin(service, call)?;
    if call.method == Method::GET {
        let config = service.state().config.clone();
        return document(&told(&config, service.address.port())?);
    }
    let change =
        messages::config(call)?.ok_or_else(|| Fail::bad("invalid config update: configuration is empty"))?;
    service.change(|state| apply(&mut state.config, change)).await?;
    Ok(Reply::ok())
}

/// The document, its members in the original's order.
fn told(config: &Config, port: u16) -> Result<Box<serde_json::value::RawValue>> {
    let secret = Value::from(config.secret.as_str());
    let level = Value::from(config.log_level.as_str());
    let (lifetime, max) = (printed(config.lifetime), printed(config.max_age));
    let text = format!(
        "{{\"auth\":{{\"secret\":{secret},\"expiration_time\":\"{lifetime}\",\"max_token_age\":\"{max}\",\
         \"public_key\":null,\"signing_key\":{{\"bits\":2048}},\"db\":{{\"type\":\"\",\"filepath\":\"\"}}}},\
         \"log\":{{\"dir\":\"\",\"level\":{level},\"max_size\":\"4MiB\",\"max_total\":\"64MiB\",\
         \"flush_interval\":\"30s\"}},\"net\":{{\"external_url\":\"\",\"http\":{{\"server_crt\":\"\",\
         \"server_key\":\"\",\"port\":{port},\"use_https\":false}}}},\"timeout\":{{\"default_timeout\":\"30s\"}}}}"
    );
    serde_json::value::RawValue::from_string(text)
        .map_err(|e| Fail::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))
}

fn apply(config: &mut Config, change: messages::ConfigChange) -> Result<()> {
    let update = |text: String| Fail::bad(format!("invalid config update: {text}"));
    if change.secret.as_deref() == Some("") {
        return Err(update("secret defined but empty string".into()));
    }
    if let Some(level) = &change.log_level {
        match level.parse::<i64>() {
            Ok(0..=5) => {}
            Ok(_) => {
                return Err(update(format!("invalid log.level={level} (expected value between 0 and 5)")));
            }
            Err(_) => return Err(update(format!("invalid log.level={level:?} (expected integer string)"))),
        }
    }
    if let Some(nanos) = change.lifetime {
        let (text, max) = (printed(nanos), printed(config.max_age));
        let invalid = |text: String| Fail::bad(format!("invalid configuration: {text}"));
        if nanos != 0 && nanos < MINUTE {
            return Err(invalid(format!(
                "invalid auth.expiration_time={text}, expected 0 (default 24h) or >= 1m"
            )));
        }
        if nanos > config.max_age {
            return Err(invalid(format!(
                "invalid config: auth.expiration_time={text} cannot exceed auth.max_token_age={max}"
            )));
        }
        config.lifetime = if nanos == 0 { DEFAULT_LIFETIME } else { nanos };
    }
    if let Some(secret) = change.secret {
        config.secret = secret;
    }
    if let Some(level) = change.log_level {
        config.log_level = level;
    }
    Ok(())
}

/// `/.well-known/openid-configuration`.
pub(super) fn discovery(service: &Service) -> Result<Reply> {
    #[derive(serde::Serialize)]
    struct Discovery<'a> {
        issuer: &'a str,
        token_endpoint: String,
        userinfo_endpoint: String,
        jwks_uri: String,
        id_token_signing_alg_values_supported: [&'static str; 2],
    }
    let issuer = &service.issuer();
    document(&Discovery {
        issuer,
        token_endpoint: format!("{issuer}/v1/tokens"),
        userinfo_endpoint: format!("{issuer}/v1/users"),
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        id_token_signing_alg_values_supported: ["HS256", "RS256"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_checked_before_they_are_made() {
        let mut config = Config { max_age: 48 * 60 * MINUTE, lifetime: MINUTE, ..Config::default() };
        let refused = |change| apply(&mut config.clone(), change).expect_err("refused").message;
        let lifetime =
            |nanos| messages::ConfigChange { lifetime: Some(nanos), ..messages::ConfigChange::default() };
        assert!(refused(lifetime(30 * MINUTE / 60)).contains("=30s, expected 0"));
        assert!(refused(lifetime(49 * 60 * MINUTE)).contains("cannot exceed"));
        assert!(apply(&mut config, lifetime(0)).is_ok());
        assert_eq!(config.lifetime, DEFAULT_LIFETIME);
    }
}
