//! Threads: the beginning of a conversation.

use sqlx::PgExecutor;

use crate::domain::{AgentId, AgentRef, Caller, ThreadId, UserId};
use crate::store::Error;

/// Records a new thread bound to a living agent, and the audit event; answers the agent's id, or nothing when
/// the caller's project has no such agent.
pub async fn create(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    thread_id: &ThreadId,
    agent: &AgentRef,
) -> Result<Option<AgentId>, Error> {
    let created = sqlx::query_scalar!(
        r#"
        with created as (
            insert into threads (id, project_id, user_id, agent_id)
            select $1, agents.project_id, $3, agents.id from visible_agents($2, $3, $4) agents
            returning id, project_id, agent_id
        ), audited as (
            insert into audit_events (project_id, actor, action, subject_id, thread_id, outcome, request_id)
            select project_id, $5, 'thread.created', id, id, 'ok', $6 from created
        )
        select agent_id as "agent_id!: AgentId" from created
        "#,
        thread_id.as_str(),
        caller.project_id.as_str(),
        caller.user_id.as_ref().map(UserId::as_str),
        agent.as_str(),
        caller.actor,
        caller.request_id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(created)
}
