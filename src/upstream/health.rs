//! What the outcome of an attempt says about the provider's health; what follows from it is `breaker`'s.

use crate::domain::Cause;

/// A sign of the provider's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answered, be it with a refusal.
    Well,
    /// It could not be reached, stalled, broke off, or said that it is not available.
    Ill,
    /// Nothing can be said.
    Unknown,
}

impl Health {
    /// The sign that a failed attempt gives.
    pub const fn of(cause: Cause) -> Self {
        match cause {
            Cause::Unreachable | Cause::Timeout | Cause::Unavailable | Cause::ResponseCut => Self::Ill,
            Cause::Unauthorized
            | Cause::RateLimited
            | Cause::QuotaExhausted
            | Cause::ModelNotFound
            | Cause::ContextLengthExceeded
            | Cause::Rejected
            | Cause::ResponseIncomplete
            | Cause::ResponseRefused
            | Cause::ResponseEmpty
            | Cause::FunctionCall => Self::Well,
            Cause::ResponseMalformed
            | Cause::ResponseTooLarge
            | Cause::ResponseFailed
            | Cause::CircuitOpen
            | Cause::Overloaded
            | Cause::Cancelled => Self::Unknown,
        }
    }
}
