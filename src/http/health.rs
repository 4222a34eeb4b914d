//! Alive, and may receive traffic.

use actix_web::web::{Json, ThinData};
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::service::{self, Service};

/// `GET /healthz`: the process serves requests; says nothing of the database.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: 200 when the database answers, 503 otherwise.
pub async fn readyz(service: ThinData<Service>) -> Result<Json<Value>, ApiError> {
    service::health::ready(&service).await?;
    Ok(Json(json!({ "status": "ready" })))
}
