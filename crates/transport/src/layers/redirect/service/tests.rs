use std::sync::Arc;

use futures_util::stream;
use http::{HeaderValue, header::AUTHORIZATION};
use longshore_core_types::Payload;
use tower::ServiceExt;
use tower_layer::Layer;

use super::*;
use crate::{
    layers::{
        inflight::InFlightLayer,
        redirect::{ClusterRedirects, RedirectLayer},
    },
    testing::{Reply, ScriptedService},
};

fn put(body: impl Into<Payload>) -> HttpRequest {
    let request = http::Request::put("http://gw:8080/v1/objects/b/o");
    request.header(AUTHORIZATION, "Bearer token").header("x-a", "1").body(body.into()).unwrap()
}

fn layer() -> RedirectLayer {
    RedirectLayer::new(ClusterRedirects::default(), 5)
}

#[tokio::test]
async fn method_and_body_follow_and_the_token_does_not() {
    for status in [301, 307, 308] {
        let to = "http://t1:8081/v1/objects/b/o?pid=p1&utm=%41";
        let server = ScriptedService::replies([Reply::redirect(status, to), Reply::ok("done")]);
        let answer = layer().layer(server.clone()).oneshot(put("body")).await.unwrap();
        assert_eq!(answer.status(), 200);
        let seen = server.requests();
        assert_eq!(seen[0].header("authorization"), Some("Bearer token"));
        assert_eq!(seen[1].uri.to_string(), to);
        assert_eq!(seen[1].method, Method::PUT);
        assert_eq!(seen[1].body.as_ref().unwrap(), "body");
        assert_eq!(seen[1].header("x-a"), Some("1"));
        assert_eq!(seen[1].header("authorization"), None);
    }
}

#[tokio::test]
async fn every_sensitive_header_stays_at_home() {
    let server = ScriptedService::replies([Reply::redirect(307, "http://evil/x"), Reply::ok("")]);
    let mut request = put("");
    let mut key = HeaderValue::from_static("key");
    key.set_sensitive(true);
    request.headers_mut().insert("apikey", key);
    request.headers_mut().insert("cookie", HeaderValue::from_static("a=b"));
    request.headers_mut().insert("host", HeaderValue::from_static("gw"));
    layer().layer(server.clone()).oneshot(request).await.unwrap();
    let second = &server.requests()[1];
    for name in ["apikey", "cookie", "authorization", "host"] {
        assert_eq!(second.header(name), None, "{name}");
    }
    assert_eq!(second.header("x-a"), Some("1"));
}

#[tokio::test]
async fn the_token_goes_to_the_same_origin_and_to_named_nodes() {
    let policy = ClusterRedirects::default();
    policy.same_cluster(["t1:8081".parse().unwrap()]);
    for (to, kept) in [
        ("/elsewhere", true),
        ("http://GW:8080/x", true),
        ("http://t1:8081/x", true),
        ("http://t1:8082/x", false),
        ("http://t1.evil:8081/x", false),
    ] {
        let server = ScriptedService::replies([Reply::redirect(307, to), Reply::ok("")]);
        let layer = RedirectLayer::new(policy.clone(), 5);
        layer.layer(server.clone()).oneshot(put("")).await.unwrap();
        assert_eq!(server.requests()[1].header("authorization").is_some(), kept, "{to}");
    }
}

#[tokio::test]
async fn a_token_that_was_removed_does_not_come_back() {
    let replies = [
        Reply::redirect(307, "http://t1/x"),
        Reply::redirect(307, "http://gw:8080/y"),
        Reply::redirect(307, "http://gw:8080/z"),
        Reply::ok(""),
    ];
    let server = ScriptedService::replies(replies);
    layer().layer(server.clone()).oneshot(put("")).await.unwrap();
    assert!(server.requests()[1..].iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn get_follows_every_redirect_and_put_only_those_that_keep_it() {
    for status in [301, 302, 303, 307, 308] {
        let server = ScriptedService::replies([Reply::redirect(status, "/x"), Reply::ok("")]);
        let get = http::Request::get("http://gw/").body(Payload::empty()).unwrap();
        assert_eq!(layer().layer(server).oneshot(get).await.unwrap().status(), 200);
    }
    for status in [302, 303] {
        let server = ScriptedService::replies([Reply::redirect(status, "/x")]);
        let error = layer().layer(server).oneshot(put("")).await.unwrap_err();
        assert!(error.to_string().contains("would turn PUT into GET"), "{error}");
    }
}

#[tokio::test]
async fn loops_and_long_chains_end() {
    let server = ScriptedService::new(|seen| {
        Reply::redirect(307, if seen.uri.path() == "/a" { "http://gw/b" } else { "http://gw/a" })
    });
    let get = |path: &str| http::Request::get(format!("http://gw{path}")).body(Payload::empty()).unwrap();
    let error = layer().layer(server.clone()).oneshot(get("/a")).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Redirect);
    assert!(error.to_string().contains("a loop of redirects"), "{error}");
    assert_eq!(server.requests().len(), 2);

    let server = ScriptedService::new(|seen| Reply::redirect(307, &format!("{}x", seen.uri)));
    let error = layer().layer(server.clone()).oneshot(get("/a")).await.unwrap_err();
    assert!(error.to_string().contains("more than 5 redirects"), "{error}");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn from_https_to_http_is_refused() {
    let server = ScriptedService::replies([Reply::redirect(307, "http://gw/x")]);
    let get = http::Request::get("https://gw/").body(Payload::empty()).unwrap();
    let error = layer().layer(server).oneshot(get).await.unwrap_err();
    assert!(error.to_string().contains("https to http"), "{error}");
}

#[tokio::test]
async fn a_one_shot_body_follows_only_if_nobody_read_it() {
    let once = || Payload::once(Some(4), stream::iter([Ok(Bytes::from("body"))]));
    let server = ScriptedService::replies([Reply::redirect(307, "http://t/x").unread(), Reply::ok("")]);
    layer().layer(server.clone()).oneshot(put(once())).await.unwrap();
    assert_eq!(server.requests()[1].body.as_ref().unwrap(), "body");

    let server = ScriptedService::replies([Reply::redirect(307, "http://t/x"), Reply::ok("")]);
    let error = layer().layer(server.clone()).oneshot(put(once())).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Redirect);
    assert!(error.to_string().contains("one-shot stream"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn expect_is_for_the_first_server_only() {
    let server = ScriptedService::new(|seen| match seen.uri.path() {
        "/x" => Reply::ok(""),
        _ => Reply::redirect(307, "http://t/x").unread(),
    });
    let options = Arc::new(std::sync::Mutex::new(Vec::new()));
    let watch = {
        let options = Arc::clone(&options);
        server.clone().map_request(move |request: HttpRequest| {
            let expect = request.extensions().get::<RequestOptions>().unwrap().expect_continue;
            options.lock().unwrap().push(expect.is_some());
            request
        })
    };
    let mut request = put("body");
    let wait = std::time::Duration::from_secs(1);
    request.extensions_mut().insert(RequestOptions::default().expect_continue(wait));
    request.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
    layer().layer(watch).oneshot(request).await.unwrap();
    assert_eq!(*options.lock().unwrap(), [true, false]);
    assert_eq!(server.requests()[1].header("expect"), None);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_one_does_not_deadlock() {
    let server = ScriptedService::replies([Reply::redirect(307, "/x").body("go there"), Reply::ok("")]);
    let stack = (layer(), InFlightLayer::new(Some(1))).layer(server);
    let call = tokio::time::timeout(std::time::Duration::from_secs(9), stack.oneshot(put("x")));
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn an_error_behind_a_redirect_says_so() {
    let server = ScriptedService::replies([Reply::redirect(307, "http://t/x"), Reply::refused()]);
    let error = layer().layer(server).oneshot(put("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.redirects()), (TransportErrorKind::Connect, 1));
}

#[tokio::test]
async fn without_location_it_is_the_answer() {
    for reply in [Reply::status(301), Reply::status(304).header("location", "/x"), Reply::status(300)] {
        let server = ScriptedService::replies([reply]);
        let answer = layer().layer(server).oneshot(put("")).await.unwrap();
        assert!(answer.status().is_redirection());
    }
}

#[tokio::test]
async fn a_policy_of_the_caller_decides() {
    #[derive(Debug)]
    struct ToGet;
    impl RedirectPolicy for ToGet {
        fn on_redirect(&self, hop: &RedirectHop<'_>) -> RedirectAction {
            match hop.to.path() {
                "/stop" => RedirectAction::Stop,
                _ => RedirectAction::Get { credentials: true },
            }
        }
    }
    let server = ScriptedService::replies([
        Reply::redirect(302, "http://other/x"),
        Reply::redirect(302, "http://other/stop"),
    ]);
    let stack = RedirectLayer::new(ToGet, 5).layer(server.clone());
    assert_eq!(stack.oneshot(put("body")).await.unwrap().status(), 302);
    let second = &server.requests()[1];
    assert_eq!((&second.method, second.body.as_ref().unwrap().len()), (&Method::GET, 0));
    assert!(second.header("authorization").is_some());
}
