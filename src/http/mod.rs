//! The wire: URLs, extractors, envelopes; every surface calls the same service functions.

mod authenticate;
mod error;
mod extract;
mod health;
mod idempotency;
mod limits;
mod openai;
mod request_id;
mod routes;
mod sse;

use std::net::SocketAddr;

use serde::Deserialize;

pub use request_id::assign as assign_request_id;
pub use routes::configure;

/// Section `server` of the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Threads that serve requests; 0 means one per core.
    pub workers: usize,
    /// The largest request body; a larger one is answered with 413.
    pub body_bytes_max: usize,
    /// How long a request body may take to arrive.
    pub body_timeout_ms: u64,
    /// How long running turns may take to end after SIGTERM or Ctrl-C.
    pub drain_ms: u64,
}
