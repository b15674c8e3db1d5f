//! Replaying recorded exchanges against the dev server.

mod apolo;
mod apolo_s3;
mod archive;
mod cloud;
mod http;
mod replay;
mod setup;
mod standin;
mod supabase;
mod tokens;
mod volatile;

pub(crate) use apolo::ApoloReplay;
pub(crate) use apolo_s3::ApoloS3Replay;
pub(crate) use replay::{Outcome, Replay};
pub(crate) use setup::Setup;
pub(crate) use supabase::SupabaseReplay;
