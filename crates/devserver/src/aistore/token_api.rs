//! `/v1/tokens` of a gateway, and switching client authentication.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::actmsg::Action;
use super::error::{Fail, Result};
use super::gateway::other_method;
use super::gojson::{self, Schema, Struct};
use super::guard::{self, Form};
use super::node::Cx;
use super::reply::Reply;
use crate::access::bits::ADMIN;

static TOKEN_LIST: Struct = Struct {
    name: "ais.tokenList",
    fields: &[("tokens", "Tokens", Schema::List("[]string")), ("version", "Version", Schema::QuotedInteger)],
    strict: false,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenList {
    tokens: Option<Vec<String>>,
}

/// Checks a token (POST), or revokes tokens (DELETE).
pub(crate) fn handle(cx: &Cx, rest: &str) -> Result<Reply> {
    match cx.method {
        Method::POST | Method::DELETE => {}
        _ => return Ok(other_method(&cx.method, "POST, DELETE")),
    }
    if !rest.is_empty() {
        let path = cx.path.trim_start_matches('/');
        let got = path.trim_end_matches('/').split('/').count();
        return Err(Fail::bad(format!("URL '{path}' is too long: expected 2 items, got {got}")));
    }
    if cx.method == Method::POST {
        guard::bearer(cx, Form::Wrapped)?;
        return Ok(Reply::ok());
    }
    guard::cluster(cx, ADMIN)?;
    let node = cx.node_name();
    let fail = |e: &str| {
        Fail::bad(format!(
            "{node}: failed to unmarshal [*ais.tokenList] (DELETE), err: {e} (prxauth.go, #310)"
        ))
    };
    if cx.json.is_empty() {
        return Err(fail("EOF"));
    }
    gojson::check(&cx.json, Schema::Struct(&TOKEN_LIST)).map_err(|e| fail(&e))?;
    let list: TokenList = serde_json::from_slice(&cx.json).map_err(|e| fail(&e.to_string()))?;
    cx.cluster.guard.revoke(list.tokens.unwrap_or_default());
    Ok(Reply::ok())
}

const METHODS: [&str; 8] = ["HMAC", "HS256", "HS384", "HS512", "RSA", "RS256", "RS384", "RS512"];

/// `set-config`, of which only whether clients need a token can be changed.
pub(crate) fn set_config(cx: &Cx, action: &Action) -> Result<Reply> {
    let auth = &action.value["auth"];
    let wanted = auth["client_auth_required"].as_bool();
    let guard = &cx.cluster.guard;
    if wanted == Some(true) && !guard.required() {
        let refused = |why: &str| {
            let text = format!("enabling client authentication requires a {why}");
            Fail::new(StatusCode::UNAUTHORIZED, text)
        };
        let claims = guard
            .claims(&cx.headers)
            .map_err(|unknown| refused(&format!("valid token [err: {}]", unknown.message)))?;
        if !claims.admin {
            return Err(refused("token with an 'admin' claim"));
        }
        if let Some(method) = auth["signature"]["method"].as_str()
            && !METHODS.iter().any(|m| m.eq_ignore_ascii_case(method))
        {
            let text = format!(
                "enabling JWT/OIDC auth requires valid config (invalid auth signature config, provided method \
                 {method:?} must be one of: \"{}\")",
                METHODS.join(",")
            );
            return Err(Fail::new(StatusCode::UNAUTHORIZED, text));
        }
    } else {
        guard::cluster(cx, ADMIN)?;
    }
    let sections = action.value.as_object().map_or(0, serde_json::Map::len);
    match wanted {
        Some(required) if sections == 1 && known(auth) => {
            guard.require(required);
            Ok(Reply::ok())
        }
        _ => Err(Fail::new(
            StatusCode::NOT_IMPLEMENTED,
            "only auth.client_auth_required can be set in this cluster's configuration",
        )),
    }
}

/// Whether nothing is asked for that would have no effect; a signature's method is checked only.
fn known(auth: &Value) -> bool {
    auth.as_object()
        .is_some_and(|map| map.keys().all(|k| matches!(k.as_str(), "client_auth_required" | "signature")))
}
