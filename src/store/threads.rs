//! Threads: the beginning of a conversation, and the list of them; what is said in them is not here.

use serde::Serialize;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::{AgentId, AgentRef, Caller, Page, Piece, ProjectId, ThreadId, UserId};
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
            insert into audit_events (project_id, who, action, subject_id, thread_id, outcome, request_id)
            select project_id, $5::jsonb, 'thread.created', id, id, 'ok', $6 from created
        )
        select agent_id as "agent_id!: AgentId" from created
        "#,
        thread_id.as_str(),
        caller.project_id.as_str(),
        caller.user_id.as_ref().map(UserId::as_str),
        agent.as_str(),
        caller.who(),
        caller.request_id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(created)
}

/// A conversation, without what was said.
#[derive(Debug, Clone, Serialize)]
pub struct Thread {
    /// The thread's id.
    pub id: ThreadId,
    /// Whose it is; none: the project's.
    pub user_id: Option<UserId>,
    /// The agent it is bound to.
    pub agent_id: Option<AgentId>,
    /// How many messages it has.
    pub messages: i64,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Which threads are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this one.
    pub thread_id: Option<ThreadId>,
    /// Only this user's.
    pub user_id: Option<UserId>,
    /// Only this agent's.
    pub agent_id: Option<AgentId>,
}

/// A project's threads, newest first.
pub async fn list(
    executor: impl PgExecutor<'_>,
    project_id: &ProjectId,
    filter: &Filter,
    page: &Page,
) -> Result<Piece<Thread>, Error> {
    let rows = sqlx::query_as!(
        Thread,
        r#"select id as "id: ThreadId", user_id as "user_id: UserId", agent_id as "agent_id: AgentId",
                  last_position as messages, created_at
           from threads
           where project_id = $1 and ($2::text is null or id = $2) and ($3::text is null or user_id = $3)
             and ($4::text is null or agent_id = $4)
             and ($5::text is null
                  or (created_at, id) < (select created_at, id from threads where project_id = $1 and id = $5))
           order by created_at desc, id desc limit $6"#,
        project_id.as_str(),
        filter.thread_id.as_ref().map(ThreadId::as_str),
        filter.user_id.as_ref().map(UserId::as_str),
        filter.agent_id.as_ref().map(AgentId::as_str),
        page.after,
        page.rows(),
    )
    .fetch_all(executor)
    .await?;
    Ok(page.piece(rows))
}
