//! Messages as an administrator reads them; how they come to be is the turns' part.

use serde::Serialize;
use serde_json::Value;
use sqlx::PgExecutor;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::domain::{Caller, MessageId, Page, Piece, RunId, ThreadId};
use crate::store::Error;

/// An entry of a thread.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    /// The message's id.
    pub id: MessageId,
    /// Its place in the thread, from 1 without a gap.
    pub position: i64,
    /// `user` or `assistant`.
    pub role: String,
    /// The parts, in OpenAI's shape.
    pub content: Value,
    /// The run that it asked for, or that answered with it.
    pub run_id: Option<RunId>,
    /// When it was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A thread's messages, newest first, with the audit event that says who read them.
pub async fn read(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    thread_id: &ThreadId,
    page: &Page,
) -> Result<Piece<Message>, Error> {
    let rows = sqlx::query!(
        r#"with audited as (
               insert into audit_events (project_id, who, action, subject_id, thread_id, outcome, request_id)
               values ($1, $5::jsonb, 'messages.read', $2, $2, 'ok', $6)
           )
           select id as "id: MessageId", position, role, content as "content: Json<Value>", run_id as "run_id: RunId",
                  created_at
           from messages
           where project_id = $1 and thread_id = $2
             and ($3::text is null
                  or position < (select position from messages where project_id = $1 and thread_id = $2 and id = $3))
           order by position desc limit $4"#,
        caller.project_id.as_str(),
        thread_id.as_str(),
        page.after,
        page.rows(),
        caller.who(),
        caller.request_id,
    )
    .fetch_all(executor)
    .await?;
    let messages = rows.into_iter().map(|row| Message {
        id: row.id,
        position: row.position,
        role: row.role,
        content: row.content.0,
        run_id: row.run_id,
        created_at: row.created_at,
    });
    Ok(page.piece(messages.collect()))
}
