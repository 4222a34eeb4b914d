//! `/admin/projects/{project}/users`.

use actix_web::web::{Json, Path, Query, ThinData};
use serde::Deserialize;

use crate::domain::{Label, Piece};
use crate::http::admin::query::{self, PageQuery};
use crate::http::error::ApiError;
use crate::http::extract::{AdminCaller, ValidJson};
use crate::service::Service;
use crate::service::users::{self, User};

/// A user that is wanted ahead of their first use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    external_id: Label,
}

/// Lists a project's users, newest first.
pub async fn list(
    _admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
    query: Query<PageQuery>,
) -> Result<Json<Piece<User>>, ApiError> {
    let page = query.into_inner().page();
    query::answer(&page, users::list(service.pool(), &project, &page).await?)
}

/// Makes a user, or finds them.
pub async fn create(
    admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
    wanted: ValidJson<Wanted>,
) -> Result<Json<User>, ApiError> {
    Ok(Json(users::create(service.pool(), &admin.0, &project, &wanted.body.external_id).await?))
}

/// Shows one user, by our id or the project's.
pub async fn show(
    _admin: AdminCaller,
    service: ThinData<Service>,
    names: Path<(String, String)>,
) -> Result<Json<User>, ApiError> {
    let (project, user) = names.into_inner();
    Ok(Json(users::find(service.pool(), &project, &user).await?))
}

/// Shuts a user out.
pub async fn revoke(
    admin: AdminCaller,
    service: ThinData<Service>,
    names: Path<(String, String)>,
) -> Result<Json<User>, ApiError> {
    let (project, user) = names.into_inner();
    Ok(Json(users::revoke(service.pool(), &admin.0, &project, &user, true).await?))
}

/// Lets a user in again.
pub async fn restore(
    admin: AdminCaller,
    service: ThinData<Service>,
    names: Path<(String, String)>,
) -> Result<Json<User>, ApiError> {
    let (project, user) = names.into_inner();
    Ok(Json(users::revoke(service.pool(), &admin.0, &project, &user, false).await?))
}
