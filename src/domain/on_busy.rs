//! What a message does that finds its thread busy.

use serde::{Deserialize, Serialize};

/// The policies; a request's goes before its agent's, and that before the settings'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OnBusy {
    /// Stands in line, first come, first served, for at most `turns.wait_ms`.
    Wait,
    /// Is refused at once.
    Reject,
    /// Is accepted for good: it stands in line without a bound, and another replica asks it if this one dies.
    Queue,
    /// Cancels the running turn and takes its place in line.
    Replace,
}

impl OnBusy {
    /// The policy as it stands in settings, requests and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Reject => "reject",
            Self::Queue => "queue",
            Self::Replace => "replace",
        }
    }
}

impl TryFrom<String> for OnBusy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "wait" => Ok(Self::Wait),
            "reject" => Ok(Self::Reject),
            "queue" => Ok(Self::Queue),
            "replace" => Ok(Self::Replace),
            other => Err(format!("'{other}' is none of \"wait\", \"reject\", \"queue\" and \"replace\"")),
        }
    }
}

impl From<OnBusy> for String {
    fn from(policy: OnBusy) -> Self {
        policy.as_str().to_owned()
    }
}
