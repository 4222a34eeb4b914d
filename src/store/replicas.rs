//! What replicas tell each other through the database: who lives, what somebody waits for, what was left behind.

use serde::Deserialize;
use sqlx::postgres::PgListener;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};

use crate::domain::{AgentRef, Content, KeyId, MessageId, ProjectId, RunId, ThreadId, UserId};
use crate::store::Error;

/// The channel on which a thread's id says that something of it changed; a hint and never the only way to know.
pub const CHANNEL: &str = "threadkeep";

/// Something that somebody in this replica waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This run of ours shall stop.
    Stop(RunId),
    /// The thread is free, and the turn that will have this run is first in line.
    First(RunId),
    /// The run that somebody follows has ended.
    Ended(RunId),
}

/// A run that was abandoned, and is now ended.
#[derive(Debug)]
pub struct Swept {
    /// The project.
    pub project_id: ProjectId,
    /// The run.
    pub run_id: RunId,
    /// The attempt that was abandoned.
    pub attempt: i32,
    /// Whether nothing but a model call can have happened, so that it may be tried once more.
    pub repeatable: bool,
}

/// A durable question that nobody waited for any more, and which is now this replica's to ask.
#[derive(Debug)]
pub struct Adopted {
    /// The project.
    pub project_id: ProjectId,
    /// The thread it stands in line for.
    pub thread_id: ThreadId,
    /// The id of the run that will answer it.
    pub run_id: RunId,
    /// What is asked.
    pub question: Question,
}

/// A durable question as `open.sql` stores it.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// The user it is asked for.
    pub user_id: Option<UserId>,
    /// The agent it is asked of.
    pub agent: AgentRef,
    /// The id of the message it will be.
    pub message_id: MessageId,
    /// The message.
    pub content: Content,
    /// The key that asks, where it is one.
    #[serde(default)]
    pub key_id: Option<KeyId>,
    /// How the audit names who asks.
    pub actor: String,
    /// The request that asked.
    pub request_id: String,
}

/// Says that this replica lives and renews the leases of these runs; answers those that it still holds.
pub async fn beat(
    executor: impl PgExecutor<'_>,
    replica_id: &str,
    lease_ms: i64,
    run_ids: &[RunId],
) -> Result<Vec<RunId>, Error> {
    let held = sqlx::query_file_scalar!("src/store/replicas/beat.sql", replica_id, lease_ms, &texts(run_ids) as _);
    Ok(held.fetch_all(executor).await?)
}

/// Looks at these threads' lines, at these runs, and at this replica's own runs.
pub async fn watch(
    executor: impl PgExecutor<'_>,
    replica_id: &str,
    thread_ids: &[ThreadId],
    run_ids: &[RunId],
) -> Result<Vec<Change>, Error> {
    let threads: Vec<&str> = thread_ids.iter().map(ThreadId::as_str).collect();
    let rows = sqlx::query_file!("src/store/replicas/watch.sql", replica_id, &threads as _, &texts(run_ids) as _)
        .fetch_all(executor)
        .await?;
    let changes = rows.into_iter().map(|row| match row.kind.as_str() {
        "stop" => Change::Stop(row.run_id),
        "first" => Change::First(row.run_id),
        _ => Change::Ended(row.run_id),
    });
    Ok(changes.collect())
}

/// Ends at most `limit` runs whose lease ran out, with their audit events.
pub async fn sweep(executor: impl PgExecutor<'_>, actor: &str, limit: usize) -> Result<Vec<Swept>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = sqlx::query_file!("src/store/replicas/sweep.sql", actor, limit).fetch_all(executor).await?;
    let swept = rows.into_iter().map(|row| Swept {
        project_id: row.project_id,
        run_id: row.run_id,
        attempt: row.attempt,
        repeatable: row.repeatable,
    });
    Ok(swept.collect())
}

/// Forgets what is past its time, and takes over the durable questions that nobody waits for; `awaited` are the runs
/// that somebody in this replica waits for.
pub async fn tidy(executor: impl PgExecutor<'_>, replica_id: &str, awaited: &[RunId]) -> Result<Vec<Adopted>, Error> {
    let rows = sqlx::query_file!("src/store/replicas/tidy.sql", replica_id, &texts(awaited) as _);
    let rows = rows.fetch_all(executor).await?;
    let adopted = rows.into_iter().map(|row| Adopted {
        project_id: row.project_id,
        thread_id: row.thread_id,
        run_id: row.run_id,
        question: row.question.0,
    });
    Ok(adopted.collect())
}

/// Ends this replica's life: its leases run out now, so that others take its runs over at once.
pub async fn release(executor: impl PgExecutor<'_>, replica_id: &str) -> Result<(), Error> {
    sqlx::query!(
        r#"with released as (
               update runs set lease_until = now() - interval '1 millisecond'
               where lease_owner = $1 and lease_until is not null
           )
           delete from replicas where id = $1"#,
        replica_id,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Calls `hint` at each notification, until the connection is lost.
pub async fn listen(pool: &PgPool, hint: impl Fn()) -> Result<(), Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        listener.recv().await?;
        hint();
    }
}

fn texts(run_ids: &[RunId]) -> Vec<&str> {
    run_ids.iter().map(RunId::as_str).collect()
}
