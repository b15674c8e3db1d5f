//! Following redirects.

mod policy;

pub use policy::{ClusterRedirects, RedirectAction, RedirectHop, RedirectPolicy};
