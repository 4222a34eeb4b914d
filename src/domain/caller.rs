//! On whose behalf something is done; decided once per request and passed down.

use std::net::IpAddr;

use serde_json::{Value, json};

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
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// The id under which the request is found in logs and audit.
    pub request_id: String,
}

impl Caller {
    /// Who it is, as the audit keeps it.
    pub fn who(&self) -> Value {
        let mut who = json!({ "actor": self.actor, "role": self.role });
        let known = [
            ("key_id", self.key_id.as_ref().map(ToString::to_string)),
            ("user_id", self.user_id.as_ref().map(ToString::to_string)),
            ("address", self.address.as_ref().map(ToString::to_string)),
        ];
        if let Value::Object(who) = &mut who {
            who.extend(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
        }
        who
    }

    /// Whose idempotency keys the caller's are.
    pub fn scope(&self) -> &str {
        self.user_id.as_ref().map_or(&self.actor, UserId::as_str)
    }
}
