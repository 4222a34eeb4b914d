//! Deleting an agent: a tombstone here; its threads stay readable, and no driver keeps anything of it upstream.

use crate::domain::{AgentId, AgentRef, Caller};
use crate::service::{Error, Service};
use crate::store;

/// Tombstones a living agent and answers its id; [`Error::AgentNotFound`] when there is none.
pub async fn delete_agent(service: &Service, caller: &Caller, agent: AgentRef) -> Result<AgentId, Error> {
    let deleted = store::agents::delete(service.pool(), caller, &agent).await?;
    deleted.ok_or(Error::AgentNotFound(agent))
}
