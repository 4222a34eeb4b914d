//! `POST /openai/cancel`, an addition to the four routes.

use actix_web::HttpResponse;
use actix_web::web::ThinData;
use serde::{Deserialize, Serialize};

use crate::domain::{Caller, RunId, RunStatus, ThreadId};
use crate::http::error::ApiError;
use crate::http::extract::ValidJson;
use crate::http::idempotency;
use crate::service::{self, Service};

/// What is asked.
#[derive(Debug, Deserialize)]
pub struct Request {
    thread_id: ThreadId,
}

/// What is answered.
#[derive(Debug, Serialize)]
pub struct Response {
    message: &'static str,
    run_id: RunId,
    status: RunStatus,
}

/// Ends the thread's running turn and answers when it has ended; `status` says what the run came to.
pub async fn cancel(
    service: ThinData<Service>,
    caller: Caller,
    request: ValidJson<Request>,
) -> Result<HttpResponse, ApiError> {
    let ValidJson { body, key } = request;
    let ended = service::cancel::cancel(&service, &caller, key.as_ref(), body.thread_id).await?;
    Ok(idempotency::answer(ended, |ended| Response {
        message: "The turn has ended.",
        run_id: ended.run_id,
        status: ended.status,
    }))
}
