//! Services without network, for tests of layers and of clients.
//!
//! [`ScriptedService`] stands in for the HTTP client at the bottom of a stack and answers from a script or
//! from a function. [`RecorderLayer`] shows what passes at any place in a stack. Both keep the requests
//! for later questions.
//!
//! ```
//! use longshore_core_types::Payload;
//! use longshore_transport::{Transport, body, testing::{Reply, ScriptedService}};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server that is busy once, then answers.
//! let server = ScriptedService::replies([
//!     Reply::status(503).header("retry-after", "2"),
//!     Reply::ok("hello"),
//! ]);
//! let transport = Transport::builder().service(server.clone()).build()?;
//!
//! let request = http::Request::get("http://store/v1/health").body(Payload::empty())?;
//! let answer = transport.send(request).await?;
//! assert_eq!(body::collect(answer.into_body(), 100).await?, "hello");
//! assert_eq!(server.requests().len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! Waits pass at once under tokio's paused time (`#[tokio::test(start_paused = true)]`), so a test of
//! retries or time-outs takes no time and depends on none.

mod recorder;
mod reply;
mod scripted;

pub use self::{
    recorder::{Recorder, RecorderLayer},
    reply::Reply,
    scripted::{ScriptedService, Seen},
};

/// The page about this crate, whose example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/transport.md")]
struct Page;
