//! Agents as reviewed definitions: making the store match them, and reading them back.

use crate::domain::{AgentConfig, AgentId, AgentName, AgentRef, Caller};
use crate::store::{self, PgPool};

pub use crate::store::agents::{Agent, Applied};

/// An agent as a file defines it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The name under which the agent is found.
    pub name: AgentName,
    /// The configuration it shall have.
    pub config: AgentConfig,
}

/// Creates the agent, gives it a new version, or finds it equal; never deletes.
pub async fn apply(pool: &PgPool, caller: &Caller, definition: &Definition) -> Result<Applied, store::Error> {
    let new_id = AgentId::generate();
    store::agents::apply(pool, caller, &new_id, &definition.name, &definition.config).await
}

/// The project's living agents by name.
pub async fn list(pool: &PgPool, caller: &Caller) -> Result<Vec<Agent>, store::Error> {
    store::agents::list(pool, caller, None).await
}

/// One living agent, by id or name.
pub async fn find(pool: &PgPool, caller: &Caller, agent: &AgentRef) -> Result<Option<Agent>, store::Error> {
    Ok(store::agents::list(pool, caller, Some(agent)).await?.pop())
}
