//! `POST /openai/initialize`.

use actix_web::web::{Json, ThinData};
use serde::{Deserialize, Serialize};

use crate::domain::{AgentId, AgentRef, Caller, ThreadId};
use crate::http::error::ApiError;
use crate::http::extract::ValidJson;
use crate::service::{self, Service};

/// What is asked.
#[derive(Debug, Deserialize)]
pub struct Request {
    agent_id: AgentRef,
}

/// What is answered.
#[derive(Debug, Serialize)]
pub struct Response {
    message: &'static str,
    thread_id: ThreadId,
    agent_id: AgentId,
}

/// Begins a thread with an agent, which is named by id or by unique name; 404 when there is none.
pub async fn initialize(
    service: ThinData<Service>,
    caller: Caller,
    ValidJson(request): ValidJson<Request>,
) -> Result<Json<Response>, ApiError> {
    let initialized = service::initialize::initialize(&service, &caller, request.agent_id).await;
    let initialized = initialized.map_err(ApiError::or_not_found)?;
    Ok(Json(Response { message: "Thread created.", thread_id: initialized.thread_id, agent_id: initialized.agent_id }))
}
