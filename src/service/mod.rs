//! One file per use case: owns the decisions and the ids; knows neither HTTP's wire nor SQL's text.

pub mod agents;
pub mod audit;
pub mod auth;
mod board;
pub mod cancel;
pub mod chat;
mod closing;
mod config;
pub mod delete_agent;
pub mod health;
pub mod idempotency;
pub mod initialize;
pub mod jwt;
pub mod keys;
pub mod limits;
pub mod models;
mod process;
pub mod projects;
pub mod pulse;
pub mod runs;
mod sweep;
pub mod threads;
mod turn;
pub mod users;

use std::rc::Rc;

use crate::domain::{AgentRef, Failure, Label, LimitKind, OverLimit, RunId, ThreadId};
use crate::store::{self, PgPool};
use crate::upstream::Upstream;

pub use config::Config;
pub use process::{Pools, Process};

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
    #[error(
        "The thread's agent '{0}' was deleted: the thread stays readable; begin a new one with /openai/initialize."
    )]
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
    /// No credential, or one that does not work.
    #[error("A valid credential is needed: send it as 'Authorization: Bearer …'.")]
    Unauthenticated,
    /// The credential works, but the user for whom it acts is shut out; answered like [`Error::Unauthenticated`].
    #[error("A valid credential is needed: send it as 'Authorization: Bearer …'.")]
    UserRevoked,
    /// A user's credential named a user.
    #[error("Threadkeep-User: a user's own credential acts for that user only; leave the header out.")]
    ActsForItself,
    /// The credential is valid, but its role does not go so far.
    #[error("This credential's role does not allow this.")]
    Forbidden,
    /// A limit of the project, the user or the key is reached.
    #[error("{}", over_limit(.0))]
    OverLimit(OverLimit),
    /// Nothing of this kind has this id or name.
    #[error("There is no {kind} '{name}'.")]
    NotFound {
        /// Such as `project`.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Another project has the name.
    #[error("There is a project named '{0}' already.")]
    ProjectNameTaken(Label),
    /// A field of an administrator's order cannot be used; the sentence names it.
    #[error("{0}.")]
    InvalidField(&'static str),
    /// An agent's configuration cannot be used; the sentence names the field.
    #[error("config.{0}.")]
    InvalidConfig(String),
    /// The thread has no turn that could be cancelled.
    #[error("The thread '{0}' has no running turn.")]
    NothingToCancel(ThreadId),
    /// The turn that an earlier request with this key started still runs.
    #[error("The turn of this key still runs as '{0}'; ask again with the same key.")]
    StillRunning(RunId),
    /// The key named another act before.
    #[error(
        "This Idempotency-Key was used for another request; take a new key for a request that differs by any byte."
    )]
    KeyReused,
    /// The process is stopping and takes no new work.
    #[error("The service is stopping; ask again in a moment.")]
    Draining,
    /// The process is stopping, and another one will answer a question that was accepted for good.
    #[error(
        "The message is accepted and another process answers it as '{0}'; the same Idempotency-Key gets its answer."
    )]
    HandedOver(RunId),
    /// How an earlier request with the same key failed.
    #[error("{sentence}")]
    Recorded {
        /// The code as it is recorded.
        code: String,
        /// The sentence as it is recorded.
        sentence: String,
    },
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
            store::Error::Unavailable(_) | store::Error::Crowded | store::Error::Waited => Self::Unavailable(error),
            store::Error::AgentNameTaken | store::Error::ProjectNameTaken | store::Error::Statement(_) => {
                Self::Internal(error)
            }
        }
    }
}

fn over_limit(over: &OverLimit) -> String {
    let (whose, allowed) = (over.owner.as_str(), over.allowed);
    match over.kind {
        LimitKind::Requests => format!("This {whose}'s limit of {allowed} requests per minute is reached."),
        LimitKind::Turns => format!("This {whose}'s limit of {allowed} turns at the same time is reached."),
        LimitKind::TokensOfDay => format!("This {whose}'s limit of {allowed} tokens per day is used up."),
        LimitKind::TokensOfMonth => format!("This {whose}'s limit of {allowed} tokens per month is used up."),
    }
}

impl Service {
    /// Binds what the process shares to one worker's client.
    pub fn new(process: Process, upstream: Upstream) -> Self {
        Self { process: Rc::new(process), upstream: Rc::new(upstream) }
    }

    /// How turns behave.
    pub fn config(&self) -> &Config {
        &self.process.config
    }

    /// The connections that requests use.
    pub fn pool(&self) -> &PgPool {
        &self.process.pool
    }
}
