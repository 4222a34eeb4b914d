//! Answers kept under their keys, for acts that are not turns.

use serde_json::Value;
use sqlx::PgExecutor;

use crate::domain::{Caller, IdempotencyKey};
use crate::store::Error;

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// What the key's act was.
    pub fingerprint: String,
    /// Its answer; none when the act was a turn.
    pub answer: Option<Value>,
}

/// What is kept under a key.
pub async fn find(executor: impl PgExecutor<'_>, caller: &Caller, key: &IdempotencyKey) -> Result<Option<Kept>, Error> {
    let kept = sqlx::query_as!(
        Kept,
        r#"select fingerprint, answer from idempotency_keys
           where project_id = $1 and scope = $2 and expires_at > now()
             and key >= coalesce($4, $3) and key <= coalesce($4 || '~', $3)
           order by created_at desc limit 1"#,
        caller.project_id.as_str(),
        key.scope,
        key.key,
        key.family,
    )
    .fetch_optional(executor)
    .await?;
    Ok(kept)
}

/// Keeps an answer; `false` when the key is taken.
pub async fn keep(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    key: &IdempotencyKey,
    route: &str,
    answer: &Value,
) -> Result<bool, Error> {
    let kept = sqlx::query!(
        r#"insert into idempotency_keys (project_id, scope, key, route, fingerprint, answer, expires_at)
           values ($1, $2, $3, $4, $5, $6, now() + $7::bigint * interval '1 millisecond')
           on conflict (project_id, scope, key) do update
               set route = excluded.route, fingerprint = excluded.fingerprint, run_id = null,
                   answer = excluded.answer, created_at = now(), expires_at = excluded.expires_at
               where idempotency_keys.expires_at <= now()"#,
        caller.project_id.as_str(),
        key.scope,
        key.key,
        route,
        key.fingerprint,
        answer,
        key.keep_ms,
    )
    .execute(executor)
    .await?;
    Ok(kept.rows_affected() == 1)
}
