//! On whose behalf something is done; decided once per request and passed down.

use crate::domain::{AccessRole, KeyId, ProjectId, UserId};

/// The authenticated party behind a request or a command.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The project that everything touched belongs to.
    pub project_id: ProjectId,
    /// The one user whose threads are visible; none: all of the project's.
    pub user_id: Option<UserId>,
    /// What the credential may do.
    pub role: AccessRole,
    /// The key that was shown, where it was one.
    pub key_id: Option<KeyId>,
    /// How the audit names the party: `key:` and its id, `jwt:` and its subject, or such as `open` or `cli`.
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
