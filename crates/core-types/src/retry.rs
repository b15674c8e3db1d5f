//! Whether a failed call may be tried again.

/// What repeating the *request* would do at the server.
///
/// Every request carries it in its [`CallInfo`](crate::CallInfo); the retry layer obeys it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Sending it twice has the effect of sending it once.
    Idempotent,
    /// Sending it twice may have another effect; retried only if the server surely did not see it.
    #[default]
    NotIdempotent,
    /// Never sent a second time by a retry layer, whatever happened to the first.
    ///
    /// For requests whose repetition destroys data, such as a part of an AIStore multipart upload.
    Never,
}

/// Whether trying again makes sense after this *failure*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retryability {
    /// The same call fails again.
    Never,
    /// Worth another try if the call is idempotent.
    IfIdempotent,
    /// Worth another try, whatever the call: the server did nothing.
    Always,
    /// The call was tried as often as the policy allows; an outer loop should not repeat it at once.
    Exhausted,
}

impl Retryability {
    /// Whether a call of the given idempotency may be repeated after a failure of this sort.
    pub fn allows(self, idempotency: Idempotency) -> bool {
        match (self, idempotency) {
            (_, Idempotency::Never) | (Self::Never | Self::Exhausted, _) => false,
            (Self::Always, _) => true,
            (Self::IfIdempotent, i) => i == Idempotency::Idempotent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_wins_over_always() {
        assert!(!Retryability::Always.allows(Idempotency::Never));
        assert!(Retryability::Always.allows(Idempotency::NotIdempotent));
        assert!(!Retryability::IfIdempotent.allows(Idempotency::NotIdempotent));
        assert!(Retryability::IfIdempotent.allows(Idempotency::Idempotent));
        assert!(!Retryability::Exhausted.allows(Idempotency::Idempotent));
    }
}
