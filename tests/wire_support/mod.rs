//! What the wire tests of clients and of the dev server share: recorded exchanges, and the exceptions to them.

pub(crate) mod exceptions;
pub(crate) mod exchange;
