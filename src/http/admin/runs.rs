//! `/admin/projects/{project}/runs`.

use actix_web::web::{Json, Path, Query, ThinData};
use serde::Deserialize;

use crate::domain::{Piece, RunId, RunStatus, ThreadId};
use crate::http::admin::query::{self, Limit};
use crate::http::error::ApiError;
use crate::http::extract::AdminCaller;
use crate::service::Service;
use crate::service::runs::{self, Filter, Run};

/// Which runs are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    #[serde(default)]
    thread: Option<ThreadId>,
    #[serde(default)]
    status: Option<RunStatus>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    after: Option<String>,
}

/// Lists a project's runs, newest first.
pub async fn list(
    _admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
    query: Query<Listing>,
) -> Result<Json<Piece<Run>>, ApiError> {
    let Listing { thread, status, limit, after } = query.into_inner();
    let (filter, page) = (Filter { run_id: None, thread_id: thread, status }, query::page(limit, after));
    query::answer(&page, runs::list(service.pool(), &project, &filter, &page).await?)
}

/// Shows one run.
pub async fn show(
    _admin: AdminCaller,
    service: ThinData<Service>,
    names: Path<(String, RunId)>,
) -> Result<Json<Run>, ApiError> {
    let (project, run_id) = names.into_inner();
    Ok(Json(runs::find(service.pool(), &project, run_id).await?))
}
