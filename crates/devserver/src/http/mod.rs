//! HTTP plumbing shared by all emulated services: listeners, connections that can be broken on purpose, bodies.

mod body;
mod io;
mod serve;

pub(crate) use body::{Abort, JournalRef, ReqBody, ResBody, Source};
pub(crate) use serve::{Conn, Handler, Restart, misbehave, serve};
