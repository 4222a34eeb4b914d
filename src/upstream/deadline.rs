//! The four time limits of a call and the sentence for the one that passed.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::failure::failure;
use super::provider::Provider;
use crate::domain::{Cause, Failure};

/// A time limit that is a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Resolving and connecting.
    Connect,
    /// From the request's start to the response's head.
    FirstByte,
    /// Silence within a response.
    Idle,
    /// The whole call.
    Deadline,
}

/// The moment at which a call ends, whatever it is doing.
#[derive(Clone)]
pub struct Deadline {
    at: Instant,
    provider: Provider,
}

impl Limit {
    fn passed(self, duration: Duration) -> Failure {
        let ms = duration.as_millis();
        let (sentence, setting) = match self {
            Self::Connect => ("accept a connection", "upstream.connect_timeout_ms"),
            Self::FirstByte => ("begin to answer", "upstream.first_byte_timeout_ms"),
            Self::Idle => ("go on with its answer", "upstream.idle_timeout_ms"),
            Self::Deadline => ("end its answer", "upstream.deadline_ms"),
        };
        let sentence = format!("The provider did not {sentence} within {ms} ms ({setting}).");
        failure(Cause::Timeout, sentence, format!("{setting} passed"))
    }
}

impl Deadline {
    /// Starts the clock of a call.
    pub fn start(provider: &Provider) -> Self {
        Self { at: Instant::now() + provider.duration(Limit::Deadline), provider: provider.clone() }
    }

    /// How long the call may take as a whole.
    pub fn whole(&self) -> Duration {
        self.provider.duration(Limit::Deadline)
    }

    /// Whether a wait of this length still ends before the deadline.
    pub fn leaves(&self, wait: Duration) -> bool {
        Instant::now().checked_add(wait).is_some_and(|end| end < self.at)
    }

    /// Waits for `work` until `limit` or the deadline passes; the error is the one that passed first.
    pub async fn bound<T>(&self, limit: Limit, work: impl Future<Output = T>) -> Result<T, Limit> {
        let limit_at = Instant::now() + self.provider.duration(limit);
        let first = if limit_at < self.at { limit } else { Limit::Deadline };
        timeout_at(limit_at.min(self.at), work).await.map_err(|_| first)
    }

    /// The failure of a call for which `limit` passed.
    pub fn passed(&self, limit: Limit) -> Failure {
        limit.passed(self.provider.duration(limit))
    }
}
