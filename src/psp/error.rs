//! What went wrong with a call, and what may be assumed after it.

use std::time::Duration;

use crate::resilience::breaker::TurnedAway;

/// Why a call gave nothing.
///
/// About a call that asks (`verify`, `verify_transfer`, `refunds_of`) all of them say the same: the
/// question was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PspError {
    /// A definite no: nothing happened.
    #[error("the PSP refused it ({code}): {message}")]
    Refused {
        /// The provider's code, or `http_400` and the like where it gave none.
        code: String,
        /// Why, in the provider's words.
        message: String,
    },
    /// This call did nothing, because an earlier one used the reference: ask how that one stands.
    #[error("the PSP already has the reference {reference:?} from an earlier call: ask it by that")]
    ReferenceTaken {
        /// The reference.
        reference: String,
    },
    /// It may have happened: ask by reference, and send nothing again before the answer.
    #[error("the PSP's answer can't be known, so that it may have happened: {reason}")]
    Unknown {
        /// What came instead of an answer.
        reason: String,
    },
    /// No connection was made, so nothing was sent: it did not happen.
    #[error("there is no connection to the PSP ({reason}); nothing was sent")]
    Unreachable {
        /// Why not.
        reason: String,
    },
    /// Too many calls: it did not happen.
    #[error("the PSP takes no more calls for now; nothing was done")]
    RateLimited {
        /// When it may be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The provider failed too often and is left alone for a while: it did not happen.
    #[error(transparent)]
    TurnedAway(#[from] TurnedAway),
}

impl PspError {
    /// Whether what was asked for may have taken effect, by this call or an earlier one. Where not,
    /// the same call may be made again.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::ReferenceTaken { .. })
    }

    /// Whether the provider failed, rather than answered.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Unreachable { .. })
    }

    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown {
            reason: reason.into(),
        }
    }
}
