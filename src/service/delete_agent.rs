//! Deleting an agent: a tombstone here; its threads stay readable, and no driver keeps anything of it upstream.

use crate::domain::{AgentId, AgentRef, Caller, IdempotencyKey};
use crate::service::idempotency::{Once, once};
use crate::service::{Error, Service};
use crate::store;

/// Tombstones a living agent and answers its id; [`Error::AgentNotFound`] when there is none.
pub async fn delete_agent(
    service: &Service,
    caller: &Caller,
    key: Option<&IdempotencyKey>,
    agent: AgentRef,
) -> Result<Once<AgentId>, Error> {
    once(service, caller, key, "/openai/delete_agent", async |connection| {
        let deleted = store::agents::delete(connection, caller, &agent).await?;
        deleted.ok_or_else(|| Error::AgentNotFound(agent.clone()))
    })
    .await
}
