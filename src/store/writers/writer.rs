//! The life of one writer: take what waits, write it in one statement, answer each turn. How turns wait and how
//! connections live is not here.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use sqlx::PgConnection;
use sqlx::error::DatabaseError;
use tokio::time::sleep;

use crate::store::Error;
use crate::store::turns;

use super::link::{Link, Outcomes};
use super::queue::{Batch, Queue, Reply, Work};

/// The first and the longest pause before a failed connection is tried again; each doubles the one before.
const PAUSE_MS: u64 = 25;
const PAUSE_MS_MAX: u64 = 200;

/// Writes until the queue is closed and empty.
pub async fn write(queue: Arc<Queue>, mut link: Link) {
    let mut pause_ms = PAUSE_MS;
    while queue.has_work().await {
        // The turns wait in the queue meanwhile, where another writer or their own patience may take them.
        if let Err(error) = link.prepare().await {
            let level = if pause_ms == PAUSE_MS { Level::Warn } else { Level::Debug };
            log::log!(level, "pause_ms={pause_ms} cause={:?} A writer cannot reach the database", cause(&error));
            queue.abandon_if_closed();
            queue.wake();
            sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MS_MAX);
            continue;
        }
        pause_ms = PAUSE_MS;
        match queue.take() {
            Some(Work::Closings(batch)) => {
                settle(&mut link, batch, async |connection: &mut PgConnection, turns: &[_]| {
                    Ok(turns::close(connection, turns).await?.into_iter().map(Ok).collect())
                })
                .await;
            }
            Some(Work::Openings(mut batch)) => {
                let held = std::mem::take(&mut batch.held);
                batch.leave_out_the_gone();
                settle(&mut link, batch, turns::open).await;
                queue.release(&held);
            }
            None => {}
        }
    }
    link.close().await;
}

/// Writes a batch and answers its turns. When the database refuses the statement, nothing of it was written, and
/// each turn is tried alone, so that only those fail whose own fault it is.
async fn settle<T, O>(
    link: &mut Link,
    batch: Batch<T, O>,
    statement: impl AsyncFn(&mut PgConnection, &[T]) -> Outcomes<O>,
) {
    let Batch { turns, replies, .. } = batch;
    if turns.is_empty() {
        return;
    }
    match link.run(async |connection| statement(connection, &turns).await).await {
        Ok(outcomes) => {
            for ((turn, reply), outcome) in turns.into_iter().zip(replies).zip(outcomes) {
                answer(reply, outcome.map(|outcome| (turn, outcome)));
            }
        }
        Err(error) if turns.len() > 1 && is_refused(&error) => {
            log::warn!("turns={} error={:?} A statement for several turns was refused", turns.len(), cause(&error));
            for (turn, reply) in turns.into_iter().zip(replies) {
                let alone = link.run(async |connection| statement(connection, std::slice::from_ref(&turn)).await).await;
                let outcome = alone.and_then(|mut outcomes| outcomes.pop().ok_or(sqlx::Error::RowNotFound)?);
                answer(reply, outcome.map(|outcome| (turn, outcome)));
            }
        }
        Err(error) => {
            for reply in replies {
                answer(reply, Err(error.clone()));
            }
        }
    }
}

fn answer<T, O>(reply: Reply<T, O>, answer: Result<(T, O), Error>) {
    if reply.send(answer).is_err() {
        log::debug!("the caller of a turn went away before its answer");
    }
}

/// Whether the database took nothing of a statement: it said so, and did not take its leave with it.
fn is_refused(error: &Error) -> bool {
    match error {
        Error::Statement(error) => error.as_database_error().is_some(),
        Error::Unavailable(error) => {
            error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code.starts_with("40"))
        }
        Error::Crowded | Error::Waited | Error::AgentNameTaken | Error::ProjectNameTaken => false,
    }
}

/// What lies behind an error; its own words say no more than that something failed.
fn cause(error: &Error) -> String {
    error.source().unwrap_or(error).to_string()
}
