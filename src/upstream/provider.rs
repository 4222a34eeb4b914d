//! What is decided once per process about the provider and shared by every worker: addresses, key, TLS, breaker, slots.

use std::sync::Arc;
use std::time::Duration;

use actix_tls::connect::rustls_0_23::native_roots_cert_store;
use awc::http::Uri;
use awc::http::header::HeaderValue;
use rustls::ClientConfig;
use rustls::crypto::ring;
use secrecy::{ExposeSecret, SecretString};

use super::breaker::Breaker;
use super::config::{Config, DriverKind, Error};
use super::deadline::Limit;
use super::slots::Slots;

/// A configured provider; cheap to clone into each worker.
#[derive(Clone)]
pub struct Provider(Arc<Parts>);

struct Parts {
    config: Config,
    responses: Uri,
    models: Uri,
    authorization: Option<HeaderValue>,
    tls: Option<Arc<ClientConfig>>,
    breaker: Breaker,
    slots: Slots,
}

impl Provider {
    /// Checks the configuration and, for `https`, reads the system's root certificates.
    pub fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let base = config.base()?;
        let tls = match base.scheme_str() {
            Some("https") => Some(Arc::new(tls()?)),
            _ => None,
        };
        Ok(Self(Arc::new(Parts {
            responses: below(&base, "/responses")?,
            models: below(&base, "/models")?,
            authorization: bearer(&config.api_key)?,
            breaker: Breaker::new(config.breaker_failures, Duration::from_millis(config.breaker_open_ms)),
            slots: Slots::new(config.calls_max, config.calls_queued_max),
            config: config.clone(),
            tls,
        })))
    }

    pub(super) fn driver(&self) -> DriverKind {
        self.0.config.driver
    }

    pub(super) fn responses(&self) -> &Uri {
        &self.0.responses
    }

    pub(super) fn models(&self) -> &Uri {
        &self.0.models
    }

    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.0.authorization.as_ref()
    }

    pub(super) fn tls(&self) -> Option<&Arc<ClientConfig>> {
        self.0.tls.as_ref()
    }

    pub(super) fn breaker(&self) -> &Breaker {
        &self.0.breaker
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.0.slots
    }

    /// The key itself, for nothing but removing it from texts of others.
    pub(super) fn key(&self) -> Option<&str> {
        Some(self.0.config.api_key.expose_secret()).filter(|key| !key.is_empty())
    }

    pub(super) fn connections_max(&self) -> usize {
        self.0.config.connections_max
    }

    pub(super) fn response_bytes_max(&self) -> usize {
        self.0.config.response_bytes_max
    }

    pub(super) fn retries_max(&self) -> u32 {
        self.0.config.retries_max
    }

    pub(super) fn duration(&self, limit: Limit) -> Duration {
        let config = &self.0.config;
        Duration::from_millis(match limit {
            Limit::Connect => config.connect_timeout_ms,
            Limit::FirstByte => config.first_byte_timeout_ms,
            Limit::Idle => config.idle_timeout_ms,
            Limit::Deadline => config.deadline_ms,
        })
    }
}

/// The address of a route below the base URL.
fn below(base: &Uri, route: &str) -> Result<Uri, Error> {
    let address = format!("{}{route}", base.to_string().trim_end_matches('/'));
    address.parse().map_err(|_| Error::Setting { setting: "upstream.base_url", reason: "is too long" })
}

fn bearer(key: &SecretString) -> Result<Option<HeaderValue>, Error> {
    if key.expose_secret().is_empty() {
        return Ok(None);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
        .map_err(|_| Error::Setting { setting: "upstream.api_key", reason: "cannot be sent in a header" })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Names its crypto provider itself, so that nothing depends on a process-wide default.
pub(super) fn tls() -> Result<ClientConfig, Error> {
    let roots = native_roots_cert_store().map_err(Error::Roots)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
