//! Section `upstream` of the settings, and what makes it usable.

use std::io;

use awc::http::Uri;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// The provider and the limits of every call to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The wire that the provider speaks.
    pub driver: DriverKind,
    /// Where the provider's API begins, such as `https://api.openai.com/v1`; a trailing slash does no harm.
    pub base_url: String,
    /// Sent as a bearer token; empty: no `Authorization` header is sent.
    pub api_key: SecretString,
    /// How long resolving and connecting may take, and once more as long the TLS handshake.
    pub connect_timeout_ms: u64,
    /// From the request's start, connecting included, to the head of the response.
    pub first_byte_timeout_ms: u64,
    /// The longest silence within a response.
    pub idle_timeout_ms: u64,
    /// The whole call: the wait in line, all attempts, the waits between them, and the response to its end.
    pub deadline_ms: u64,
    /// The most bytes that one response may have.
    pub response_bytes_max: usize,
    /// The most connections that each worker opens; an HTTP/1.1 stream occupies one as long as it lasts.
    pub connections_max: usize,
    /// How often a call is repeated that was certainly not executed; 0: never.
    pub retries_max: u32,
    /// After how many attempts in a row that speak of a provider in trouble none is made for a while; 0: never.
    pub breaker_failures: u32,
    /// How long that while is, after which one call probes the provider.
    pub breaker_open_ms: u64,
    /// The most calls that the process has in flight.
    pub calls_max: usize,
    /// The most calls that wait for one of those to end; 0: none waits.
    pub calls_queued_max: usize,
}

/// The closed set of wires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum DriverKind {
    /// OpenAI's `/v1/responses`: `"responses"`.
    Responses,
}

/// Why a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of its range; never holds the value of a secret.
    #[error("{setting}: {reason}")]
    Setting {
        /// The setting's full name, such as `upstream.base_url`.
        setting: &'static str,
        /// What it must be.
        reason: &'static str,
    },
    /// The system's certificate authorities cannot be read.
    #[error("the system's root certificates cannot be read (package ca-certificates, or SSL_CERT_FILE)")]
    Roots(#[source] io::Error),
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// The longest time limit, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// No process has more sockets.
const CONNECTIONS_MAX: usize = 1_000_000;

/// No more calls are in flight or in line.
const CALLS_MAX: usize = 1_000_000;

impl TryFrom<String> for DriverKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "responses" => Ok(Self::Responses),
            other => Err(format!("'{other}' is not allowed, only \"responses\" is")),
        }
    }
}

impl Config {
    /// Checks every field; the error names the setting.
    pub fn validate(&self) -> Result<(), Error> {
        self.base()?;
        let limits_ms = [
            ("upstream.connect_timeout_ms", self.connect_timeout_ms),
            ("upstream.first_byte_timeout_ms", self.first_byte_timeout_ms),
            ("upstream.idle_timeout_ms", self.idle_timeout_ms),
            ("upstream.deadline_ms", self.deadline_ms),
            ("upstream.breaker_open_ms", self.breaker_open_ms),
        ];
        if let Some((setting, _)) = limits_ms.into_iter().find(|(_, limit_ms)| !(1..=DAY_MS).contains(limit_ms)) {
            return Err(Error::Setting { setting, reason: "must lie between 1 and 86,400,000 (a day)" });
        }
        if self.response_bytes_max == 0 {
            return Err(Error::Setting { setting: "upstream.response_bytes_max", reason: "must be greater than 0" });
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections_max) {
            let reason = "must lie between 1 and 1,000,000";
            return Err(Error::Setting { setting: "upstream.connections_max", reason });
        }
        if !(1..=CALLS_MAX).contains(&self.calls_max) {
            return Err(Error::Setting { setting: "upstream.calls_max", reason: "must lie between 1 and 1,000,000" });
        }
        if self.calls_queued_max > CALLS_MAX {
            let reason = "must lie between 0 and 1,000,000";
            return Err(Error::Setting { setting: "upstream.calls_queued_max", reason });
        }
        let key = self.api_key.expose_secret();
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let reason = "must consist of visible ASCII characters (is there a line break or a space in it?)";
            return Err(Error::Setting { setting: "upstream.api_key", reason });
        }
        Ok(())
    }

    /// The base URL in its parts, without a trailing slash in its path.
    pub(super) fn base(&self) -> Result<Uri, Error> {
        let fail = |reason| Error::Setting { setting: "upstream.base_url", reason };
        let uri: Uri =
            self.base_url.trim_end_matches('/').parse().map_err(|_| fail("must be a URL such as https://host/v1"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(fail("must begin with http:// or https://"));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(fail("must not hold credentials; set upstream.api_key"));
        }
        if uri.host().unwrap_or_default().is_empty() {
            return Err(fail("must name a host"));
        }
        if uri.query().is_some() {
            return Err(fail("must not have a query"));
        }
        Ok(uri)
    }
}
