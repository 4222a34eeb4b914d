//! Projects, which own everything.

use serde::Serialize;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::{Caller, Label, Page, Piece, ProjectId};
use crate::store::Error;

/// A project.
#[derive(Debug, Clone, Serialize)]
pub struct Project {
    /// The project's id.
    pub id: ProjectId,
    /// Its unique name.
    pub name: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was shut.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// Makes a project, with the audit event; [`Error::ProjectNameTaken`] when another has the name.
pub async fn create(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    project_id: &ProjectId,
    name: &Label,
) -> Result<(), Error> {
    sqlx::query!(
        r#"with created as (
               insert into projects (id, name) values ($1, $2)
           )
           insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
           values ($1, $3::jsonb, 'project.created', $1, 'ok', $4)"#,
        project_id.as_str(),
        name.as_str(),
        caller.who(),
        caller.request_id,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// All projects.
pub async fn list(executor: impl PgExecutor<'_>, page: &Page) -> Result<Piece<Project>, Error> {
    let rows = sqlx::query_as!(
        Project,
        r#"select id as "id: ProjectId", name, created_at, revoked_at
           from projects
           where ($1::text is null or (created_at, id) < (select created_at, id from projects where id = $1))
           order by created_at desc, id desc limit $2"#,
        page.after,
        page.rows(),
    )
    .fetch_all(executor)
    .await?;
    Ok(page.piece(rows))
}

/// The project of this id or name.
pub async fn find(executor: impl PgExecutor<'_>, id_or_name: &str) -> Result<Option<Project>, Error> {
    let project = sqlx::query_as!(
        Project,
        r#"select id as "id: ProjectId", name, created_at, revoked_at from projects where id = $1 or name = $1"#,
        id_or_name,
    )
    .fetch_optional(executor)
    .await?;
    Ok(project)
}

/// Shuts a project, so that no credential opens it, or opens it again, with the audit event.
pub async fn revoke(
    executor: impl PgExecutor<'_>,
    caller: &Caller,
    project_id: &ProjectId,
    is_revoked: bool,
) -> Result<(), Error> {
    sqlx::query!(
        r#"with changed as (
               update projects set revoked_at = case when $2 then now() end
               where id = $1 and (revoked_at is not null) <> $2
               returning id
           )
           insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
           select id, $3::jsonb, case when $2 then 'project.revoked' else 'project.restored' end, id, 'ok', $4 from changed"#,
        project_id.as_str(),
        is_revoked,
        caller.who(),
        caller.request_id,
    )
    .execute(executor)
    .await?;
    Ok(())
}
