//! Deleting an agent: a tombstone here; its threads stay readable, and no driver keeps anything of it upstream.

use crate::domain::{AgentId, AgentRef, Caller, IdempotencyKey};
use crate::service::idempotency::{Once, once};
use crate::service::{Error, Service};
use crate::store;
use crate::store::agents::Deleted;

/// Tombstones a living agent and answers its id; [`Error::AgentNotFound`] when there is none, and
/// [`Error::Forbidden`] when it is shared and the caller is one user.
pub async fn delete_agent(
    service: &Service,
    caller: &Caller,
    key: Option<&IdempotencyKey>,
    agent: AgentRef,
) -> Result<Once<AgentId>, Error> {
    once(service, caller, key, "/openai/delete_agent", async |connection| {
        match store::agents::delete(connection, caller, &agent).await? {
            Deleted::Tombstoned(agent_id) => Ok(agent_id),
            Deleted::Shared => Err(Error::Forbidden),
            Deleted::NotFound => Err(Error::AgentNotFound(agent.clone())),
        }
    })
    .await
}
