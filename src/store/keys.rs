//! API keys: made, listed, revoked, and recognised by the hash of their secret.

use serde::Serialize;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::{AccessRole, Caller, KeyDigest, KeyId, Label, Page, Piece, ProjectId, UserId};
use crate::store::Error;

/// A key without its secret.
#[derive(Debug, Clone, Serialize)]
pub struct Key {
    /// The key's id.
    pub id: KeyId,
    /// The project that it opens.
    pub project_id: ProjectId,
    /// The one user that it opens it for.
    pub user_id: Option<UserId>,
    /// What it may do.
    pub role: String,
    /// What people call it.
    pub name: String,
    /// The beginning of the secret.
    pub prefix: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it stops working by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
    /// When it was last used, to about a minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
}

/// A key to be made.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// The key's id.
    pub id: &'a KeyId,
    /// The project, by id.
    pub project_id: &'a ProjectId,
    /// The one user, where the role is a user's.
    pub user_id: Option<&'a UserId>,
    /// What it may do.
    pub role: AccessRole,
    /// What people call it.
    pub name: &'a Label,
    /// The beginning of the secret.
    pub prefix: &'a str,
    /// What is kept of the secret.
    pub digest: KeyDigest,
    /// When it stops working by itself.
    pub expires_at: Option<OffsetDateTime>,
}

/// What a key that works opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The key.
    pub key_id: KeyId,
    /// The project.
    pub project_id: ProjectId,
    /// The one user, where it is a user's.
    pub user_id: Option<UserId>,
    /// What it may do.
    pub role: AccessRole,
    /// When it stops working by itself.
    pub expires_at: Option<OffsetDateTime>,
}

/// Keeps a new key, with the audit event.
pub async fn create(executor: impl PgExecutor<'_>, caller: &Caller, key: &NewKey<'_>) -> Result<(), Error> {
    sqlx::query!(
        r#"with created as (
               insert into api_keys (id, project_id, user_id, role, name, prefix, secret_sha256, expires_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8)
           )
           insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
           values ($2, $9::jsonb, 'key.created', $1, 'ok', $10)"#,
        key.id.as_str(),
        key.project_id.as_str(),
        key.user_id.map(UserId::as_str),
        key.role.as_str(),
        key.name.as_str(),
        key.prefix,
        key.digest.as_bytes(),
        key.expires_at,
        caller.who(),
        caller.request_id,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Revokes a key for good, with the audit event; the key as it is then, or nothing when there is none.
pub async fn revoke(executor: impl PgExecutor<'_>, caller: &Caller, key_id: &KeyId) -> Result<Option<KeyId>, Error> {
    let revoked = sqlx::query_scalar!(
        r#"with found as (
               select id from api_keys where id = $1
           ), revoked as (
               update api_keys set revoked_at = now() where id = $1 and revoked_at is null
               returning id, project_id
           ), audited as (
               insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
               select project_id, $2::jsonb, 'key.revoked', id, 'ok', $3 from revoked
           )
           select id as "id!: KeyId" from found"#,
        key_id.as_str(),
        caller.who(),
        caller.request_id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(revoked)
}

/// Every project's keys, or one project's.
pub async fn list(
    executor: impl PgExecutor<'_>,
    project_id: Option<&ProjectId>,
    page: &Page,
) -> Result<Piece<Key>, Error> {
    let rows = sqlx::query_as!(
        Key,
        r#"select id as "id: KeyId", project_id as "project_id: ProjectId", user_id as "user_id: UserId", role, name,
                  prefix, created_at, expires_at, revoked_at, last_used_at
           from api_keys
           where ($1::text is null or project_id = $1)
             and ($2::text is null or (created_at, id) < (select created_at, id from api_keys where id = $2))
           order by created_at desc, id desc limit $3"#,
        project_id.map(ProjectId::as_str),
        page.after,
        page.rows(),
    )
    .fetch_all(executor)
    .await?;
    Ok(page.piece(rows))
}

/// What the key of this digest opens, if it works; notes at most once a minute that it is used.
pub async fn grant(executor: impl PgExecutor<'_>, digest: &KeyDigest) -> Result<Option<Grant>, Error> {
    let row = sqlx::query_file!("src/store/keys/grant.sql", digest.as_bytes()).fetch_optional(executor).await?;
    let Some(row) = row else { return Ok(None) };
    let role = AccessRole::try_from(row.role).map_err(|reason| sqlx::Error::Decode(reason.into()))?;
    Ok(Some(Grant {
        key_id: row.key_id,
        project_id: row.project_id,
        user_id: row.user_id,
        role,
        expires_at: row.expires_at,
    }))
}

/// Whether a project has this key.
pub async fn exists(executor: impl PgExecutor<'_>, project_id: &ProjectId, key_id: &KeyId) -> Result<bool, Error> {
    let exists = sqlx::query_scalar!(
        r#"select exists (select from api_keys where project_id = $1 and id = $2) as "exists!""#,
        project_id.as_str(),
        key_id.as_str(),
    );
    Ok(exists.fetch_one(executor).await?)
}
