//! Tests that need more than one crate; the programs stand beside this folder.

/// The examples of the README at the top of the workspace.
#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct Readme;
