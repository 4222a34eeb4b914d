//! Projects: made, found, shut and opened again.

use crate::domain::{Caller, Label, Page, Piece, ProjectId};
use crate::service::Error;
use crate::store::{self, PgPool, projects};

pub use crate::store::projects::Project;

/// Makes a project; [`Error::ProjectNameTaken`] when another has the name.
pub async fn create(pool: &PgPool, caller: &Caller, name: Label) -> Result<Project, Error> {
    let project_id = ProjectId::generate();
    match projects::create(pool, caller, &project_id, &name).await {
        Err(store::Error::ProjectNameTaken) => return Err(Error::ProjectNameTaken(name)),
        other => other?,
    }
    find(pool, project_id.as_str()).await
}

/// All projects, newest first.
pub async fn list(pool: &PgPool, page: &Page) -> Result<Piece<Project>, Error> {
    Ok(projects::list(pool, page).await?)
}

/// The project of this id or name.
pub async fn find(pool: &PgPool, id_or_name: &str) -> Result<Project, Error> {
    let project = projects::find(pool, id_or_name).await?;
    project.ok_or_else(|| Error::NotFound { kind: "project", name: id_or_name.to_owned() })
}

/// The same party within another project.
pub async fn enter(pool: &PgPool, caller: &Caller, id_or_name: &str) -> Result<Caller, Error> {
    let project = find(pool, id_or_name).await?;
    Ok(Caller { project_id: project.id, user_id: None, ..caller.clone() })
}

/// Shuts a project, so that no credential opens it, or opens it again.
pub async fn revoke(pool: &PgPool, caller: &Caller, id_or_name: &str, is_revoked: bool) -> Result<Project, Error> {
    let project = find(pool, id_or_name).await?;
    projects::revoke(pool, caller, &project.id, is_revoked).await?;
    find(pool, project.id.as_str()).await
}
