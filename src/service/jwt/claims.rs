//! What the claims of a token mean here; that the token is the issuer's, and valid now, is settled before.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Config, Refused};
use crate::domain::{AccessRole, Label};

/// What a token that is believed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The project, by id or name.
    pub project: Label,
    /// The user, by the project's own id: always one where the role is [`AccessRole::User`], and none elsewhere.
    pub user: Option<Label>,
    /// What the bearer may do.
    pub role: AccessRole,
    /// Whom the audit names.
    pub subject: Label,
}

impl Claims {
    /// Reads the claims as the settings say; the error names the one that cannot be used.
    pub fn read(config: &Config, claims: &Map<String, Value>) -> Result<Self, Refused> {
        if claims.get("iat").is_some_and(|issued_at| !is_past(issued_at, config.clock_skew_s())) {
            return Err(refused("iat"));
        }
        let user = label(claims, &config.user_claim)?;
        let role = match text(claims, &config.role_claim)? {
            Some(role) => AccessRole::try_from(role).map_err(|_| refused(&config.role_claim))?,
            None => config.role_default,
        };
        let project = match label(claims, &config.project_claim)? {
            Some(project) => project,
            None => Label::try_from(config.project_default.clone()).map_err(|_| refused(&config.project_claim))?,
        };
        let subject = label(claims, "sub")?.or_else(|| user.clone()).ok_or_else(|| refused("sub"))?;
        let user = match role {
            AccessRole::User => Some(user.ok_or_else(|| refused(&config.user_claim))?),
            AccessRole::Service | AccessRole::Admin => None,
        };
        Ok(Self { project, user, role, subject })
    }
}

/// Whether a `NumericDate` (RFC 7519, section 2) lies in the past, as far as the clocks allow.
fn is_past(date: &Value, skew_s: u64) -> bool {
    let date = date.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    date.is_some_and(|date| date.as_secs() <= jsonwebtoken::get_current_timestamp().saturating_add(skew_s))
}

fn label(claims: &Map<String, Value>, name: &str) -> Result<Option<Label>, Refused> {
    text(claims, name)?.map(|text| Label::try_from(text).map_err(|_| refused(name))).transpose()
}

fn text(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, Refused> {
    match claims.get(name).filter(|_| !name.is_empty()) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(refused(name)),
    }
}

fn refused(claim: &str) -> Refused {
    Refused::Claim(claim.to_owned())
}
