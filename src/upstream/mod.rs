//! All outbound HTTP: one call of the model over a provider's wire. No SQL, no routes, no decisions about turns.

mod body;
mod breaker;
mod call;
mod client;
mod config;
mod deadline;
mod failure;
mod health;
mod jwks;
mod provider;
mod redact;
mod refusal;
mod responses;
mod retry;
mod slots;
mod sse;
mod words;

pub use config::{Config, DriverKind, Error};
pub use jwks::{Jwks, JwksError, address as jwks_address};
pub use provider::Provider;

use crate::domain::{Answer, Failure, ModelCall};
use responses::Responses;

/// A driver, one per worker thread: its client is bound to the thread that built it.
pub enum Upstream {
    /// OpenAI's `/v1/responses`.
    Responses(Responses),
}

impl Upstream {
    /// The driver that the provider's configuration names; must be called within an actix runtime.
    pub fn new(provider: &Provider) -> Self {
        match provider.driver() {
            DriverKind::Responses => Self::Responses(Responses::new(provider)),
        }
    }

    /// Has one turn answered; `deltas` sees the pieces of the text as they arrive. The answer's text is what counts:
    /// it may differ from the joined pieces where the provider corrects itself at the end.
    ///
    /// A call that the provider may have executed is never repeated; one that it certainly did not execute is, within
    /// `deadline_ms` and `retries_max`. Errs with `Overloaded` where the process has too many calls in flight, and with
    /// `CircuitOpen` while the provider is not called at all.
    pub async fn answer(&self, call: &ModelCall<'_>, deltas: &mut dyn FnMut(&str)) -> Result<Answer, Failure> {
        match self {
            Self::Responses(driver) => driver.answer(call, deltas).await,
        }
    }

    /// The ids of the provider's models, in the provider's order; a call like any other.
    pub async fn models(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Responses(driver) => driver.models().await,
        }
    }
}
