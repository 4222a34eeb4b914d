//! Limits of projects, users and keys, as an administrator sets them; the store applies them when a turn opens.

use crate::domain::{Caller, KeyId, Limits, ProjectId};
use crate::service::{Error, projects, users};
use crate::store::{self, PgPool, limits};

pub use crate::store::limits::Limited;

/// Whose limits are meant.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The whole project's together.
    Project,
    /// One user's, by id or by the project's own id.
    User(String),
    /// Every user's, each for itself, unless they have limits of their own.
    EachUser,
    /// One key's.
    Key(KeyId),
    /// Every key's, each for itself, unless they have limits of their own.
    EachKey,
}

/// Sets a subject's limits in place of those it had; no limit at all lifts them. Every replica's next turn obeys them.
pub async fn set(
    pool: &PgPool,
    caller: &Caller,
    project: &str,
    subject: &Subject,
    wanted: &Limits,
) -> Result<Limited, Error> {
    if !wanted.is_storable() {
        return Err(Error::InvalidField(
            "limits: at most 2147483647 requests or turns, and 9223372036854775807 tokens",
        ));
    }
    let project_id = projects::find(pool, project).await?.id;
    let subject = subject_text(pool, &project_id, subject).await?;
    let mut transaction = store::begin(pool).await?;
    limits::set(&mut transaction, caller, &project_id, &subject, wanted).await?;
    store::commit(transaction).await?;
    Ok(Limited { subject, limits: *wanted })
}

/// The limits of a project and of its users and keys.
pub async fn list(pool: &PgPool, project: &str) -> Result<Vec<Limited>, Error> {
    let project_id = projects::find(pool, project).await?.id;
    Ok(limits::list(pool, &project_id).await?)
}

async fn subject_text(pool: &PgPool, project_id: &ProjectId, subject: &Subject) -> Result<String, Error> {
    Ok(match subject {
        Subject::Project => project_id.to_string(),
        Subject::User(user) => users::find(pool, project_id.as_str(), user).await?.id.to_string(),
        Subject::EachUser => "each_user".to_owned(),
        Subject::Key(key_id) => {
            let known = store::keys::exists(pool, project_id, key_id).await?;
            let unknown = || Error::NotFound { kind: "key", name: key_id.to_string() };
            known.then(|| key_id.to_string()).ok_or_else(unknown)?
        }
        Subject::EachKey => "each_key".to_owned(),
    })
}
