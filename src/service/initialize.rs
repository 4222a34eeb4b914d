//! Beginning a conversation: a new thread bound to an agent.

use serde::{Deserialize, Serialize};

use crate::domain::{AgentId, AgentRef, Caller, IdempotencyKey, ThreadId};
use crate::service::idempotency::{Once, once};
use crate::service::{Error, Service};
use crate::store;

/// A thread that was just made.
#[derive(Debug, Serialize, Deserialize)]
pub struct Initialized {
    /// The new thread.
    pub thread_id: ThreadId,
    /// The agent it is bound to.
    pub agent_id: AgentId,
}

/// Records a new thread for a living agent; [`Error::AgentNotFound`] otherwise.
pub async fn initialize(
    service: &Service,
    caller: &Caller,
    key: Option<&IdempotencyKey>,
    agent: AgentRef,
) -> Result<Once<Initialized>, Error> {
    once(service, caller, key, "/openai/initialize", async |connection| {
        let thread_id = ThreadId::generate();
        let agent_id = store::threads::create(connection, caller, &thread_id, &agent).await?;
        let agent_id = agent_id.ok_or_else(|| Error::AgentNotFound(agent.clone()))?;
        Ok(Initialized { thread_id, agent_id })
    })
    .await
}
