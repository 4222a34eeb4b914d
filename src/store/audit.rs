//! The audit: its events as they are read, and the chain that shows whether they are what was written.

use serde::Serialize;
use serde_json::Value;
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;

use crate::domain::{Page, Piece, ProjectId};
use crate::store::Error;

/// One act.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// The event's number in the whole deployment.
    pub id: i64,
    /// When, by the database's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
    /// Who: `actor`, `role`, and where known `key_id`, `user_id` and `address`.
    pub who: Value,
    /// What, such as `turn.opened`.
    pub action: String,
    /// On what, by id.
    pub subject_id: String,
    /// `ok` or `failed`.
    pub outcome: String,
    /// The code of a failure.
    pub code: Option<String>,
    /// The request that asked.
    pub request_id: Option<String>,
}

/// What to do while another sealer is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Its links are needed now.
    Waits,
    /// It does the work.
    Skips,
}

/// The end of a project's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The project.
    pub project_id: ProjectId,
    /// How many links it has.
    pub number: i64,
    /// The hash of the last one.
    pub hash: Vec<u8>,
}

/// A link together with the event that it seals, as the database has them now.
#[derive(Debug)]
pub struct Link {
    /// Its place in the chain, from 1.
    pub number: i64,
    /// The event's id.
    pub event_id: i64,
    /// The hash that was written.
    pub hash: Vec<u8>,
    /// What is hashed of the event; nothing when there is no such event any more.
    pub event: Option<String>,
}

/// Links at most about so many events; while another sealer is at work, waits for it or links none. Answers how many of
/// them are newer than every link before: as many as the limit, and there may be more.
///
/// The lock comes first and the links in a statement of their own, whose snapshot shows what the sealer before has made; the
/// just-in-time compiler would take longer than all of the work.
pub async fn seal(pool: &PgPool, limit: i64, patience: Patience) -> Result<i64, Error> {
    let mut transaction = pool.begin().await?;
    let is_ours = sqlx::query_file_scalar!("src/store/audit/lock.sql", patience == Patience::Waits);
    let is_ours = is_ours.fetch_one(&mut *transaction).await?;
    if !is_ours {
        return Ok(0);
    }
    let fresh = sqlx::query_file_scalar!("src/store/audit/seal.sql", limit).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(fresh)
}

/// The ends of all chains.
pub async fn heads(executor: impl PgExecutor<'_>) -> Result<Vec<Head>, Error> {
    let heads = sqlx::query_as!(
        Head,
        r#"select project_id as "project_id: ProjectId", number, hash from audit_heads order by project_id"#,
    );
    Ok(heads.fetch_all(executor).await?)
}

/// The links of a project's chain behind this one, in order.
pub async fn links(
    executor: impl PgExecutor<'_>,
    project_id: &ProjectId,
    behind: i64,
    limit: i64,
) -> Result<Vec<Link>, Error> {
    let rows = sqlx::query_file!("src/store/audit/links.sql", project_id.as_str(), behind, limit);
    let links = rows.fetch_all(executor).await?.into_iter().map(|row| Link {
        number: row.number,
        event_id: row.event_id,
        hash: row.hash,
        event: row.event,
    });
    Ok(links.collect())
}

/// The ids of a project's events without a link that are older than the sealer could have missed.
pub async fn unsealed(executor: impl PgExecutor<'_>, project_id: &ProjectId) -> Result<Vec<i64>, Error> {
    let ids = sqlx::query_scalar!(
        r#"select id from audit_events
           where project_id = $1 and occurred_at < now() - interval '1 minute'
             and not exists (select from audit_seals where audit_seals.event_id = audit_events.id)
           order by id limit 100"#,
        project_id.as_str(),
    );
    Ok(ids.fetch_all(executor).await?)
}

/// The messages that are not what the audit saw, by id: altered since, or not there any more.
pub async fn altered_messages(executor: impl PgExecutor<'_>, project_id: &ProjectId) -> Result<Vec<String>, Error> {
    let ids = sqlx::query_file_scalar!("src/store/audit/altered_messages.sql", project_id.as_str());
    Ok(ids.fetch_all(executor).await?)
}

/// A project's events, newest first.
pub async fn list(executor: impl PgExecutor<'_>, project_id: &ProjectId, page: &Page) -> Result<Piece<Event>, Error> {
    let events = sqlx::query_as!(
        Event,
        r#"select id, occurred_at, coalesce(who, jsonb_build_object('actor', actor)) as "who!", action, subject_id, outcome,
                  code, request_id
           from audit_events
           where project_id = $1 and ($2::text is null or id < $2::text::bigint)
           order by id desc limit $3"#,
        project_id.as_str(),
        page.after,
        page.rows(),
    );
    Ok(page.piece(events.fetch_all(executor).await?))
}
