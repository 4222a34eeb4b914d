//! Limits of projects, users and keys: set, listed, lifted. They are applied by the opening statement of a turn.

use serde::Serialize;
use sqlx::PgExecutor;

use crate::domain::{Caller, Limits, ProjectId};
use crate::store::{Connection, Error};

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
/// spent in this day and month is counted anew from its runs. Within a transaction.
pub async fn set(
    connection: &mut Connection,
    caller: &Caller,
    project_id: &ProjectId,
    subject: &str,
    limits: &Limits,
) -> Result<(), Error> {
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
           ), forgotten as (
               delete from token_usage
               where project_id = $1
                 and (subject = $2 or $2 = 'each_user' and subject like 'user\_%'
                      or $2 = 'each_key' and subject like 'key\_%')
           )
           insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
           values ($1, $8::jsonb, 'limits.changed', $2, 'ok', $9)"#,
        project_id.as_str(),
        subject,
        limits.requests_per_minute.map(stored),
        limits.turns_concurrent.map(stored),
        limits.tokens_per_day.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX)),
        limits.tokens_per_month.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX)),
        limits.is_unlimited(),
        caller.who(),
        caller.request_id,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query_file!("src/store/limits/recount.sql", project_id.as_str()).execute(connection).await?;
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

fn stored(limit: u32) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}
