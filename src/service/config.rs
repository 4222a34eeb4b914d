//! How turns behave.

use serde::Deserialize;

use crate::domain::OnBusy;

/// Section `turns` of the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long a run belongs to the replica that executes it, from each renewal on.
    pub lease_ms: u32,
    /// How often abandoned runs are looked for.
    pub sweep_ms: u32,
    /// How often a replica looks whether something changed that it waits for.
    pub poll_ms: u32,
    /// What a message does that finds its thread busy.
    pub on_busy: OnBusy,
    /// How long a message stands in line, and how long a retry waits for the turn it repeats.
    pub wait_ms: u32,
    /// Whether a run that was interrupted is tried once more, when it has no tools.
    pub retry_interrupted: bool,
    /// How long an `Idempotency-Key` is remembered.
    pub key_keep_ms: u32,
    /// How long after a request its blind retry by an SDK is recognised; 0 switches that off.
    pub blind_retry_ms: u32,
}

impl Config {
    /// Checks what the types do not; the error names the key.
    pub fn validate(&self) -> Result<(), String> {
        for (key, value) in [
            ("lease_ms", self.lease_ms),
            ("sweep_ms", self.sweep_ms),
            ("poll_ms", self.poll_ms),
            ("key_keep_ms", self.key_keep_ms),
        ] {
            if value == 0 {
                return Err(format!("setting 'turns.{key}': must be greater than 0"));
            }
        }
        Ok(())
    }
}
