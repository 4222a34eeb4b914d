//! `/admin/projects/{project}/threads`.

use actix_web::web::{Json, Path, Query, ThinData};
use serde::Deserialize;

use crate::domain::{AgentRef, Piece, ThreadId};
use crate::http::admin::query::{self, Limit, PageQuery};
use crate::http::error::ApiError;
use crate::http::extract::AdminCaller;
use crate::service::Service;
use crate::service::threads::{self, Filter, Message, Thread};

/// Which threads are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    agent: Option<AgentRef>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    after: Option<String>,
}

/// Lists a project's threads, newest first.
pub async fn list(
    admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
    query: Query<Listing>,
) -> Result<Json<Piece<Thread>>, ApiError> {
    let Listing { user, agent, limit, after } = query.into_inner();
    let (filter, page) = (Filter { user, agent }, query::page(limit, after));
    query::answer(&page, threads::list(service.pool(), &admin.0, &project, &filter, &page).await?)
}

/// Shows one thread, without what was said.
pub async fn show(
    _admin: AdminCaller,
    service: ThinData<Service>,
    names: Path<(String, ThreadId)>,
) -> Result<Json<Thread>, ApiError> {
    let (project, thread_id) = names.into_inner();
    Ok(Json(threads::find(service.pool(), &project, &thread_id).await?))
}

/// Reads what was said, newest first; the audit remembers who did.
pub async fn messages(
    admin: AdminCaller,
    service: ThinData<Service>,
    names: Path<(String, ThreadId)>,
    query: Query<PageQuery>,
) -> Result<Json<Piece<Message>>, ApiError> {
    let ((project, thread_id), page) = (names.into_inner(), query.into_inner().page());
    query::answer(&page, threads::read(service.pool(), &admin.0, &project, &thread_id, &page).await?)
}
