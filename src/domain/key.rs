//! Idempotency: what names one act of one caller.

/// A caller's key for one act, together with what the act is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose keys these are; the same text from another caller is another key.
    pub scope: String,
    /// The key as it is stored: `key:` and the caller's own text, or `blind:`, the fingerprint and a unique part.
    pub key: String,
    /// For a retry that brings no key: the beginning that all keys of this act share, newest first.
    pub family: Option<String>,
    /// The SHA-256 of route and body, in hex.
    pub fingerprint: String,
    /// How long the key is remembered.
    pub keep_ms: i64,
}
