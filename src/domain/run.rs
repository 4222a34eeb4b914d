//! A run's states; which of them count as unfinished is the database's partial unique index, too.

use serde::{Deserialize, Serialize};

/// The states of the Assistants wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RunStatus {
    /// Accepted, waiting for its turn.
    Queued,
    /// The model is being called.
    InProgress,
    /// Waiting for the outputs of tools.
    RequiresAction,
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
    /// Ended because nobody gave the outputs of its tools in time.
    Expired,
}

/// A text that is none of the states.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no state of a run")]
pub struct UnknownStatus(String);

impl RunStatus {
    /// The state as it stands in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::RequiresAction => "requires_action",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
            Self::Expired => "expired",
        }
    }

    /// Whether the run still occupies its thread.
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress | Self::RequiresAction | Self::Cancelling)
    }
}

impl TryFrom<String> for RunStatus {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, UnknownStatus> {
        Ok(match text.as_str() {
            "queued" => Self::Queued,
            "in_progress" => Self::InProgress,
            "requires_action" => Self::RequiresAction,
            "cancelling" => Self::Cancelling,
            "cancelled" => Self::Cancelled,
            "completed" => Self::Completed,
            "failed" => Self::Failed,
            "incomplete" => Self::Incomplete,
            "expired" => Self::Expired,
            _ => return Err(UnknownStatus(text)),
        })
    }
}

impl From<RunStatus> for String {
    fn from(status: RunStatus) -> Self {
        status.as_str().to_owned()
    }
}
