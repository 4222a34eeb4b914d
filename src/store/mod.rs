//! All SQL, one file per table or per atomic phase; functions take an executor and decide nothing.

pub mod agents;
mod connection;
pub mod idempotency;
mod ids;
pub mod replicas;
pub mod schema;
pub mod threads;
pub mod turns;

use std::error::Error as StdError;

pub use connection::{Config, acquire, begin, commit, connect};
pub use sqlx::PgPool;

/// A connection on which an act's statements run one after another.
pub type Connection = sqlx::PgConnection;

/// What the database could not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, restarting, overloaded, or no connection free in time; the same call may work in a moment.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// An agent of this name lives already.
    #[error("another agent of this project has this name")]
    AgentNameTaken,
    /// Anything else: a defect of ours.
    #[error("the database refused a statement")]
    Statement(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(database) = &error {
            if database.constraint() == Some("agents_living_name_unique") {
                return Self::AgentNameTaken;
            }
            let code = database.code().unwrap_or_default();
            let class = code.get(..2).unwrap_or_default();
            let away = matches!(class, "08" | "53" | "57") || code == "25006";
            return if away { Self::Unavailable(error) } else { Self::Statement(error) };
        }
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            other => Self::Statement(other),
        }
    }
}

/// Keeps a decoding error's own words where a row does not hold what its type promises.
pub fn undecodable(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::Statement(sqlx::Error::Decode(Box::new(error)))
}
