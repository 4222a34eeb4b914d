//! A project's end users, as an administrator sees them.

use crate::domain::{Caller, Label, Page, Piece, UserId};
use crate::service::{Error, projects};
use crate::store::{PgPool, users};

pub use crate::store::users::User;

/// Makes a user ahead of their first use, or finds them.
pub async fn create(pool: &PgPool, caller: &Caller, project: &str, external_id: &Label) -> Result<User, Error> {
    let project = projects::find(pool, project).await?;
    let caller = Caller { project_id: project.id.clone(), ..caller.clone() };
    users::appear(pool, &caller, &UserId::generate(), external_id).await?;
    let found = users::find_named(pool, &project.id, external_id).await?;
    found.ok_or_else(|| Error::NotFound { kind: "user", name: external_id.to_string() })
}

/// A project's users, newest first.
pub async fn list(pool: &PgPool, project: &str, page: &Page) -> Result<Piece<User>, Error> {
    let project = projects::find(pool, project).await?;
    Ok(users::list(pool, &project.id, page).await?)
}

/// The user of this id, or whom the project calls so.
pub async fn find(pool: &PgPool, project: &str, user: &str) -> Result<User, Error> {
    let project = projects::find(pool, project).await?;
    let found = users::find(pool, &project.id, user).await?;
    found.ok_or_else(|| Error::NotFound { kind: "user", name: user.to_owned() })
}

/// Shuts a user out, whatever they show, or lets them in again.
pub async fn revoke(
    pool: &PgPool,
    caller: &Caller,
    project: &str,
    user: &str,
    is_revoked: bool,
) -> Result<User, Error> {
    let user = find(pool, project, user).await?;
    users::revoke(pool, caller, &user, is_revoked).await?;
    find(pool, user.project_id.as_str(), user.id.as_str()).await
}
