//! Agents as reviewed definitions: making the store match them, and reading them back.

use crate::domain::{AgentConfig, AgentId, AgentName, AgentRef, Caller, Label};
use crate::service::{Error, projects, users};
use crate::store::{self, PgPool};

pub use crate::store::agents::{Agent, Applied, Version};

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

/// The same for a project's administrator: shared, or one user's own.
pub async fn apply_for(
    pool: &PgPool,
    caller: &Caller,
    project: &str,
    owner: Option<&Label>,
    definition: &Definition,
) -> Result<Agent, Error> {
    definition.config.validate().map_err(Error::InvalidConfig)?;
    let mut caller = projects::enter(pool, caller, project).await?;
    if let Some(owner) = owner {
        caller.user_id = Some(users::create(pool, &caller, caller.project_id.as_str(), owner).await?.id);
    }
    apply(pool, &caller, definition).await?;
    known(pool, &caller, &AgentRef::Name(definition.name.clone())).await
}

/// One of a project's living agents.
pub async fn show(pool: &PgPool, caller: &Caller, project: &str, agent: &AgentRef) -> Result<Agent, Error> {
    known(pool, &projects::enter(pool, caller, project).await?, agent).await
}

/// Every version of a living agent, newest first.
pub async fn versions(pool: &PgPool, caller: &Caller, project: &str, agent: &AgentRef) -> Result<Vec<Version>, Error> {
    let caller = projects::enter(pool, caller, project).await?;
    let versions = store::agents::versions(pool, &caller, agent).await?;
    if versions.is_empty() { Err(unknown(agent)) } else { Ok(versions) }
}

/// Tombstones an agent and answers what it was.
pub async fn delete(pool: &PgPool, caller: &Caller, project: &str, agent: &AgentRef) -> Result<Agent, Error> {
    let caller = projects::enter(pool, caller, project).await?;
    let agent = known(pool, &caller, agent).await?;
    store::agents::delete(pool, &caller, &AgentRef::Id(agent.id.clone())).await?;
    Ok(agent)
}

/// A living agent that must be there.
pub(super) async fn known(pool: &PgPool, caller: &Caller, agent: &AgentRef) -> Result<Agent, Error> {
    find(pool, caller, agent).await?.ok_or_else(|| unknown(agent))
}

fn unknown(agent: &AgentRef) -> Error {
    Error::NotFound { kind: "agent", name: agent.to_string() }
}
