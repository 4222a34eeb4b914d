//! `POST /openai/initialize`.

use actix_web::HttpResponse;
use actix_web::web::ThinData;
use serde::{Deserialize, Serialize};

use crate::domain::{AgentId, AgentRef, Caller, ThreadId};
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
    message: &'static str,
    thread_id: ThreadId,
    agent_id: AgentId,
}

/// Begins a thread with an agent, which is named by id or by unique name; 404 when there is none.
pub async fn initialize(
    service: ThinData<Service>,
    caller: Caller,
    request: ValidJson<Request>,
) -> Result<HttpResponse, ApiError> {
    let ValidJson { body, key } = request;
    let initialized = service::initialize::initialize(&service, &caller, key.as_ref(), body.agent_id).await;
    let initialized = initialized.map_err(ApiError::or_not_found)?;
    Ok(idempotency::answer(initialized, |thread| Response {
        message: "Thread created.",
        thread_id: thread.thread_id,
        agent_id: thread.agent_id,
    }))
}
