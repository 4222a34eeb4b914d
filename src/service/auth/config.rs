//! Who may call.

use serde::Deserialize;

use crate::service::jwt;
use crate::upstream;

/// Section `auth` of the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which credentials are asked for.
    pub mode: Mode,
    /// How long a verified credential is trusted without asking the database again: a revoked one stops working
    /// everywhere within this time.
    pub recheck_ms: u32,
    /// How many credentials, and how many users, a process remembers at most.
    pub remembered_max: usize,
    /// How many failed credentials one address may show in a minute; 0 sets no limit.
    pub failures_per_minute: u32,
    /// Tokens of the customer's issuer.
    pub jwt: jwt::Config,
}

/// Which credentials are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Mode {
    /// None on a loopback address; no start on any other.
    Auto,
    /// None on any address.
    Open,
    /// Keys of ours.
    Keys,
    /// Tokens of the customer's issuer.
    Jwt,
    /// Either.
    KeysAndJwt,
}

impl Mode {
    /// Whether everybody may come in.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Auto | Self::Open)
    }

    /// Whether our keys are credentials.
    pub const fn takes_keys(self) -> bool {
        matches!(self, Self::Keys | Self::KeysAndJwt)
    }

    /// Whether tokens are credentials.
    pub const fn takes_tokens(self) -> bool {
        matches!(self, Self::Jwt | Self::KeysAndJwt)
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "open" => Ok(Self::Open),
            "keys" => Ok(Self::Keys),
            "jwt" => Ok(Self::Jwt),
            "keys+jwt" => Ok(Self::KeysAndJwt),
            other => Err(format!(
                "'{other}' is not allowed, only \"auto\", \"open\", \"keys\", \"jwt\" and \"keys+jwt\" are"
            )),
        }
    }
}

impl Config {
    /// Checks what the types do not; the error names the key.
    pub fn validate(&self) -> Result<(), String> {
        if self.recheck_ms == 0 || self.recheck_ms > 60_000 {
            return Err("setting 'auth.recheck_ms': must lie between 1 and 60000".into());
        }
        if self.remembered_max == 0 {
            return Err("setting 'auth.remembered_max': must be greater than 0".into());
        }
        if self.mode.takes_tokens() {
            self.jwt.validate()?;
            if !self.jwt.jwks_url.is_empty() {
                upstream::jwks_address(&self.jwt.jwks_url).map_err(|error| format!("setting {error}"))?;
            }
        }
        Ok(())
    }
}
