//! A run's states; which of them count as unfinished is the database's partial unique index, too.

use serde::{Deserialize, Serialize};

/// The states of the Assistants wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Accepted, waiting for its turn.
    Queued,
    /// The model is being called.
    InProgress,
    /// Somebody asked for its end; whoever executes it has not ended it yet.
    Cancelling,
    /// Ended because somebody asked for it.
    Cancelled,
    /// Ended with an answer.
    Completed,
    /// Ended without an answer; the cause is recorded.
    Failed,
    /// Ended with a part of an answer (token limit, content filter).
    Incomplete,
}

impl RunStatus {
    /// The state as it stands in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
        }
    }
}
