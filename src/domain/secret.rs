//! API keys as their owners hold them: a secret that is shown once, and what is kept of it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

/// `tk_` and 43 characters of base64url: 256 random bits.
#[derive(Debug, Clone)]
pub struct KeySecret(SecretString);

/// The SHA-256 of a secret, which is all that is kept of it; of a random secret it needs no salt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

/// How every key begins, so that people and secret scanners recognise one.
const PREFIX: &str = "tk_";

/// How many characters stay visible after that.
const VISIBLE_CHARS: usize = 6;

/// The length of a whole key.
const LENGTH: usize = PREFIX.len() + 43;

impl KeySecret {
    /// A new secret from the system's source of randomness; an error when it has none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits)).into()))
    }

    /// The key itself; for the one time that it is shown.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The beginning by which people recognise a key, such as `tk_AbC123`.
    pub fn visible(&self) -> &str {
        self.expose().get(..PREFIX.len() + VISIBLE_CHARS).unwrap_or_default()
    }

    /// What is kept.
    pub fn digest(&self) -> KeyDigest {
        digest(self.expose())
    }
}

impl KeyDigest {
    /// The digest of what somebody shows as a key; nothing when it cannot be one.
    pub fn of(shown: &str) -> Option<Self> {
        let is_key = shown.len() == LENGTH && shown.starts_with(PREFIX);
        is_key.then(|| digest(shown))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KeyDigest(…)")
    }
}

fn digest(text: &str) -> KeyDigest {
    KeyDigest(Sha256::digest(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_by_its_digest_alone() {
        let (one, other) = (KeySecret::generate().unwrap(), KeySecret::generate().unwrap());
        assert_eq!(KeyDigest::of(one.expose()), Some(one.digest()));
        assert_ne!(one.digest(), other.digest());
        assert_eq!(one.expose().len(), LENGTH);
        assert!(one.expose().starts_with(one.visible()));
    }

    #[test]
    fn what_cannot_be_a_key_has_no_digest() {
        for shown in ["", "tk_", "tk_short", "sk-1234567890123456789012345678901234567890123"] {
            assert!(KeyDigest::of(shown).is_none(), "{shown}");
        }
    }

    #[test]
    fn printing_a_secret_shows_nothing_of_it() {
        let secret = KeySecret::generate().unwrap();
        let shown = format!("{secret:?} {:?}", secret.digest());
        assert!(!shown.contains(&secret.expose()[3..]), "{shown}");
    }
}
