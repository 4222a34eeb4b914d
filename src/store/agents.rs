//! Agents and their immutable versions.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgExecutor;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::domain::{AgentConfig, AgentId, AgentName, AgentRef, Caller, OnBusy, UserId};
use crate::store::Error;

/// An agent with the configuration of its current version.
#[derive(Debug, Clone, Serialize)]
pub struct Agent {
    /// The agent's id.
    pub id: AgentId,
    /// The one user whose it is; none: the project shares it.
    pub user_id: Option<UserId>,
    /// The unique name, where it has one.
    pub name: Option<String>,
    /// The number of the current version, from 1.
    pub version: i32,
    /// When that version was made.
    #[serde(with = "time::serde::rfc3339")]
    pub changed_at: OffsetDateTime,
    /// The current configuration.
    pub config: AgentConfig,
}

/// What an agent was at one time; such rows never change.
#[derive(Debug, Clone, Serialize)]
pub struct Version {
    /// The number, from 1.
    pub version: i32,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The configuration.
    pub config: AgentConfig,
}

/// What applying a definition changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// No living agent had the name.
    Created,
    /// The configuration differed; this is the new version's number.
    Changed(i32),
    /// The configuration was the same.
    Unchanged,
}

/// What a deletion came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// The agent is a tombstone now.
    Tombstoned(AgentId),
    /// The agent is the whole project's, which none of its users may change.
    Shared,
    /// The caller has no such living agent.
    NotFound,
}

/// Makes the living agent of this name have this configuration, in one statement with its audit event; `new_id`
/// is used when there is no such agent yet. It is shared, or private where the caller is one user.
pub async fn apply(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    new_id: &AgentId,
    name: &AgentName,
    config: &AgentConfig,
) -> Result<Applied, Error> {
    let row = sqlx::query_file!(
        "src/store/agents/apply.sql",
        caller.project_id.as_str(),
        name.as_str(),
        new_id.as_str(),
        caller.who(),
        config.model,
        config.description,
        config.instructions,
        config.temperature,
        config.top_p,
        config.reasoning_effort,
        Json(&config.tools) as _,
        config.response_format,
        Json(&config.metadata) as _,
        caller.request_id,
        config.on_busy.map(OnBusy::as_str),
        caller.user_id.as_ref().map(UserId::as_str),
    )
    .fetch_one(executor)
    .await?;
    Ok(match (row.created, row.changed) {
        (Some(_), _) => Applied::Created,
        (None, Some(version)) => Applied::Changed(version),
        (None, None) => Applied::Unchanged,
    })
}

/// Tombstones a living agent, with the audit event, unless it is shared and the caller is one of its users.
pub async fn delete(executor: impl PgExecutor<'_>, caller: &Caller, agent: &AgentRef) -> Result<Deleted, Error> {
    let row = sqlx::query!(
        r#"
        with visible as (
            select id, user_id from visible_agents($1, $5, $2)
        ), deleted as (
            update agents set deleted_at = now()
            from visible
            where agents.id = visible.id and agents.deleted_at is null and ($5::text is null or visible.user_id = $5)
            returning agents.id, agents.project_id
        ), audited as (
            insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
            select project_id, $3::jsonb, 'agent.deleted', id, 'ok', $4 from deleted
        )
        select visible.user_id is null as "is_shared!", deleted.id as "id?: AgentId"
        from visible left join deleted on deleted.id = visible.id
        "#,
        caller.project_id.as_str(),
        agent.as_str(),
        caller.who(),
        caller.request_id,
        caller.user_id.as_ref().map(UserId::as_str),
    )
    .fetch_optional(executor)
    .await?;
    Ok(match row {
        Some(row) => match row.id {
            Some(agent_id) => Deleted::Tombstoned(agent_id),
            None if row.is_shared && caller.user_id.is_some() => Deleted::Shared,
            None => Deleted::NotFound,
        },
        None => Deleted::NotFound,
    })
}

/// The project's living agents by name; with `agent`, only that one.
pub async fn list(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    agent: Option<&AgentRef>,
) -> Result<Vec<Agent>, Error> {
    read(executor, caller, agent, Which::Current).await
}

/// Every version of a living agent, newest first; none when the caller has no such agent.
pub async fn versions(executor: impl PgExecutor<'_>, caller: &Caller, agent: &AgentRef) -> Result<Vec<Version>, Error> {
    let agents = read(executor, caller, Some(agent), Which::All).await?.into_iter();
    let version = |agent: Agent| Version { version: agent.version, created_at: agent.changed_at, config: agent.config };
    Ok(agents.map(version).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Current,
    All,
}

async fn read(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    agent: Option<&AgentRef>,
    which: Which,
) -> Result<Vec<Agent>, Error> {
    let rows = sqlx::query!(
        r#"
        select agents.id as "id: AgentId", agents.user_id as "user_id: UserId", agents.name, versions.version,
               versions.created_at, versions.model, versions.description, versions.instructions,
               versions.temperature, versions.top_p, versions.reasoning_effort,
               versions.tools as "tools: Json<Vec<serde_json::Value>>", versions.response_format,
               versions.metadata as "metadata: Json<BTreeMap<String, String>>", versions.on_busy
        from agents
        join agent_versions versions on versions.agent_id = agents.id and ($4 or versions.version = agents.version)
        where agents.project_id = $1 and agents.deleted_at is null
          and ($3::text is null or agents.user_id is null or agents.user_id = $3)
          and ($2::text is null or agents.id = (select id from visible_agents($1, $3, $2)))
        order by agents.name nulls last, agents.id, versions.version desc
        "#,
        caller.project_id.as_str(),
        agent.map(AgentRef::as_str),
        caller.user_id.as_ref().map(UserId::as_str),
        which == Which::All,
    )
    .fetch_all(executor)
    .await?;
    let agents = rows.into_iter().map(|row| Agent {
        id: row.id,
        user_id: row.user_id,
        name: row.name,
        version: row.version,
        changed_at: row.created_at,
        config: AgentConfig {
            model: row.model,
            description: row.description,
            instructions: row.instructions,
            temperature: row.temperature,
            top_p: row.top_p,
            reasoning_effort: row.reasoning_effort,
            tools: row.tools.0,
            response_format: row.response_format,
            metadata: row.metadata.0,
            on_busy: row.on_busy.and_then(|policy| OnBusy::try_from(policy).ok()),
        },
    });
    Ok(agents.collect())
}
