//! The wire: URLs, extractors, envelopes; every surface calls the same service functions.

mod access_log;
mod address;
mod admin;
mod attempts;
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
use std::path::PathBuf;

use actix_cors::Cors;
use actix_web::middleware::DefaultHeaders;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

pub use access_log::write as write_access_log;
pub use admin::query::{paths as path_errors, queries as query_errors};
pub use attempts::Attempts;
pub use request_id::assign as assign_request_id;
pub use routes::configure;

/// Section `server` of the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the service listens.
    #[serde(deserialize_with = "address_of_a_server")]
    pub listen: SocketAddr,
    /// Threads that serve requests; 0 means one per core.
    pub workers: usize,
    /// The largest request body; a larger one is answered with 413.
    pub body_bytes_max: usize,
    /// How long a request's head may take to arrive.
    pub head_timeout_ms: u64,
    /// How long a connection may be silent between two requests.
    pub keep_alive_ms: u64,
    /// The most connections of each worker; further ones wait to be accepted.
    pub connections_max: usize,
    /// The proxies that are believed about whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
    /// The web pages that may call from a browser, as origins; `*` alone: all.
    pub cors_origins: Vec<String>,
    /// The certificate's chain in PEM; empty: no TLS.
    pub tls_certificate: PathBuf,
    /// The certificate's key in PEM.
    pub tls_key: PathBuf,
    /// Whether each request is written to the log.
    pub access_log: bool,
    /// How long a request body may take to arrive.
    pub body_timeout_ms: u64,
    /// How long running turns may take to end after SIGTERM or Ctrl-C.
    pub drain_ms: u64,
}

fn address_of_a_server<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let sentence = format!("'{text}' is no address and port such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080");
        serde::de::Error::custom(sentence)
    })
}

/// Headers of our own that pages may send, and those that they may read.
const SENT: [&str; 5] = ["authorization", "content-type", "idempotency-key", "threadkeep-user", "x-request-id"];
const SHOWN: [&str; 10] = [
    "idempotent-replayed",
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-request-id",
];

/// How long a browser remembers what pages may do, in seconds.
const CORS_MAX_AGE_S: usize = 600;

impl Config {
    /// Checks what the types do not; the error names the key.
    pub fn validate(&self) -> Result<(), String> {
        let is_origin = |origin: &String| {
            let scheme_and_host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            scheme_and_host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']))
        };
        let all = self.cors_origins.iter().any(|origin| origin == "*");
        if all && self.cors_origins.len() > 1 || !all && !self.cors_origins.iter().all(is_origin) {
            return Err(
                "setting 'server.cors_origins': origins such as \"https://app.example.com\", or \"*\" alone".into()
            );
        }
        for (key, is_zero) in [
            ("body_bytes_max", self.body_bytes_max == 0),
            ("head_timeout_ms", self.head_timeout_ms == 0),
            ("body_timeout_ms", self.body_timeout_ms == 0),
            ("connections_max", self.connections_max == 0),
        ] {
            if is_zero {
                return Err(format!("setting 'server.{key}': must be greater than 0"));
            }
        }
        Ok(())
    }

    /// Whether a certificate is configured.
    pub fn speaks_tls(&self) -> bool {
        !self.tls_certificate.as_os_str().is_empty()
    }

    /// What browsers are told of pages that call from elsewhere.
    pub fn cors(&self) -> Cors {
        let cors = Cors::default()
            .allowed_methods(["GET", "POST", "DELETE"])
            .allowed_headers(SENT)
            .expose_headers(SHOWN)
            .max_age(CORS_MAX_AGE_S);
        if self.cors_origins.iter().any(|origin| origin == "*") {
            return cors.allow_any_origin();
        }
        self.cors_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
    }

    /// What every answer says to whatever shows or stores it.
    pub fn headers(&self) -> DefaultHeaders {
        let headers = DefaultHeaders::new()
            .add(("cache-control", "no-store"))
            .add(("content-security-policy", "default-src 'none'; frame-ancestors 'none'"))
            .add(("referrer-policy", "no-referrer"))
            .add(("x-content-type-options", "nosniff"));
        if !self.speaks_tls() {
            return headers;
        }
        headers.add(("strict-transport-security", "max-age=31536000"))
    }
}
