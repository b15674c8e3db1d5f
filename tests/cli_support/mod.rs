//! What the tests of the command share, and the tests by subject.

pub(crate) mod ais;
pub(crate) mod apolo;
pub(crate) mod apolo_login;
pub(crate) mod authn;
pub(crate) mod bad_input;
pub(crate) mod buckets;
pub(crate) mod comparing;
pub(crate) mod copying;
pub(crate) mod embedded;
pub(crate) mod everywhere;
pub(crate) mod interrupt;
pub(crate) mod listing;
pub(crate) mod moving;
pub(crate) mod odd_trees;
pub(crate) mod pairs;
pub(crate) mod removing;
pub(crate) mod resume;
pub(crate) mod s3;
pub(crate) mod settings;
pub(crate) mod supabase;
pub(crate) mod syncing;

mod binary;
mod files;
mod home;
mod platforms;
mod scripted;

pub(crate) use binary::longshore;
pub(crate) use files::{assert_same, noise, random_file, tree};
pub(crate) use home::{Home, Ran, Running, cluster, names};
pub(crate) use platforms::Platform;
pub(crate) use scripted::answering;

/// Names the functions of a subject, for the table in `cli.rs`.
macro_rules! cases {
    ($($name:ident)*) => {
        pub(crate) const CASES: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use cases;
