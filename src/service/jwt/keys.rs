//! The issuer's keys, as a JWKS document names them (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The keys that tokens may be signed with, each for one algorithm.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The most keys that are looked at.
const KEYS_MAX: usize = 100;

impl KeySet {
    /// The set of one shared secret.
    pub fn of_secret(secret: &str) -> Self {
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        Self { keys: vec![Key { id: None, algorithm: Algorithm::HS256, decoding }] }
    }

    /// Reads a document; keys that cannot be used here are left out, and how many is answered, too.
    pub fn parse(document: &[u8]) -> Result<(Self, usize), serde_json::Error> {
        let document: Document = serde_json::from_slice(document)?;
        let total = document.keys.len();
        let jwks = document.keys.into_iter().take(KEYS_MAX).filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<Key> = jwks.filter_map(|jwk| key(&jwk)).collect();
        let left_out = total - keys.len();
        Ok((Self { keys }, left_out))
    }

    /// The key for a token: the one of this id, or, where the token names none, the only one of its algorithm.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm && (key.id.is_none() || id.is_none() || key.id.as_deref() == id));
        match (fitting.next(), fitting.next(), id) {
            (Some(key), None, _) => Some(&key.decoding),
            (Some(_), Some(_), Some(id)) => {
                let named = self.keys.iter().find(|key| key.algorithm == algorithm && key.id.as_deref() == Some(id));
                named.map(|key| &key.decoding)
            }
            _ => None,
        }
    }
}

/// A key that verifies one of our algorithms, never a symmetric one: a published secret is none.
fn key(jwk: &Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(params) if is_strong(&params.n) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(params) if params.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(params) if params.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let verifies = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
    if !jwk.common.key_operations.as_ref().is_none_or(verifies) {
        return None;
    }
    let fits = match jwk.common.key_algorithm {
        None => true,
        Some(KeyAlgorithm::RS256) => algorithm == Algorithm::RS256,
        Some(KeyAlgorithm::ES256) => algorithm == Algorithm::ES256,
        Some(KeyAlgorithm::EdDSA) => algorithm == Algorithm::EdDSA,
        Some(_) => false,
    };
    if !fits {
        return None;
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { id: jwk.common.key_id.clone(), algorithm, decoding })
}

/// Whether a modulus has 2048 bits or more, which base64 writes in 342 characters.
fn is_strong(modulus: &str) -> bool {
    modulus.trim_end_matches('=').trim_start_matches('A').len() >= 341
}
