//! Redirects from the gateway to a target.

use http::{Method, StatusCode};

use super::ids::{base36, now};
use super::query::{Query, encode_path};
use super::reply::{Html, Reply};
use super::{Cluster, NodeInfo};
use crate::fault::{FaultKind, Plan};

/// Redirects a request for `path` (decoded) to `target`. GET of an object is 301, everything else 307.
pub(crate) fn to_target(
    cluster: &Cluster,
    target: &NodeInfo,
    method: &Method,
    path: &str,
    query: &Query,
    plan: &Plan,
) -> Reply {
    let status =
        if method == Method::GET { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    let html = match *method {
        Method::GET => Html::Body,
        Method::HEAD => Html::HeaderOnly,
        _ => Html::None,
    };
    Reply::redirect(status, &url(cluster, target, path, query, plan), html)
}

/// The URL at which `target` carries a request out.
pub(crate) fn url(cluster: &Cluster, target: &NodeInfo, path: &str, query: &Query, plan: &Plan) -> String {
    let origin = match plan.kind() {
        // Port 1 of the loopback address: reserved, nobody listens there.
        Some(FaultKind::RedirectDead) => "http://127.0.0.1:1".to_owned(),
        Some(FaultKind::RedirectTo(origin)) => origin.trim_end_matches('/').to_owned(),
        Some(FaultKind::RedirectLoop) => cluster.gateway.url(),
        _ => target.url(),
    };
    origin + &location(path, query, cluster.gateway.id)
}

/// Path and query of the target's URL.
///
/// As the original does it: the decoded path is put into the URL as it is, with the query as it came, unless it holds
/// a character that would not survive; then both are encoded anew.
pub(crate) fn location(path: &str, query: &Query, gateway: &str) -> String {
    let time = base36(u64::try_from(now()).unwrap_or_default());
    if path.contains(['%', '?', '#', ' ', '+']) || path.chars().any(char::is_control) {
        let query = query.encode_sorted(&[("pid", gateway), ("utm", &time)]);
        return format!("{}?{query}", encode_path(path));
    }
    let raw = query.raw();
    let separator = if raw.is_empty() { "" } else { "&" };
    format!("{path}?{raw}{separator}pid={gateway}&utm={time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(path: &str, query: &str) -> String {
        let text = location(path, &Query::parse(query).expect("a query"), "p1");
        text[..text.rfind("utm=").expect("a time")].to_owned()
    }

    #[test]
    fn kept_or_rebuilt() {
        assert_eq!(
            built("/v1/objects/b/o", "provider=ais&x=a%20b"),
            "/v1/objects/b/o?provider=ais&x=a%20b&pid=p1&"
        );
        assert_eq!(built("/v1/objects/b/o", ""), "/v1/objects/b/o?pid=p1&");
        assert_eq!(built("/v1/objects/b/a//\u{e4}\\", "k"), "/v1/objects/b/a//\u{e4}\\?k&pid=p1&");
        assert_eq!(
            built("/v1/objects/b/a b+c", "z=1&provider=ais"),
            "/v1/objects/b/a%20b+c?pid=p1&provider=ais&"
        );
    }
}
