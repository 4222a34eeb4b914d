//! All SQL, one file per table or per atomic phase; functions take an executor and decide nothing.

pub mod agents;
pub mod audit;
mod connection;
pub mod idempotency;
mod ids;
pub mod keys;
pub mod limits;
pub mod messages;
pub mod projects;
pub mod replicas;
pub mod runs;
pub mod schema;
pub mod threads;
pub mod turns;
pub mod users;
mod writers;

use std::error::Error as StdError;
use std::sync::Arc;

pub use connection::{Config, acquire, begin, commit, connect};
pub use sqlx::PgPool;
pub use writers::Writers;

/// A connection on which an act's statements run one after another.
pub type Connection = sqlx::PgConnection;

/// What the database could not do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Away, restarting, overloaded, or no connection free in time; the same call may work in a moment.
    #[error("the database is not available")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// As many turns wait as may; nothing was written.
    #[error("too many turns wait for the database")]
    Crowded,
    /// No writer took the turn in time; nothing was written.
    #[error("no connection to the database took the turn in time")]
    Waited,
    /// An agent of this name lives already.
    #[error("another agent of this project has this name")]
    AgentNameTaken,
    /// Another project has this name.
    #[error("another project has this name")]
    ProjectNameTaken,
    /// Anything else: a defect of ours.
    #[error("the database refused a statement")]
    Statement(#[source] Arc<sqlx::Error>),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(database) = &error {
            match database.constraint() {
                Some("agents_living_name_unique") => return Self::AgentNameTaken,
                Some("projects_name_unique") => return Self::ProjectNameTaken,
                _ => {}
            }
            let code = database.code().unwrap_or_default();
            let class = code.get(..2).unwrap_or_default();
            let away = matches!(class, "08" | "28" | "40" | "53" | "57") || code == "25006";
            return if away { Self::Unavailable(error.into()) } else { Self::Statement(error.into()) };
        }
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.into()),
            other => Self::Statement(other.into()),
        }
    }
}

/// Keeps a decoding error's own words where a row does not hold what its type promises.
pub fn undecodable(error: impl StdError + Send + Sync + 'static) -> Error {
    sqlx::Error::Decode(Box::new(error)).into()
}
