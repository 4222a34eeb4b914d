//! One file per use case: owns the decisions and the ids; knows neither HTTP's wire nor SQL's text.

pub mod agents;
pub mod chat;
pub mod delete_agent;
pub mod health;
pub mod initialize;
pub mod models;

use std::rc::Rc;
use std::sync::Arc;

use serde::Deserialize;
use tokio_util::task::TaskTracker;

use crate::domain::{AgentRef, Failure, ThreadId};
use crate::store::{self, PgPool};
use crate::upstream::Upstream;

/// Section `turns` of the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long a replica holds a run before another may take it over.
    pub lease_ms: u32,
}

/// What all replicas' workers share within one process.
#[derive(Debug, Clone)]
pub struct Process {
    /// The connections to Postgres.
    pub pool: PgPool,
    /// How turns behave.
    pub config: Config,
    /// The name under which this process holds leases.
    pub lease_owner: Arc<str>,
    /// Every turn that is being executed, whether or not its client still listens.
    pub turns: TaskTracker,
}

/// Everything a use case needs; one per worker, since the HTTP client belongs to a thread, and cheap to clone.
#[derive(Clone)]
pub struct Service {
    process: Rc<Process>,
    upstream: Rc<Upstream>,
}

/// Why a use case gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's project has no such living agent.
    #[error("There is no agent '{0}'.")]
    AgentNotFound(AgentRef),
    /// The thread's agent was deleted.
    #[error("The agent '{0}' was deleted; its threads can be read but not continued.")]
    AgentDeleted(AgentRef),
    /// The agent exists, but the thread is another's.
    #[error("The thread '{thread_id}' does not belong to the agent '{agent}'.")]
    AgentMismatch {
        /// The thread that was asked for.
        thread_id: ThreadId,
        /// The agent that was asked for.
        agent: AgentRef,
    },
    /// The caller has no such thread.
    #[error("There is no thread '{0}'.")]
    ThreadNotFound(ThreadId),
    /// Another turn of the thread is running.
    #[error("The thread '{0}' is answering another message; try again when that turn has ended.")]
    ThreadBusy(ThreadId),
    /// The provider gave no answer.
    #[error(transparent)]
    Upstream(#[from] Failure),
    /// The run was ended by someone else, or the process is stopping; nothing of the answer was recorded.
    #[error("The turn was interrupted before its answer was recorded.")]
    Interrupted,
    /// The database is away for the moment.
    #[error("the store is away")]
    Unavailable(#[source] store::Error),
    /// A defect of ours.
    #[error("the store failed")]
    Internal(#[source] store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(_) => Self::Unavailable(error),
            store::Error::AgentNameTaken | store::Error::Statement(_) => Self::Internal(error),
        }
    }
}

impl Service {
    /// Binds what the process shares to one worker's client.
    pub fn new(process: Process, upstream: Upstream) -> Self {
        Self { process: Rc::new(process), upstream: Rc::new(upstream) }
    }

    fn pool(&self) -> &PgPool {
        &self.process.pool
    }
}
