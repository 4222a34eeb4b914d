//! Opening turns: the claim of the thread, the question, and what the model needs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{FIRST_ATTEMPT, LimitColumns, column, contents};
use crate::domain::{
    AgentConfig, AgentId, AgentRef, Caller, Content, IdempotencyKey, KeyId, Message, MessageId, OnBusy, OverLimit,
    ProjectId, Role, RunId, ThreadId, UserId,
};
use crate::store::{Error, undecodable};

/// One turn to be opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who asks.
    pub caller: Caller,
    /// The thread to claim.
    pub thread_id: ThreadId,
    /// The agent that the caller believes to be the thread's.
    pub agent: AgentRef,
    /// The id of the run that will answer, unless the key names an earlier one.
    pub run_id: RunId,
    /// The id of the user's message.
    pub message_id: MessageId,
    /// The user's message.
    pub content: Content,
    /// Who holds the run until it is closed.
    pub lease: Lease,
    /// What to do on a busy thread, where the request says so.
    pub on_busy: Option<OnBusy>,
    /// What to do where neither the request nor the agent says so.
    pub on_busy_default: OnBusy,
    /// The caller's key for this turn.
    pub key: Option<IdempotencyKey>,
}

/// The right to end a run, until the database's clock passes its end.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The replica that executes the run.
    pub owner: String,
    /// How long it lasts from the opening, or the latest renewal, on.
    pub duration_ms: i64,
}

/// What became of an opening.
#[derive(Debug)]
pub enum Opened {
    /// The thread is claimed and the user's message recorded.
    Claimed(Box<Claim>),
    /// The key's turn was opened before; this is its run.
    Earlier(RunId),
    /// The thread is busy, or others came first; there is a place in line under this run's id.
    InLine(RunId, OnBusy),
    /// The key is being used at this very moment; the same call sees more.
    Again,
    /// A limit is reached, but the question was accepted for good: it keeps its place and is asked after this while.
    Later(RunId, Duration),
    /// The turn may not open, and nothing of it was written.
    Refused(Refusal),
}

/// Why a turn may not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key named another act before.
    KeyReused,
    /// A limit is reached.
    OverLimit(OverLimit),
    /// The caller has no such thread.
    ThreadNotFound,
    /// The caller's project has no such agent.
    AgentNotFound,
    /// The thread's agent is a tombstone.
    AgentDeleted,
    /// The thread belongs to another agent of the project.
    AgentMismatch,
    /// Another run of the thread is unfinished, and the policy is not to wait.
    ThreadBusy,
}

/// A claimed thread with all that the model call needs.
#[derive(Debug)]
pub struct Claim {
    /// The project.
    pub project_id: ProjectId,
    /// The run that was opened.
    pub run_id: RunId,
    /// The attempt that may close it.
    pub attempt: i32,
    /// The thread.
    pub thread_id: ThreadId,
    /// The thread's agent.
    pub agent_id: AgentId,
    /// The version that this run is pinned to; without what no model sees.
    pub agent: AgentConfig,
    /// Every message of the thread, oldest first, the question last.
    pub history: Vec<Message>,
}

/// Opens turns in one round trip; the verdicts stand in the order of the openings. An error in a turn's place came
/// after the commit: that turn is opened, but cannot be read.
pub async fn open(connection: &mut PgConnection, openings: &[Opening]) -> Result<Vec<Result<Opened, Error>>, Error> {
    // The statement names this type; a cell that cannot be parsed must fail its own turn only.
    type Content = Box<RawValue>;
    let key = |of: fn(&IdempotencyKey) -> &str| column(openings, move |turn| turn.key.as_ref().map(of));
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
        &column(openings, |turn| turn.caller.who().to_string()) as _,
        &column(openings, |turn| turn.caller.request_id.as_str()) as _,
        &column(openings, |turn| turn.lease.owner.as_str()) as _,
        &column(openings, |turn| turn.lease.duration_ms),
        &column(openings, |turn| turn.on_busy.map(OnBusy::as_str)) as _,
        &column(openings, |turn| turn.on_busy_default.as_str()) as _,
        &key(|key| &key.scope) as _,
        &key(|key| &key.key) as _,
        &column(openings, |turn| turn.key.as_ref().and_then(|key| key.family.as_deref())) as _,
        &key(|key| &key.fingerprint) as _,
        &column(openings, |turn| turn.key.as_ref().map(|key| key.keep_ms)) as _,
        &column(openings, |turn| turn.caller.key_id.as_ref().map(KeyId::as_str)) as _,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut verdicts = Vec::with_capacity(rows.len());
    for (row, opening) in rows.into_iter().zip(openings) {
        verdicts.push(verdict(connection, row, opening).await);
    }
    Ok(verdicts)
}

/// A row of `open.sql`; everything behind the policy is there when the verdict is `opened`.
struct OpenedRow {
    verdict: String,
    run_id: RunId,
    policy: Option<String>,
    agent_id: Option<AgentId>,
    position: Option<i64>,
    model: Option<String>,
    instructions: Option<String>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    reasoning_effort: Option<String>,
    tools: Option<Json<Vec<Value>>>,
    response_format: Option<Value>,
    limit_of: Option<String>,
    limit_reached: Option<String>,
    limit_allowed: Option<i64>,
    limit_retry_ms: Option<i64>,
    seen_position: Option<i64>,
    roles: Option<Vec<String>>,
    contents: Option<Vec<Json<Box<RawValue>>>>,
}

async fn verdict(connection: &mut PgConnection, row: OpenedRow, opening: &Opening) -> Result<Opened, Error> {
    Ok(match row.verdict.as_str() {
        "opened" => Opened::Claimed(Box::new(claim(connection, row, opening).await?)),
        "opened_earlier" => Opened::Earlier(row.run_id),
        "in_line" => {
            let policy = row.policy.ok_or(sqlx::Error::RowNotFound)?;
            Opened::InLine(row.run_id, OnBusy::try_from(policy).map_err(|reason| sqlx::Error::Decode(reason.into()))?)
        }
        "again" => Opened::Again,
        "key_reused" => Opened::Refused(Refusal::KeyReused),
        "later" => {
            let wait_ms = u64::try_from(row.limit_retry_ms.unwrap_or_default()).unwrap_or_default();
            Opened::Later(row.run_id, Duration::from_millis(wait_ms))
        }
        "limited" => Opened::Refused(Refusal::OverLimit(over_limit(&row).ok_or(sqlx::Error::RowNotFound)?)),
        "thread_not_found" => Opened::Refused(Refusal::ThreadNotFound),
        "agent_deleted" => Opened::Refused(Refusal::AgentDeleted),
        "agent_mismatch" => Opened::Refused(Refusal::AgentMismatch),
        "thread_busy" => Opened::Refused(Refusal::ThreadBusy),
        "agent_not_found" => Opened::Refused(Refusal::AgentNotFound),
        other => return Err(sqlx::Error::Decode(format!("'{other}' is no verdict of an opening").into()).into()),
    })
}

fn over_limit(row: &OpenedRow) -> Option<OverLimit> {
    let columns = LimitColumns {
        of: row.limit_of.as_deref(),
        reached: row.limit_reached.as_deref(),
        allowed: row.limit_allowed,
        retry_ms: row.limit_retry_ms,
    };
    columns.over_limit()
}

async fn claim(connection: &mut PgConnection, row: OpenedRow, opening: &Opening) -> Result<Claim, Error> {
    let (Some(agent_id), Some(position), Some(model)) = (row.agent_id, row.position, row.model) else {
        return Err(sqlx::Error::RowNotFound.into());
    };
    // A turn that closed between this statement's snapshot and its claim is not in what the statement saw.
    let complete = row.seen_position.unwrap_or(0) == position - 1;
    let (roles, contents) = if complete {
        (row.roles.unwrap_or_default(), row.contents.unwrap_or_default())
    } else {
        history_before(connection, opening, position).await?
    };
    let mut history = history(&roles, contents)?;
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
        on_busy: None,
    };
    let (project_id, thread_id) = (opening.caller.project_id.clone(), opening.thread_id.clone());
    Ok(Claim { project_id, run_id: row.run_id, attempt: FIRST_ATTEMPT, thread_id, agent_id, agent, history })
}

async fn history_before(
    connection: &mut PgConnection,
    opening: &Opening,
    position: i64,
) -> Result<(Vec<String>, Vec<Json<Box<RawValue>>>), Error> {
    type Content = Box<RawValue>;
    let rows = sqlx::query!(
        r#"select role, content as "content: Json<Content>" from messages
           where project_id = $1 and thread_id = $2 and position < $3 order by position"#,
        opening.caller.project_id.as_str(),
        opening.thread_id.as_str(),
        position,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.role, row.content)).unzip())
}

/// Two columns as messages.
pub(super) fn history(roles: &[String], contents: Vec<Json<Box<RawValue>>>) -> Result<Vec<Message>, Error> {
    let mut history = Vec::with_capacity(roles.len() + 1);
    for (role, Json(content)) in roles.iter().zip(contents) {
        let content = serde_json::from_str(content.get()).map_err(undecodable)?;
        history.push(Message { role: role.parse().map_err(undecodable)?, content });
    }
    Ok(history)
}
