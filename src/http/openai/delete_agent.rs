//! `POST /openai/delete_agent`.

use actix_web::HttpResponse;
use actix_web::web::ThinData;
use serde::{Deserialize, Serialize};

use crate::domain::{AgentRef, Caller};
use crate::http::error::ApiError;
use crate::http::extract::ValidJson;
use crate::http::idempotency;
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
    request: ValidJson<Request>,
) -> Result<HttpResponse, ApiError> {
    let ValidJson { body, key } = request;
    let deleted = service::delete_agent::delete_agent(&service, &caller, key.as_ref(), body.agent_id).await?;
    Ok(idempotency::answer(deleted, |agent_id| Response { message: format!("Agent {agent_id} deleted.") }))
}
