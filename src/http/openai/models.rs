//! `GET /openai/get_models`.

use actix_web::web::{Json, ThinData};
use serde::Serialize;

use crate::domain::Caller;
use crate::http::error::ApiError;
use crate::service::{self, Service};

/// The provider's model ids, in the provider's order.
#[derive(Debug, Serialize)]
pub struct Models {
    models: Vec<String>,
}

/// Answers `{"models": ["…", …]}`.
pub async fn get_models(service: ThinData<Service>, _caller: Caller) -> Result<Json<Models>, ApiError> {
    let models = service::models::models(&service).await?;
    Ok(Json(Models { models }))
}
