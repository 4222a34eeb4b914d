//! Whether this process may receive traffic.

use crate::service::{Error, Service};
use crate::store;

/// Succeeds when the database answers and the process takes new work.
pub async fn ready(service: &Service) -> Result<(), Error> {
    if service.process.is_draining() {
        return Err(Error::Draining);
    }
    Ok(store::schema::ping(service.pool()).await?)
}
