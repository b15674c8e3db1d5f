//! Replaying recorded exchanges against the dev server.

mod archive;
mod cloud;
mod http;
mod replay;
mod setup;
mod standin;
mod supabase;
mod tokens;
mod volatile;

pub(crate) use replay::Replay;
pub(crate) use setup::Setup;
pub(crate) use supabase::SupabaseReplay;
