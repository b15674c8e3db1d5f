#![doc = include_str!("../README.md")]

mod address;
mod answer;
mod body;
mod builder;
mod store;
#[cfg(test)]
mod tests;

pub use builder::HttpStoreBuilder;
pub use store::HttpStore;
