//! API keys: made once, shown once, revoked for good.

use time::{OffsetDateTime, UtcOffset};

use crate::domain::{AccessRole, Caller, KeyId, KeySecret, Label, Page, Piece};
use crate::service::{Error, projects, users};
use crate::store::keys::{self, NewKey};
use crate::store::{self, PgPool};

pub use crate::store::keys::Key;

/// A key that somebody asks for.
#[derive(Debug)]
pub struct Order {
    /// The project that it shall open, by id or name.
    pub project: String,
    /// What it may do.
    pub role: AccessRole,
    /// The one user, by the project's own id; exactly for the role `user`.
    pub user: Option<Label>,
    /// What people call it.
    pub name: Label,
    /// When it stops working by itself.
    pub expires_at: Option<OffsetDateTime>,
}

/// A new key, the only time that its secret is known.
#[derive(Debug)]
pub struct Made {
    /// The key's id.
    pub key_id: KeyId,
    /// The key itself.
    pub secret: KeySecret,
}

/// Makes a key.
pub async fn create(pool: &PgPool, caller: &Caller, order: &Order) -> Result<Made, Error> {
    if (order.role == AccessRole::User) != order.user.is_some() {
        return Err(Error::InvalidField("user: is needed for the role \"user\", and for no other"));
    }
    let expires_at = match order.expires_at {
        None => None,
        Some(end) => match end.checked_to_offset(UtcOffset::UTC) {
            Some(end) if end > OffsetDateTime::now_utc() && end.year() < 9999 => Some(end),
            _ => return Err(Error::InvalidField("expires_at: must lie in the future, and before the year 9999")),
        },
    };
    let project = projects::find(pool, &order.project).await?;
    let user = match &order.user {
        Some(external_id) => Some(users::create(pool, caller, project.id.as_str(), external_id).await?),
        None => None,
    };
    let (key_id, secret) = (KeyId::generate(), KeySecret::generate().map_err(store::undecodable)?);
    let key = NewKey {
        id: &key_id,
        project_id: &project.id,
        user_id: user.as_ref().map(|user| &user.id),
        role: order.role,
        name: &order.name,
        prefix: secret.visible(),
        digest: secret.digest(),
        expires_at,
    };
    keys::create(pool, caller, &key).await?;
    Ok(Made { key_id, secret })
}

/// Keys without their secrets, newest first: all, or one project's.
pub async fn list(pool: &PgPool, project: Option<&str>, page: &Page) -> Result<Piece<Key>, Error> {
    let project = match project {
        Some(project) => Some(projects::find(pool, project).await?.id),
        None => None,
    };
    Ok(keys::list(pool, project.as_ref(), page).await?)
}

/// Revokes a key for good; it stops working on every replica within `auth.recheck_ms`.
pub async fn revoke(pool: &PgPool, caller: &Caller, key_id: &KeyId) -> Result<KeyId, Error> {
    let revoked = keys::revoke(pool, caller, key_id).await?;
    revoked.ok_or_else(|| Error::NotFound { kind: "key", name: key_id.to_string() })
}
