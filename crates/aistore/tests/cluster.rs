//! The client against a server of the same protocol, over real sockets.

#[path = "cluster/conformance.rs"]
mod conformance;
#[path = "cluster/features.rs"]
mod features;
#[path = "cluster/jobs.rs"]
mod jobs;
#[path = "cluster/objects.rs"]
mod objects;
#[path = "cluster/support.rs"]
mod support;
#[path = "cluster/uploads.rs"]
mod uploads;
