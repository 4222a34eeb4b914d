//! On whose behalf something is done; decided once per request and passed down.

use crate::domain::{ProjectId, UserId};

/// The authenticated party behind a request or a command.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The project that everything touched belongs to.
    pub project_id: ProjectId,
    /// The one user whose threads are visible; none: all of the project's.
    pub user_id: Option<UserId>,
    /// How the audit names the party, such as `open` or `cli`.
    pub actor: String,
    /// The id under which the request is found in logs and audit.
    pub request_id: String,
}

impl Caller {
    /// Whose idempotency keys the caller's are.
    pub fn scope(&self) -> &str {
        self.user_id.as_ref().map_or(&self.actor, UserId::as_str)
    }
}
