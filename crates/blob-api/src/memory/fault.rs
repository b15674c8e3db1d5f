//! Calls that a test watches, and faults that it injects.

use longshore_core_types::{ByteRange, Error, ObjectKey};

use crate::PartNumber;

pub(super) type Hook = dyn Fn(&MemoryCall<'_>) -> MemoryFault + Send + Sync;

/// A call that a [`MemoryStore`](crate::MemoryStore) is about to carry out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemoryCall<'a> {
    /// Its name: `memory.object.head`, `get`, `get_many`, `put`, `delete`, `delete_many`, `copy`,
    /// `copy_from` and `list`, `memory.multipart.create`, `put_part`, `list_parts`, `list_uploads`,
    /// `complete` and `abort`.
    pub operation: &'static str,
    /// The object, where there is one; the source of a copy.
    pub key: Option<&'a ObjectKey>,
    /// The range of a `get`.
    pub range: Option<ByteRange>,
    /// The number of a part.
    pub part: Option<PartNumber>,
}

impl<'a> MemoryCall<'a> {
    pub(super) fn new(operation: &'static str) -> Self {
        Self { operation, key: None, range: None, part: None }
    }

    pub(super) fn on(mut self, key: &'a ObjectKey) -> Self {
        self.key = Some(key);
        self
    }
}

/// What shall go wrong with a call.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum MemoryFault {
    /// Nothing.
    #[default]
    None,
    /// It fails and has no effect.
    Refuse(Error),
    /// It takes effect, but its answer is lost: the caller gets this error instead.
    Lose(Error),
    /// The body of a `get` breaks after so many bytes with an error of kind `Transport`. A shorter body is
    /// left alone.
    BreakBody(u64),
}
