//! Whether this process may receive traffic.

use crate::service::{Error, Service};
use crate::store;

/// Succeeds when the database answers.
pub async fn ready(service: &Service) -> Result<(), Error> {
    Ok(store::schema::ping(service.pool()).await?)
}
