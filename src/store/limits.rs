//! Limits of projects, users and keys: set, listed, lifted. They are applied by the opening statement of a turn.

use std::num::TryFromIntError;

use serde::Serialize;
use sqlx::PgExecutor;

use crate::domain::{Caller, Limits, ProjectId};
use crate::store::{Connection, Error, undecodable};

/// The limits of one subject.
#[derive(Debug, Clone, Serialize)]
pub struct Limited {
    /// The project's id, a user's, a key's, `each_user` or `each_key`.
    pub subject: String,
    /// What it may ask for.
    #[serde(flatten)]
    pub limits: Limits,
}

/// Sets a subject's limits in place of those it had, with the audit event; no limit at all lifts them. What the subject
/// spent in this day or month is counted from its runs where nobody counted it. Within a transaction.
pub async fn set(
    connection: &mut Connection,
    caller: &Caller,
    project_id: &ProjectId,
    subject: &str,
    limits: &Limits,
) -> Result<(), Error> {
    sqlx::query_file!(
        "src/store/limits/recount.sql",
        project_id.as_str(),
        subject,
        limits.tokens_per_day.is_some(),
        limits.tokens_per_month.is_some(),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        r#"with lifted as (
               delete from limits where project_id = $1 and subject = $2 and $7
           ), placed as (
               insert into limits (project_id, subject, requests_per_minute, turns_concurrent, tokens_per_day,
                                   tokens_per_month)
               select $1, $2, $3, $4, $5, $6 where not $7
               on conflict (project_id, subject) do update
                   set requests_per_minute = excluded.requests_per_minute,
                       turns_concurrent = excluded.turns_concurrent, tokens_per_day = excluded.tokens_per_day,
                       tokens_per_month = excluded.tokens_per_month, changed_at = now()
           )
           insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
           values ($1, $8::jsonb, 'limits.changed', $2, 'ok', $9)"#,
        project_id.as_str(),
        subject,
        stored::<_, i32>(limits.requests_per_minute)?,
        stored::<_, i32>(limits.turns_concurrent)?,
        stored::<_, i64>(limits.tokens_per_day)?,
        stored::<_, i64>(limits.tokens_per_month)?,
        limits.is_unlimited(),
        caller.who(),
        caller.request_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The limits of a project and of its users and keys.
pub async fn list(executor: impl PgExecutor<'_>, project_id: &ProjectId) -> Result<Vec<Limited>, Error> {
    let rows = sqlx::query!(
        r#"select subject, requests_per_minute, turns_concurrent, tokens_per_day, tokens_per_month
           from limits where project_id = $1 order by subject"#,
        project_id.as_str(),
    )
    .fetch_all(executor)
    .await?;
    let limited = rows.into_iter().map(|row| Limited {
        subject: row.subject,
        limits: Limits {
            requests_per_minute: row.requests_per_minute.and_then(|limit| limit.try_into().ok()),
            turns_concurrent: row.turns_concurrent.and_then(|limit| limit.try_into().ok()),
            tokens_per_day: row.tokens_per_day.and_then(|limit| limit.try_into().ok()),
            tokens_per_month: row.tokens_per_month.and_then(|limit| limit.try_into().ok()),
        },
    });
    Ok(limited.collect())
}

fn stored<Limit, Column>(limit: Option<Limit>) -> Result<Option<Column>, Error>
where
    Column: TryFrom<Limit, Error = TryFromIntError>,
{
    limit.map(Column::try_from).transpose().map_err(undecodable)
}
