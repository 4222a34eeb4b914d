//! A project's end users, who appear on their first use.

use serde::Serialize;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::{Caller, Label, Page, Piece, ProjectId, UserId};
use crate::store::Error;

/// An end user.
#[derive(Debug, Clone, Serialize)]
pub struct User {
    /// Our id.
    pub id: UserId,
    /// The project.
    pub project_id: ProjectId,
    /// The project's own id of the user.
    pub external_id: String,
    /// When the user first appeared.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When the user was shut out.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// A user as credentials see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appearance {
    /// They may come in.
    Welcome(UserId),
    /// They, or their project, are revoked.
    Revoked,
}

/// Finds the user whom a project calls so, or makes them, with the audit event; nothing when somebody else makes them
/// at this very moment.
pub async fn appear(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    new_id: &UserId,
    external_id: &Label,
) -> Result<Option<Appearance>, Error> {
    let row = sqlx::query!(
        r#"with found as (
               select users.id, users.revoked_at is not null or projects.revoked_at is not null as is_revoked
               from users join projects on projects.id = users.project_id
               where users.project_id = $1 and users.external_id = $2
           ), created as (
               insert into users (id, project_id, external_id)
               select $3, $1, $2 where not exists (select from found)
               on conflict (project_id, external_id) do nothing
               returning id
           ), audited as (
               insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
               select $1, $4::jsonb, 'user.created', id, 'ok', $5 from created
           )
           select id as "id!: UserId", is_revoked as "is_revoked!" from found
           union all
           select id, false from created"#,
        caller.project_id.as_str(),
        external_id.as_str(),
        new_id.as_str(),
        caller.who(),
        caller.request_id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| if row.is_revoked { Appearance::Revoked } else { Appearance::Welcome(row.id) }))
}

/// A project's users.
pub async fn list(executor: impl PgExecutor<'_>, project_id: &ProjectId, page: &Page) -> Result<Piece<User>, Error> {
    let rows = sqlx::query_as!(
        User,
        r#"select id as "id: UserId", project_id as "project_id: ProjectId", external_id, created_at, revoked_at
           from users
           where project_id = $1
             and ($2::text is null or (created_at, id) < (select created_at, id from users where id = $2))
           order by created_at desc, id desc limit $3"#,
        project_id.as_str(),
        page.after,
        page.rows(),
    )
    .fetch_all(executor)
    .await?;
    Ok(page.piece(rows))
}

/// The user of this id, or whom the project calls so.
pub async fn find(
    executor: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id_or_external_id: &str,
) -> Result<Option<User>, Error> {
    let user = sqlx::query_as!(
        User,
        r#"select id as "id: UserId", project_id as "project_id: ProjectId", external_id, created_at, revoked_at
           from users where project_id = $1 and (id = $2 or external_id = $2)
           order by id = $2 desc limit 1"#,
        project_id.as_str(),
        id_or_external_id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(user)
}

/// The user whom the project calls so, whatever ids there are.
pub async fn find_named(
    executor: impl PgExecutor<'_>,
    project_id: &ProjectId,
    external_id: &Label,
) -> Result<Option<User>, Error> {
    let user = sqlx::query_as!(
        User,
        r#"select id as "id: UserId", project_id as "project_id: ProjectId", external_id, created_at, revoked_at
           from users where project_id = $1 and external_id = $2"#,
        project_id.as_str(),
        external_id.as_str(),
    )
    .fetch_optional(executor)
    .await?;
    Ok(user)
}

/// Shuts a user out, whatever they show, or lets them in again, with the audit event.
pub async fn revoke(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    user: &User,
    is_revoked: bool,
) -> Result<(), Error> {
    sqlx::query!(
        r#"with changed as (
               update users set revoked_at = case when $3 then now() end
               where project_id = $1 and id = $2 and (revoked_at is not null) <> $3
               returning id, project_id
           )
           insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
           select project_id, $4::jsonb, case when $3 then 'user.revoked' else 'user.restored' end, id, 'ok', $5
           from changed"#,
        user.project_id.as_str(),
        user.id.as_str(),
        is_revoked,
        caller.who(),
        caller.request_id,
    )
    .execute(executor)
    .await?;
    Ok(())
}
