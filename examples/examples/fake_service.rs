//! A store that exists only in this process: the bottom of the stack is any tower service.
//!
//! `cargo run -p longshore-examples --example fake_service`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use longshore_core_types::Payload;
use longshore_transport::{HttpRequest, Transport, body};
use tower::service_fn;

type Objects = Arc<Mutex<HashMap<String, Bytes>>>;

/// PUT keeps, GET gives, DELETE forgets.
async fn serve(objects: Objects, request: HttpRequest) -> Result<Response<Full<Bytes>>, Infallible> {
    let key = request.uri().path().to_owned();
    let method = request.method().clone();
    let Ok(body) = request.into_body().collect().await else {
        return Ok(answer(StatusCode::BAD_REQUEST, Bytes::new()));
    };
    let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(match method {
        Method::PUT => {
            objects.insert(key, body.to_bytes());
            answer(StatusCode::NO_CONTENT, Bytes::new())
        }
        Method::GET => match objects.get(&key) {
            Some(bytes) => answer(StatusCode::OK, bytes.clone()),
            None => answer(StatusCode::NOT_FOUND, Bytes::new()),
        },
        Method::DELETE => {
            objects.remove(&key);
            answer(StatusCode::NO_CONTENT, Bytes::new())
        }
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
    })
}

fn answer(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let objects = Objects::default();
    let store = service_fn(move |request| serve(Arc::clone(&objects), request));
    // All layers of the default stack lie above it, and nothing leaves the process.
    let transport = Transport::builder().service(store).build()?;
    let send = |method: &str, body: &'static str| {
        let request = Request::builder().method(method).uri("http://fake/greeting").body(Payload::from(body));
        let transport = transport.clone();
        async move {
            let answer = transport.send(request?).await?;
            let status = answer.status().as_u16();
            Ok::<_, Box<dyn std::error::Error>>((status, body::collect(answer.into_body(), 1024).await?))
        }
    };

    assert_eq!(send("GET", "").await?.0, 404);
    assert_eq!(send("PUT", "hello").await?.0, 204);
    let (status, body) = send("GET", "").await?;
    println!("{status} {}", String::from_utf8_lossy(&body));
    assert_eq!((status, &body[..]), (200, &b"hello"[..]));
    assert_eq!(send("DELETE", "").await?.0, 204);
    assert_eq!(send("GET", "").await?.0, 404);
    Ok(())
}
