//! The two atomic phases of a turn, each one statement for any number of turns; what lies between is not here.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};

use crate::domain::{
    AgentConfig, AgentId, AgentRef, Caller, Content, Message, MessageId, Role, RunId, RunStatus, ThreadId, Usage,
    UserId,
};
use crate::store::{Error, undecodable};

/// The attempt that opens a run.
pub const FIRST_ATTEMPT: i32 = 1;

/// One turn to be opened.
#[derive(Debug)]
pub struct Opening {
    /// Who asks.
    pub caller: Caller,
    /// The thread to claim.
    pub thread_id: ThreadId,
    /// The agent that the caller believes to be the thread's.
    pub agent: AgentRef,
    /// The id of the run that will answer.
    pub run_id: RunId,
    /// The id of the user's message.
    pub message_id: MessageId,
    /// The user's message.
    pub content: Content,
    /// Who holds the run until it is closed.
    pub lease: Lease,
}

/// The right to end a run, until the database's clock passes its end.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The process that executes the run.
    pub owner: String,
    /// How long it lasts from the opening on.
    pub duration_ms: i64,
}

/// What became of an opening.
#[derive(Debug)]
pub enum Opened {
    /// The thread is claimed and the user's message recorded.
    Claimed(Box<Claim>),
    /// The caller has no such thread.
    ThreadNotFound,
    /// The caller's project has no such agent.
    AgentNotFound,
    /// The thread's agent is a tombstone.
    AgentDeleted,
    /// The thread belongs to another agent of the project.
    AgentMismatch,
    /// Another run of the thread is unfinished.
    ThreadBusy,
}

/// A claimed thread with all that the model call needs.
#[derive(Debug)]
pub struct Claim {
    /// The thread's agent.
    pub agent_id: AgentId,
    /// The version that this run is pinned to; without description and metadata, which no model sees.
    pub agent: AgentConfig,
    /// Every message of the thread, oldest first, the new one last.
    pub history: Vec<Message>,
}

/// One turn to be closed.
#[derive(Debug)]
pub struct Closing {
    /// The run that ends.
    pub run_id: RunId,
    /// The attempt that ended it; any other attempt's closing is void.
    pub attempt: i32,
    /// The process that held the lease.
    pub lease_owner: String,
    /// How the audit names who asked.
    pub actor: String,
    /// The final state.
    pub status: RunStatus,
    /// The code and the sentence of a failure.
    pub error: Option<(&'static str, String)>,
    /// The answer, where there is one.
    pub answer: Option<(MessageId, Content)>,
    /// Tokens as the provider counted them.
    pub usage: Option<Usage>,
    /// The dated model that answered.
    pub provider_model: Option<String>,
    /// The provider's `x-request-id`.
    pub provider_request_id: Option<String>,
    /// The provider's id of the response.
    pub provider_response_id: Option<String>,
}

/// Opens turns in one round trip; the verdicts stand in the order of the openings.
pub async fn open(pool: &PgPool, openings: &[Opening]) -> Result<Vec<Opened>, Error> {
    let rows = sqlx::query_file_as!(
        OpenedRow,
        "src/store/turns/open.sql",
        &column(openings, |turn| turn.caller.project_id.as_str()) as _,
        &column(openings, |turn| turn.caller.user_id.as_ref().map(UserId::as_str)) as _,
        &column(openings, |turn| turn.thread_id.as_str()) as _,
        &column(openings, |turn| turn.agent.as_str()) as _,
        &column(openings, |turn| turn.run_id.as_str()) as _,
        &column(openings, |turn| turn.message_id.as_str()) as _,
        &contents(openings.iter().map(|turn| Some(&turn.content)))? as _,
        &column(openings, |turn| turn.caller.actor.as_str()) as _,
        &column(openings, |turn| turn.caller.request_id.as_str()) as _,
        &column(openings, |turn| turn.lease.owner.as_str()) as _,
        &column(openings, |turn| turn.lease.duration_ms),
    )
    .fetch_all(pool)
    .await?;
    let mut verdicts = Vec::with_capacity(rows.len());
    for (row, opening) in rows.into_iter().zip(openings) {
        verdicts.push(verdict(pool, row, opening).await?);
    }
    Ok(verdicts)
}

/// Closes turns in one round trip; `false` for each whose attempt no longer holds its run, of which nothing is
/// written.
pub async fn close(executor: impl PgExecutor<'_>, closings: &[Closing]) -> Result<Vec<bool>, Error> {
    let closed = sqlx::query_file_scalar!(
        "src/store/turns/close.sql",
        &column(closings, |turn| turn.run_id.as_str()) as _,
        &column(closings, |turn| turn.attempt),
        &column(closings, |turn| turn.lease_owner.as_str()) as _,
        &column(closings, |turn| turn.status.as_str()) as _,
        &column(closings, |turn| turn.error.as_ref().map(|(code, _)| *code)) as _,
        &column(closings, |turn| turn.error.as_ref().map(|(_, sentence)| sentence.as_str())) as _,
        &column(closings, |turn| turn.answer.as_ref().map(|(id, _)| id.as_str())) as _,
        &contents(closings.iter().map(|turn| turn.answer.as_ref().map(|(_, content)| content)))? as _,
        &usages(closings)? as _,
        &column(closings, |turn| turn.provider_model.as_deref()) as _,
        &column(closings, |turn| turn.provider_request_id.as_deref()) as _,
        &column(closings, |turn| turn.provider_response_id.as_deref()) as _,
        &column(closings, |turn| turn.actor.as_str()) as _,
    )
    .fetch_all(executor)
    .await?;
    Ok(closed)
}

/// A row of `open.sql`; everything behind the verdict is there when it is `opened`.
struct OpenedRow {
    verdict: String,
    agent_id: Option<AgentId>,
    position: Option<i64>,
    model: Option<String>,
    instructions: Option<String>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    reasoning_effort: Option<String>,
    tools: Option<Json<Vec<Value>>>,
    response_format: Option<Value>,
    seen_position: Option<i64>,
    roles: Option<Vec<String>>,
    contents: Option<Vec<Json<Content>>>,
}

async fn verdict(pool: &PgPool, row: OpenedRow, opening: &Opening) -> Result<Opened, Error> {
    match row.verdict.as_str() {
        "opened" => Ok(Opened::Claimed(Box::new(claim(pool, row, opening).await?))),
        "thread_not_found" => Ok(Opened::ThreadNotFound),
        "agent_deleted" => Ok(Opened::AgentDeleted),
        "agent_mismatch" => Ok(Opened::AgentMismatch),
        "thread_busy" => Ok(Opened::ThreadBusy),
        _ => Ok(Opened::AgentNotFound),
    }
}

async fn claim(pool: &PgPool, row: OpenedRow, opening: &Opening) -> Result<Claim, Error> {
    let (Some(agent_id), Some(position), Some(model)) = (row.agent_id, row.position, row.model) else {
        return Err(Error::Statement(sqlx::Error::RowNotFound));
    };
    // A turn that closed between this statement's snapshot and its claim is not in what the statement saw.
    let complete = row.seen_position.unwrap_or(0) == position - 1;
    let (roles, contents) = if complete {
        (row.roles.unwrap_or_default(), row.contents.unwrap_or_default())
    } else {
        history_before(pool, &opening.thread_id, position).await?
    };
    let mut history = Vec::with_capacity(roles.len() + 1);
    for (role, Json(content)) in roles.iter().zip(contents) {
        history.push(Message { role: role.parse().map_err(undecodable)?, content });
    }
    history.push(Message { role: Role::User, content: opening.content.clone() });
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
    };
    Ok(Claim { agent_id, agent, history })
}

async fn history_before(
    executor: impl PgExecutor<'_>,
    thread_id: &ThreadId,
    position: i64,
) -> Result<(Vec<String>, Vec<Json<Content>>), Error> {
    let rows = sqlx::query!(
        r#"select role, content as "content: Json<Content>" from messages
           where thread_id = $1 and position < $2 order by position"#,
        thread_id.as_str(),
        position,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| (row.role, row.content)).unzip())
}

fn column<'row, Row, Cell>(rows: &'row [Row], cell: impl Fn(&'row Row) -> Cell) -> Vec<Cell> {
    rows.iter().map(cell).collect()
}

fn contents<'row>(cells: impl Iterator<Item = Option<&'row Content>>) -> Result<Vec<Option<String>>, Error> {
    cells.map(|cell| cell.map(serde_json::to_string).transpose().map_err(undecodable)).collect()
}

fn usages(closings: &[Closing]) -> Result<Vec<Option<String>>, Error> {
    closings
        .iter()
        .map(|turn| turn.usage.map(|usage| serde_json::to_string(&usage)).transpose().map_err(undecodable))
        .collect()
}
