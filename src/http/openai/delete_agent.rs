//! `POST /openai/delete_agent`.

use actix_web::web::{Json, ThinData};
use serde::{Deserialize, Serialize};

use crate::domain::{AgentRef, Caller};
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
    message: String,
}

/// Tombstones an agent; its threads stay readable in the database.
pub async fn delete_agent(
    service: ThinData<Service>,
    caller: Caller,
    ValidJson(request): ValidJson<Request>,
) -> Result<Json<Response>, ApiError> {
    let agent_id = service::delete_agent::delete_agent(&service, &caller, request.agent_id).await?;
    Ok(Json(Response { message: format!("Agent {agent_id} deleted.") }))
}
