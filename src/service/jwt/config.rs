//! Which tokens are believed, and what their claims mean.

use std::path::PathBuf;

use jsonwebtoken::Algorithm;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::domain::AccessRole;

/// Section `auth.jwt` of the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The `iss` that tokens must have.
    pub issuer: String,
    /// The `aud` that tokens must have, or have among others.
    pub audience: String,
    /// The algorithms that are accepted.
    pub algorithms: Vec<Accepted>,
    /// Where the issuer publishes its keys.
    pub jwks_url: String,
    /// A file that holds its keys.
    pub jwks_file: PathBuf,
    /// The secret that is shared with the issuer, for HS256.
    pub hs256_secret: SecretString,
    /// The claim that names the project; empty: all tokens are `project_default`'s.
    pub project_claim: String,
    /// The project of tokens without that claim, by id or name.
    pub project_default: String,
    /// The claim that names the user, by the project's own id.
    pub user_claim: String,
    /// The claim that names the role; empty: all tokens have `role_default`.
    pub role_claim: String,
    /// The role of tokens without that claim.
    pub role_default: AccessRole,
    /// How far the issuer's clock may differ from ours.
    pub clock_skew_ms: u32,
    /// How often the keys are read again; an unknown key has them read at once.
    pub jwks_refresh_ms: u32,
}

/// An algorithm that tokens may be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Accepted {
    /// RSA PKCS#1 v1.5 with SHA-256, of 2048 bits or more.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256.
    Hs256,
}

/// The most that clocks may differ.
const CLOCK_SKEW_MS_MAX: u32 = 300_000;

/// A key that the issuer withdrew is believed for no longer than a day.
const REFRESH_MS_MAX: u32 = 86_400_000;

/// An HMAC key shorter than its hash is weaker than it (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;

impl Accepted {
    /// The same for the library.
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Hs256 => Algorithm::HS256,
        }
    }
}

impl TryFrom<String> for Accepted {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            "EdDSA" => Ok(Self::EdDsa),
            "HS256" => Ok(Self::Hs256),
            other => Err(format!("'{other}' is not allowed, only \"RS256\", \"ES256\", \"EdDSA\" and \"HS256\" are")),
        }
    }
}

impl Config {
    /// How far clocks may differ, in whole seconds.
    pub fn clock_skew_s(&self) -> u64 {
        self.clock_skew_ms.div_ceil(1000).into()
    }

    /// Whether the issuer publishes its keys, and shares no secret with us.
    pub fn has_published_keys(&self) -> bool {
        self.hs256_secret.expose_secret().is_empty()
    }

    /// Checks what tokens need; the error names the key.
    pub fn validate(&self) -> Result<(), String> {
        let wrong = |key: &str, reason: &str| Err(format!("setting 'auth.jwt.{key}': {reason}"));
        if self.issuer.is_empty() {
            return wrong("issuer", "is needed to accept tokens: the `iss` of your issuer");
        }
        if self.audience.is_empty() {
            return wrong("audience", "is needed to accept tokens: the `aud` that your issuer makes them for");
        }
        let secret = self.hs256_secret.expose_secret();
        let sources = [!self.jwks_url.is_empty(), !self.jwks_file.as_os_str().is_empty(), !secret.is_empty()];
        if sources.into_iter().filter(|given| *given).count() != 1 {
            return wrong("jwks_url", "exactly one of jwks_url, jwks_file and hs256_secret is needed");
        }
        let takes_hmac = self.algorithms.contains(&Accepted::Hs256);
        if self.algorithms.is_empty() || (takes_hmac && self.algorithms.len() > 1) {
            return wrong("algorithms", "either [\"HS256\"] alone, or some of \"RS256\", \"ES256\" and \"EdDSA\"");
        }
        if takes_hmac == secret.is_empty() {
            return wrong("algorithms", "[\"HS256\"] goes with hs256_secret, all others with jwks_url or jwks_file");
        }
        if takes_hmac && secret.len() < SECRET_BYTES_MIN {
            return wrong("hs256_secret", "must have at least 32 bytes");
        }
        if self.clock_skew_ms > CLOCK_SKEW_MS_MAX {
            return wrong("clock_skew_ms", "must be at most 300000");
        }
        if !(1000..=REFRESH_MS_MAX).contains(&self.jwks_refresh_ms) {
            return wrong("jwks_refresh_ms", "must lie between 1000 and 86400000");
        }
        if self.user_claim.is_empty() {
            return wrong("user_claim", "must name the claim that names the user, such as \"sub\"");
        }
        if self.project_claim.is_empty() && self.project_default.is_empty() {
            return wrong("project_claim", "project_claim or project_default must be named");
        }
        Ok(())
    }
}
