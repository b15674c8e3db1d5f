//! Which connection a request takes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use super::*;
use crate::{PoolConfig, Transport, TransportErrorKind};

async fn numbered() -> Server {
    Server::start(|number, peer| peer.answer_all(number)).await
}

fn pool(pool: PoolConfig) -> Client {
    client(&TransportConfig::default().pool(pool))
}

#[tokio::test]
async fn a_connection_is_used_again_after_its_body_was_read() {
    let server = numbered().await;
    let client = pool(PoolConfig::default());
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url).await.unwrap(), "0");
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_its_connection() {
    let server = numbered().await;
    let client = pool(PoolConfig::default());
    drop(send(&client, request("GET", &server.url, "")).await.unwrap());
    assert_eq!(get(&client, &server.url).await.unwrap(), "1");
}

#[tokio::test]
async fn an_answer_without_body_needs_no_reading() {
    let server = Server::start(|number, mut peer| async move {
        while let Some(head) = peer.head().await {
            let status =
                if head.starts_with("head") { "200 OK\r\ncontent-length: 9" } else { "204 No Content" };
            peer.say(&format!("HTTP/1.1 {status}\r\nconnection-number: {number}\r\n\r\n")).await;
        }
    });
    let server = server.await;
    let client = pool(PoolConfig::default().max_per_host(1));
    for method in ["HEAD", "DELETE", "HEAD"] {
        // The answer is still held while the next one is sent.
        let answer = send(&client, request(method, &server.url, "")).await.unwrap();
        assert_eq!(answer.headers()["connection-number"], "0");
        let again = send(&client, request(method, &server.url, "")).await.unwrap();
        assert_eq!(again.headers()["connection-number"], "0");
    }
}

#[tokio::test]
async fn chunked_and_split_answers_leave_a_usable_connection() {
    let server = Server::start(|number, mut peer| async move {
        while peer.head().await.is_some() {
            peer.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
            tokio::time::sleep(SOON).await;
            peer.say(&format!("1\r\n{number}\r\n0\r\n\r\n")).await;
        }
    });
    let server = server.await;
    let client = pool(PoolConfig::default());
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url).await.unwrap(), "abc0");
    }
}

#[tokio::test]
async fn never_more_connections_than_allowed_and_first_come_first_served() {
    let open = Arc::new(AtomicUsize::new(0));
    let server = {
        let open = Arc::clone(&open);
        Server::start(move |number, peer| {
            open.fetch_add(1, SeqCst);
            peer.answer_all(number)
        })
    };
    let server = server.await;
    let client = pool(PoolConfig::default().max_per_host(2));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let first = send(&client, request("GET", &server.url, "")).await.unwrap();
    let second = send(&client, request("GET", &server.url, "")).await.unwrap();
    let waiting = (0..8).map(|n| {
        let (client, order, url) = (client.clone(), Arc::clone(&order), server.url.clone());
        async move {
            let body = get(&client, &url).await.unwrap();
            order.lock().unwrap().push(n);
            body
        }
    });
    let waiting = futures_util::future::join_all(waiting);
    let release = async {
        tokio::time::sleep(SOON).await;
        text(first).await.unwrap();
        drop(second);
    };
    tokio::join!(waiting, release);
    // Two are served at a time, so neighbours may change places.
    let order = order.lock().unwrap().clone();
    assert!(order.iter().enumerate().all(|(at, n): (usize, &usize)| at.abs_diff(*n) <= 1), "{order:?}");
    // The second body was dropped unread, which cost its connection.
    assert_eq!(open.load(SeqCst), 3);
}

/// One task may do only so much at a time; the rest of its requests must not lose their connections.
#[tokio::test]
async fn a_busy_task_keeps_its_connections() {
    let open = Arc::new(AtomicUsize::new(0));
    let server = {
        let open = Arc::clone(&open);
        Server::start(move |number, peer| {
            open.fetch_add(1, SeqCst);
            peer.answer_all(number)
        })
    };
    let server = server.await;
    let client = pool(PoolConfig::default().max_per_host(8));
    let all = (0..2000).map(|_| get(&client, &server.url));
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(open.load(SeqCst), 8);
}

#[tokio::test]
async fn waiting_in_line_is_given_up_without_harm() {
    let server = numbered().await;
    let client = pool(PoolConfig::default().max_per_host(1));
    let held = send(&client, request("GET", &server.url, "")).await.unwrap();
    let waiting = tokio::time::timeout(SOON, get(&client, &server.url)).await;
    assert!(waiting.is_err());
    text(held).await.unwrap();
    assert_eq!(get(&client, &server.url).await.unwrap(), "0");
}

#[tokio::test]
async fn idle_connections_grow_too_old() {
    let server = numbered().await;
    let client = pool(PoolConfig::default().idle(SOON));
    assert_eq!(get(&client, &server.url).await.unwrap(), "0");
    tokio::time::sleep(2 * SOON).await;
    assert_eq!(get(&client, &server.url).await.unwrap(), "1");
    let client = pool(PoolConfig::default().idle(Duration::ZERO));
    assert_eq!(get(&client, &server.url).await.unwrap(), "2");
    assert_eq!(get(&client, &server.url).await.unwrap(), "3");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_not_used() {
    let server = Server::start(|number, mut peer| async move {
        peer.head().await;
        peer.ok(&number.to_string()).await;
    });
    let server = server.await;
    let client = pool(PoolConfig::default());
    for expected in ["0", "1", "2"] {
        let answer = send(&client, request("POST", &server.url, "")).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), expected);
        tokio::time::sleep(SOON).await;
    }
}

/// The server takes a second request on each connection and closes instead of answering.
async fn closes_on_the_second() -> Server {
    Server::start(|number, mut peer| async move {
        if peer.head().await.is_some() {
            peer.ok(&number.to_string()).await;
            peer.head().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_that_dies_under_a_request_is_called_stale() {
    let server = closes_on_the_second().await;
    let client = pool(PoolConfig::default());
    assert_eq!(get(&client, &server.url).await.unwrap(), "0");
    let error = send(&client, request("POST", &server.url, "")).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed);
    assert!(error.is_stale_connection() && error.sent().anything && error.body_fully_sent());
}

#[tokio::test]
async fn the_retry_layer_replaces_it_for_free_if_that_is_safe() {
    let server = closes_on_the_second().await;
    let transport = Transport::builder().build().unwrap();
    let call = |method| transport.send(request(method, &server.url, ""));
    for expected in ["0", "1", "2"] {
        let body = call("GET").await.unwrap().into_body();
        assert_eq!(body::collect(body, 9).await.unwrap(), expected);
    }
    // POST may have happened.
    assert!(call("POST").await.unwrap_err().is_stale_connection());
}

#[tokio::test]
async fn a_new_connection_that_dies_is_not_replaced() {
    let opened = Arc::new(AtomicUsize::new(0));
    let server = {
        let opened = Arc::clone(&opened);
        Server::start(move |_, mut peer| {
            opened.fetch_add(1, SeqCst);
            async move {
                peer.head().await;
            }
        })
    };
    let server = server.await;
    let error = get(&pool(PoolConfig::default()), &server.url).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed);
    assert_eq!(error.endpoint(), Some(&*server.url));
    assert!(!error.is_stale_connection());
    assert_eq!(opened.load(SeqCst), 1);
}
