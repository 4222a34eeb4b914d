//! The provider's models.

use crate::service::{Error, Service};

/// Model ids in the provider's order.
pub async fn models(service: &Service) -> Result<Vec<String>, Error> {
    Ok(service.upstream.models().await?)
}
