//! What a credential may do.

use serde::{Deserialize, Serialize};

/// The roles, from the widest to the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AccessRole {
    /// Everything in the deployment.
    Admin,
    /// A trusted backend: everything in its project; it may act for one of its users.
    Service,
    /// One user: what is theirs, and what their project shares.
    User,
}

impl AccessRole {
    /// The role as it stands in settings, requests and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Service => "service",
            Self::User => "user",
        }
    }
}

impl TryFrom<String> for AccessRole {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "admin" => Ok(Self::Admin),
            "service" => Ok(Self::Service),
            "user" => Ok(Self::User),
            other => Err(format!("'{other}' is none of \"admin\", \"service\" and \"user\"")),
        }
    }
}

impl From<AccessRole> for String {
    fn from(role: AccessRole) -> Self {
        role.as_str().to_owned()
    }
}
