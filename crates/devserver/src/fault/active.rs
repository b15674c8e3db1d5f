//! The fault that one request suffers.

use super::{Fault, FaultKind, Unsettled};

/// The fault chosen for a request, if any, as questions that the code which carries it out asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    fault: Option<Fault>,
    /// True if the body that faults apply to is the request's.
    upload: bool,
}

/// What happens to a body while it flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) cut: Option<Cut>,
    /// Bytes per second.
    pub(crate) rate: Option<u64>,
}

/// Where and how a body breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) at: u64,
    pub(crate) end: CutEnd,
}

/// How a body breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutEnd {
    Reset,
    Close,
    Stall,
}

impl Plan {
    pub(crate) fn new(fault: Option<Fault>, upload: bool) -> Self {
        Self { fault, upload }
    }

    pub(crate) fn text(&self) -> Option<String> {
        self.fault.as_ref().map(ToString::to_string)
    }

    pub(crate) fn kind(&self) -> Option<&FaultKind> {
        self.fault.as_ref().map(Fault::kind)
    }

    fn shape(&self) -> Shape {
        let cut = |at, end| Shape { cut: Some(Cut { at, end }), rate: None };
        match self.kind() {
            Some(FaultKind::ResetAt(at)) => cut(*at, CutEnd::Reset),
            Some(FaultKind::TruncateAt(at)) => cut(*at, CutEnd::Close),
            Some(FaultKind::StallAt(at)) => cut(*at, CutEnd::Stall),
            Some(FaultKind::Rate(rate)) => Shape { cut: None, rate: Some(*rate) },
            _ => Shape::default(),
        }
    }

    /// What happens to the request's body.
    pub(crate) fn request_shape(&self) -> Shape {
        if self.upload { self.shape() } else { Shape::default() }
    }

    /// What happens to the answer's body.
    pub(crate) fn response_shape(&self) -> Shape {
        if self.upload { Shape::default() } else { self.shape() }
    }

    /// The byte at which the disk is full.
    pub(crate) fn no_space_at(&self) -> Option<u64> {
        match self.kind() {
            Some(FaultKind::NoSpaceAt(at)) => Some(*at),
            _ => None,
        }
    }

    /// What the cluster says of its state.
    pub(crate) fn unsettled(&self) -> Option<Unsettled> {
        match self.kind() {
            Some(FaultKind::Unsettled(why)) => Some(*why),
            _ => None,
        }
    }

    /// Entries after which a list fails.
    pub(crate) fn fail_after(&self) -> Option<usize> {
        match self.kind() {
            Some(FaultKind::FailAfter(n)) => Some(usize::try_from(*n).unwrap_or(usize::MAX)),
            _ => None,
        }
    }

    /// Bytes missing from an answer that hides it.
    pub(crate) fn short_by(&self) -> u64 {
        match self.kind() {
            Some(FaultKind::ShortBy(n)) => *n,
            _ => 0,
        }
    }

    /// Bytes that follow the announced body.
    pub(crate) fn extra(&self) -> u64 {
        match self.kind() {
            Some(FaultKind::Extra(n)) => *n,
            _ => 0,
        }
    }

    pub(crate) fn ignores_range(&self) -> bool {
        matches!(self.kind(), Some(FaultKind::IgnoreRange))
    }

    /// Distance by which a range is displaced, and whether `Content-Range` admits it.
    pub(crate) fn range_shift(&self) -> Option<(u64, bool)> {
        match self.kind() {
            Some(FaultKind::WrongRange(n)) => Some((*n, true)),
            Some(FaultKind::WrongRangeBody(n)) => Some((*n, false)),
            _ => None,
        }
    }
}
