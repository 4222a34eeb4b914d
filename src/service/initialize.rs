//! Beginning a conversation: a new thread bound to an agent.

use crate::domain::{AgentId, AgentRef, Caller, ThreadId};
use crate::service::{Error, Service};
use crate::store;

/// A thread that was just made.
#[derive(Debug)]
pub struct Initialized {
    /// The new thread.
    pub thread_id: ThreadId,
    /// The agent it is bound to.
    pub agent_id: AgentId,
}

/// Records a new thread for a living agent; [`Error::AgentNotFound`] otherwise.
pub async fn initialize(service: &Service, caller: &Caller, agent: AgentRef) -> Result<Initialized, Error> {
    let thread_id = ThreadId::generate();
    let agent_id = store::threads::create(service.pool(), caller, &thread_id, &agent).await?;
    let agent_id = agent_id.ok_or(Error::AgentNotFound(agent))?;
    Ok(Initialized { thread_id, agent_id })
}
