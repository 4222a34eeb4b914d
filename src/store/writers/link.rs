//! One writer's connection: opened when it is first needed, doubted after a silence or another one's loss, replaced
//! when it is lost. A statement is never sent twice from here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;

use crate::store::Error;

/// How long a silent connection is believed to be alive; a server or a proxy may have closed it since.
const TRUST_MS: u64 = 10_000;

/// How long a connection may take to be made, or to give a sign of life; turns do not wait in it meanwhile.
const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// How long a statement may take before its connection counts as lost.
const STATEMENT_TIMEOUT_MS: u64 = 30_000;

/// Where the writers' connections lead, and how often one of them was lost.
#[derive(Debug)]
pub struct Target {
    options: PgConnectOptions,
    losses: AtomicU64,
}

/// A place for one connection.
#[derive(Debug)]
pub struct Link {
    target: Arc<Target>,
    line: Option<Line>,
}

#[derive(Debug)]
struct Line {
    connection: PgConnection,
    proven_at: Instant,
    losses_known: u64,
}

/// What a statement makes of each turn; the outer error means that the statement as a whole failed.
pub type Outcomes<O> = Result<Vec<Result<O, Error>>, Error>;

impl Target {
    /// Connections with these options.
    pub const fn new(options: PgConnectOptions) -> Self {
        Self { options, losses: AtomicU64::new(0) }
    }
}

impl Link {
    /// A link without a connection.
    pub const fn new(target: Arc<Target>) -> Self {
        Self { target, line: None }
    }

    /// Makes sure that there is a connection which lives, as far as anyone can know.
    pub async fn prepare(&mut self) -> Result<(), Error> {
        let losses_known = self.target.losses.load(Ordering::Relaxed);
        if let Some(line) = &mut self.line {
            let is_doubtful = line.proven_at.elapsed() > Duration::from_millis(TRUST_MS);
            if line.losses_known == losses_known && !is_doubtful {
                return Ok(());
            }
            if within(line.connection.ping()).await.is_ok() {
                line.proven_at = Instant::now();
                line.losses_known = losses_known;
                return Ok(());
            }
            self.lose();
        }
        let connection = within(self.target.options.connect()).await?;
        self.line = Some(Line { connection, proven_at: Instant::now(), losses_known });
        Ok(())
    }

    /// Executes a statement once; a lost connection is one of the errors.
    pub async fn run<O>(&mut self, statement: impl AsyncFnOnce(&mut PgConnection) -> Outcomes<O>) -> Outcomes<O> {
        let line = self.line.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        let limit = Duration::from_millis(STATEMENT_TIMEOUT_MS);
        let outcomes = timeout(limit, statement(&mut line.connection)).await.unwrap_or_else(|_| Err(silent().into()));
        line.proven_at = Instant::now();
        let is_lost = match &outcomes {
            Err(error) => is_loss(error),
            Ok(outcomes) => outcomes.iter().any(|outcome| outcome.as_ref().is_err_and(is_loss)),
        };
        if is_lost {
            self.lose();
        }
        outcomes
    }

    /// Takes leave of the server.
    pub async fn close(self) {
        if let Some(line) = self.line
            && let Err(error) = within(line.connection.close()).await
        {
            log::debug!("error={error} A writer's connection ended without a farewell");
        }
    }

    fn lose(&mut self) {
        self.line = None;
        self.target.losses.fetch_add(1, Ordering::Relaxed);
    }
}

async fn within<T>(step: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    let limit = Duration::from_millis(CONNECT_TIMEOUT_MS);
    Ok(timeout(limit, step).await.unwrap_or_else(|_| Err(silent()))?)
}

/// Refusals come over a connection that lives.
fn is_loss(error: &Error) -> bool {
    let Error::Unavailable(error) = error else { return false };
    error.as_database_error().and_then(DatabaseError::code).is_none_or(|code| !code.starts_with("40"))
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}
