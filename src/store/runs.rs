//! Runs as an administrator reads them; how they begin and end is the turns' part.

use serde::Serialize;
use serde_json::Value;
use sqlx::PgExecutor;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::domain::{AgentId, KeyId, Page, Piece, ProjectId, RunId, RunStatus, ThreadId, UserId};
use crate::store::Error;

/// One execution of an agent on a thread.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// The run's id.
    pub id: RunId,
    /// The thread.
    pub thread_id: ThreadId,
    /// Whose thread it is.
    pub user_id: Option<UserId>,
    /// The key that asked.
    pub key_id: Option<KeyId>,
    /// The agent.
    pub agent_id: AgentId,
    /// The version of the agent that it is pinned to.
    pub agent_version: i32,
    /// The state.
    pub status: String,
    /// The latest attempt, from 1.
    pub attempt: i32,
    /// The code of a failure.
    pub error_code: Option<String>,
    /// Its sentence.
    pub error_message: Option<String>,
    /// The model that answered, as the provider names it.
    pub provider_model: Option<String>,
    /// The provider's id of the request.
    pub provider_request_id: Option<String>,
    /// The provider's id of the answer.
    pub provider_response_id: Option<String>,
    /// Tokens as the provider counted them.
    pub usage: Option<Value>,
    /// The request that asked.
    pub request_id: Option<String>,
    /// When the turn was opened.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

/// Which runs are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this one.
    pub run_id: Option<RunId>,
    /// Only this thread's.
    pub thread_id: Option<ThreadId>,
    /// Only those in this state.
    pub status: Option<RunStatus>,
}

/// A project's runs, newest first.
pub async fn list(
    executor: impl PgExecutor<'_>,
    project_id: &ProjectId,
    filter: &Filter,
    page: &Page,
) -> Result<Piece<Run>, Error> {
    let rows = sqlx::query!(
        r#"select id as "id: RunId", thread_id as "thread_id: ThreadId", user_id as "user_id: UserId",
                  key_id as "key_id: KeyId", agent_id as "agent_id: AgentId", agent_version, status, attempt, error_code,
                  error_message, provider_model, provider_request_id, provider_response_id,
                  usage as "usage: Json<Value>", request_id, created_at, finished_at
           from runs
           where project_id = $1 and ($2::text is null or id = $2) and ($3::text is null or thread_id = $3)
             and ($4::text is null or status = $4)
             and ($5::text is null
                  or (created_at, id) < (select created_at, id from runs where project_id = $1 and id = $5))
           order by created_at desc, id desc limit $6"#,
        project_id.as_str(),
        filter.run_id.as_ref().map(RunId::as_str),
        filter.thread_id.as_ref().map(ThreadId::as_str),
        filter.status.map(RunStatus::as_str),
        page.after,
        page.rows(),
    )
    .fetch_all(executor)
    .await?;
    let runs = rows.into_iter().map(|row| Run {
        id: row.id,
        thread_id: row.thread_id,
        user_id: row.user_id,
        key_id: row.key_id,
        agent_id: row.agent_id,
        agent_version: row.agent_version,
        status: row.status,
        attempt: row.attempt,
        error_code: row.error_code,
        error_message: row.error_message,
        provider_model: row.provider_model,
        provider_request_id: row.provider_request_id,
        provider_response_id: row.provider_response_id,
        usage: row.usage.map(|usage| usage.0),
        request_id: row.request_id,
        created_at: row.created_at,
        finished_at: row.finished_at,
    });
    Ok(page.piece(runs.collect()))
}
