//! `/admin/projects/{project}/agents`.

use actix_web::web::{Json, Path, Query, ThinData};
use serde::{Deserialize, Serialize};

use crate::domain::{AgentConfig, AgentName, AgentRef, Label};
use crate::http::error::ApiError;
use crate::http::extract::{AdminCaller, ValidJson};
use crate::service::agents::{self, Agent, Definition, Version};
use crate::service::{Service, projects};

/// An agent that is wanted, as an agent file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    name: AgentName,
    /// The one user whose it shall be, by the project's own id; none: the project shares it.
    #[serde(default)]
    user: Option<Label>,
    config: AgentConfig,
}

/// All of something.
#[derive(Debug, Serialize)]
pub struct All<T> {
    data: Vec<T>,
}

/// What the path names.
type Names = Path<(String, AgentRef)>;

/// No parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Lists the project's living agents by name.
pub async fn list(
    admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
    _query: Query<Nothing>,
) -> Result<Json<All<Agent>>, ApiError> {
    let caller = projects::enter(service.pool(), &admin.0, &project).await?;
    Ok(Json(All { data: agents::list(service.pool(), &caller).await.map_err(crate::service::Error::from)? }))
}

/// Creates an agent, gives it a new version, or finds it equal.
pub async fn apply(
    admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
    wanted: ValidJson<Wanted>,
) -> Result<Json<Agent>, ApiError> {
    let Wanted { name, user, config } = wanted.body;
    let definition = Definition { name, config };
    Ok(Json(agents::apply_for(service.pool(), &admin.0, &project, user.as_ref(), &definition).await?))
}

/// Shows a living agent, by id or by the name of a shared one.
pub async fn show(admin: AdminCaller, service: ThinData<Service>, names: Names) -> Result<Json<Agent>, ApiError> {
    let (project, agent) = names.into_inner();
    Ok(Json(agents::show(service.pool(), &admin.0, &project, &agent).await?))
}

/// Lists every version of an agent, newest first.
pub async fn versions(
    admin: AdminCaller,
    service: ThinData<Service>,
    names: Names,
) -> Result<Json<All<Version>>, ApiError> {
    let (project, agent) = names.into_inner();
    Ok(Json(All { data: agents::versions(service.pool(), &admin.0, &project, &agent).await? }))
}

/// Tombstones an agent; its threads stay readable.
pub async fn delete(admin: AdminCaller, service: ThinData<Service>, names: Names) -> Result<Json<Agent>, ApiError> {
    let (project, agent) = names.into_inner();
    Ok(Json(agents::delete(service.pool(), &admin.0, &project, &agent).await?))
}
