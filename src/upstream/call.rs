//! One call of the provider from its place in line to the end of its answer: what every driver's call goes through,
//! whatever it asks.

use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::body::Reply;
use super::breaker::Pass;
use super::client::{Client, Request};
use super::deadline::Deadline;
use super::health::Health;
use super::retry::{Setback, persevere};
use crate::domain::{Cause, Failure};

/// A call that has a slot and may be made; one deadline covers its wait in line, all its attempts, the waits between
/// them, and the answer.
pub struct Call<'c> {
    client: &'c Client,
    deadline: Deadline,
    _slot: SemaphorePermit<'c>,
}

impl<'c> Call<'c> {
    /// Starts the clock and waits for a slot; fails at once while the circuit is open.
    pub async fn begin(client: &'c Client) -> Result<Self, Failure> {
        let provider = client.provider();
        let deadline = Deadline::start(provider);
        provider.breaker().check()?;
        let slot = provider.slots().take(&deadline).await?;
        Ok(Self { client, deadline, _slot: slot })
    }

    /// Sends the request until an answer begins or must not be asked for again, and has it read.
    pub async fn make<T>(
        self,
        request: &Request<'_>,
        read: impl AsyncFnOnce(Reply) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let retries_max = self.client.provider().retries_max();
        let (reply, pass) = persevere(retries_max, &self.deadline, async || self.attempt(request).await).await?;
        let request_id = reply.request_id.clone();
        let outcome = read(reply).await;
        pass.settle(outcome.as_ref().map_or_else(|failure| self.health(failure), |_| Health::Well));
        outcome.map_err(|failure| Failure { request_id, ..failure })
    }

    async fn attempt(&self, request: &Request<'_>) -> Result<(Reply, Pass<'c>), Setback> {
        let breaker = self.client.provider().breaker();
        let pass = breaker.enter().map_err(Setback::last)?;
        match self.client.send(request, &self.deadline).await {
            Ok(reply) => {
                pass.began();
                Ok((reply, pass))
            }
            Err(setback) => {
                pass.settle(self.health(&setback.failure));
                Err(if breaker.check().is_ok() { setback } else { Setback::last(setback.failure) })
            }
        }
    }

    /// A deadline that passed is no sign: the call may have spent it in line, or on an answer that kept coming.
    fn health(&self, failure: &Failure) -> Health {
        let is_over = failure.cause == Cause::Timeout && !self.deadline.leaves(Duration::ZERO);
        if is_over { Health::Unknown } else { Health::of(failure.cause) }
    }
}
