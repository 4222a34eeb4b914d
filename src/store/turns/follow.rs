//! What happens to a turn after its opening, other than its closing: being looked up, continued, cancelled.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};

use super::open::history;
use super::{Claim, Lease, LimitColumns};
use crate::domain::{
    AgentConfig, AgentId, Caller, Content, MessageId, OverLimit, ProjectId, RunId, RunStatus, ThreadId, Usage, UserId,
};
use crate::store::{Error, undecodable};

/// How a run stands.
#[derive(Debug)]
pub struct Outcome {
    /// The state.
    pub status: RunStatus,
    /// The latest attempt.
    pub attempt: i32,
    /// The thread.
    pub thread_id: ThreadId,
    /// The thread's agent.
    pub agent_id: AgentId,
    /// Code and sentence of a failure.
    pub error: Option<(String, String)>,
    /// The answer, where there is one.
    pub answer: Option<(MessageId, Content)>,
    /// Tokens as the provider counted them.
    pub usage: Option<Usage>,
}

/// What became of the wish to continue a run.
#[derive(Debug)]
pub enum Reopened {
    /// Its next attempt is the caller's.
    Claimed(Box<Claim>),
    /// It is not failed, or its thread is busy.
    Elsewhere,
    /// A limit is reached.
    OverLimit(OverLimit),
}

/// What a cancellation found.
#[derive(Debug)]
pub enum Cancelled {
    /// The caller has no such thread.
    ThreadNotFound,
    /// No turn of the thread is being executed.
    Idle,
    /// Whoever executes this run is asked to stop.
    Asked(RunId),
}

/// Looks a project's run up; nothing when it was never opened.
pub async fn outcome(
    executor: impl PgExecutor<'_>,
    project_id: &ProjectId,
    run_id: &RunId,
) -> Result<Option<Outcome>, Error> {
    let row = sqlx::query_file!("src/store/turns/outcome.sql", project_id.as_str(), run_id.as_str());
    let row = row.fetch_optional(executor).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Outcome {
        status: RunStatus::try_from(row.status).map_err(undecodable)?,
        attempt: row.attempt,
        thread_id: row.thread_id,
        agent_id: row.agent_id,
        error: row.error_code.map(|code| (code, row.error_message.unwrap_or_default())),
        answer: row.message_id.zip(row.content.map(|content| content.0)),
        usage: row.usage.map(|usage| usage.0),
    }))
}

/// Continues a failed run with its next attempt, within the limits of those whose it is.
pub async fn reopen(pool: &PgPool, caller: &Caller, run_id: &RunId, lease: &Lease) -> Result<Reopened, Error> {
    type Content = Box<RawValue>;
    let reopened = sqlx::query_file!(
        "src/store/turns/reopen.sql",
        run_id.as_str(),
        lease.owner,
        lease.duration_ms,
        caller.who(),
        caller.request_id,
        caller.project_id.as_str(),
    )
    .fetch_optional(pool)
    .await;
    let row = match reopened {
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("runs_one_unfinished_per_thread") => None,
        other => other?,
    };
    let Some(row) = row else { return Ok(Reopened::Elsewhere) };
    let columns = LimitColumns {
        of: row.limit_of.as_deref(),
        reached: row.limit_reached.as_deref(),
        allowed: row.limit_allowed,
        retry_ms: row.limit_retry_ms,
    };
    if let Some(over) = columns.over_limit() {
        return Ok(Reopened::OverLimit(over));
    }
    let (Some(attempt), Some(thread_id), Some(agent_id), Some(model)) =
        (row.attempt, row.thread_id, row.agent_id, row.model)
    else {
        return Err(sqlx::Error::RowNotFound.into());
    };
    // A turn that ended between this statement's snapshot and its claim is not in what the statement saw; from the claim
    // on, nothing is added.
    let (roles, contents) = if row.seen_position == row.last_position {
        (row.roles.unwrap_or_default(), row.contents.unwrap_or_default())
    } else {
        history_of(pool, caller, &thread_id, run_id).await?
    };
    let agent = AgentConfig {
        model,
        description: None,
        instructions: row.instructions,
        temperature: row.temperature,
        top_p: row.top_p,
        reasoning_effort: row.reasoning_effort,
        tools: row.tools.map(|tools| tools.0).unwrap_or_default(),
        response_format: row.response_format,
        metadata: BTreeMap::new(),
        on_busy: None,
    };
    let history = history(&roles, contents)?;
    let (project_id, run_id) = (caller.project_id.clone(), run_id.clone());
    Ok(Reopened::Claimed(Box::new(Claim { project_id, run_id, attempt, thread_id, agent_id, agent, history })))
}

/// All of a thread, the question of this run last.
async fn history_of(
    pool: &PgPool,
    caller: &Caller,
    thread_id: &ThreadId,
    run_id: &RunId,
) -> Result<(Vec<String>, Vec<Json<Box<RawValue>>>), Error> {
    type Content = Box<RawValue>;
    let rows = sqlx::query!(
        r#"select role, content as "content: Json<Content>" from messages
           where project_id = $1 and thread_id = $2 order by run_id is not distinct from $3, position"#,
        caller.project_id.as_str(),
        thread_id.as_str(),
        run_id.as_str(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.role, row.content)).unzip())
}

/// Asks whichever replica executes the thread's turn to stop it, with the audit event.
pub async fn cancel(executor: impl PgExecutor<'_>, caller: &Caller, thread_id: &ThreadId) -> Result<Cancelled, Error> {
    let row = sqlx::query_file!(
        "src/store/turns/cancel.sql",
        thread_id.as_str(),
        caller.project_id.as_str(),
        caller.user_id.as_ref().map(UserId::as_str),
        caller.who(),
        caller.request_id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(match row {
        None => Cancelled::ThreadNotFound,
        Some(row) => row.run_id.map_or(Cancelled::Idle, Cancelled::Asked),
    })
}

/// Gives a replica's place in line up; one with a durable question is left, in its order, to whoever takes it over.
pub async fn leave_line(executor: impl PgExecutor<'_>, run_id: &RunId, replica_id: &str) -> Result<(), Error> {
    sqlx::query_file!("src/store/turns/leave_line.sql", run_id.as_str(), replica_id).execute(executor).await?;
    Ok(())
}
