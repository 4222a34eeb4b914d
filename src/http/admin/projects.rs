//! `/admin/projects`.

use actix_web::web::{Json, Path, Query, ThinData};
use serde::Deserialize;

use crate::domain::{Label, Piece};
use crate::http::admin::query::{self, PageQuery};
use crate::http::error::ApiError;
use crate::http::extract::{AdminCaller, ValidJson};
use crate::service::Service;
use crate::service::projects::{self, Project};

/// A project that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    name: Label,
}

/// Lists all projects, newest first.
pub async fn list(
    _admin: AdminCaller,
    service: ThinData<Service>,
    query: Query<PageQuery>,
) -> Result<Json<Piece<Project>>, ApiError> {
    let page = query.into_inner().page();
    query::answer(&page, projects::list(service.pool(), &page).await?)
}

/// Makes a project.
pub async fn create(
    admin: AdminCaller,
    service: ThinData<Service>,
    wanted: ValidJson<Wanted>,
) -> Result<Json<Project>, ApiError> {
    Ok(Json(projects::create(service.pool(), &admin.0, wanted.body.name).await?))
}

/// Shows one project, by id or name.
pub async fn show(
    _admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
) -> Result<Json<Project>, ApiError> {
    Ok(Json(projects::find(service.pool(), &project).await?))
}

/// Shuts a project.
pub async fn revoke(
    admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
) -> Result<Json<Project>, ApiError> {
    Ok(Json(projects::revoke(service.pool(), &admin.0, &project, true).await?))
}

/// Opens a project again.
pub async fn restore(
    admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
) -> Result<Json<Project>, ApiError> {
    Ok(Json(projects::revoke(service.pool(), &admin.0, &project, false).await?))
}
