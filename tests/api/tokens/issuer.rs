//! An issuer: key pairs of every kind, signatures by `ring`, and the document that names the public keys.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::web::{Data, get};
use actix_web::{App, HttpResponse, HttpServer};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use ring::{hmac, signature};
use serde_json::{Value, json};

/// A private RSA key of this test's own, since `ring` makes none.
const RSA: &[u8] = include_bytes!("rsa.pk8");

/// A key pair of the issuer.
pub struct Pair {
    pub algorithm: &'static str,
    pub public: Vec<u8>,
    jwk: Value,
    private: Private,
}

enum Private {
    Rsa(Box<signature::RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// Publishes keys at an address.
pub struct Issuer {
    pub url: String,
    published: Arc<Published>,
}

#[derive(Default)]
struct Published {
    document: Mutex<String>,
    reads: AtomicUsize,
    is_away: AtomicBool,
}

impl Pair {
    pub fn rs256(id: &str) -> Self {
        let private = signature::RsaKeyPair::from_pkcs8(RSA).unwrap();
        let parts: rsa::PublicKeyComponents<Vec<u8>> = private.public().into();
        let jwk = json!({ "kty": "RSA", "kid": id, "alg": "RS256", "use": "sig", "n": base64(&parts.n),
                          "e": base64(&parts.e) });
        let public = private.public().as_ref().to_vec();
        Self { algorithm: "RS256", public, jwk, private: Private::Rsa(Box::new(private)) }
    }

    pub fn es256(id: &str) -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let private =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &SystemRandom::new())
                .unwrap();
        let public = private.public_key().as_ref().to_vec();
        let jwk = json!({ "kty": "EC", "kid": id, "crv": "P-256", "x": base64(&public[1..33]),
                          "y": base64(&public[33..]) });
        Self { algorithm: "ES256", public, jwk, private: Private::Ec(private) }
    }

    pub fn eddsa(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let private = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let public = private.public_key().as_ref().to_vec();
        let jwk = json!({ "kty": "OKP", "kid": id, "crv": "Ed25519", "x": base64(&public) });
        Self { algorithm: "EdDSA", public, jwk, private: Private::Ed(private) }
    }

    /// A token that says which key signed it.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.jwk["kid"] }), claims)
    }

    /// A token with any header.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = match &self.private {
            Private::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Private::Ec(key) => key.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
            Private::Ed(key) => key.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", base64(&signature))
    }
}

impl Issuer {
    /// Publishes the public halves.
    pub fn start(pairs: &[Pair]) -> Self {
        let published: Arc<Published> = Arc::default();
        let shared = Data::from(published.clone());
        let server = HttpServer::new(move || App::new().app_data(shared.clone()).route("/jwks", get().to(answer)))
            .workers(1)
            .bind(("127.0.0.1", 0))
            .unwrap();
        let url = format!("http://{}/jwks", server.addrs()[0]);
        actix_rt::spawn(server.run());
        let issuer = Self { url, published };
        issuer.publish(pairs);
        issuer
    }

    /// Publishes these instead, and is there again.
    pub fn publish(&self, pairs: &[Pair]) {
        let strange = json!({ "kty": "oct", "kid": "strange", "k": "c2VjcmV0" });
        let keys: Vec<&Value> = pairs.iter().map(|pair| &pair.jwk).chain([&strange]).collect();
        *self.published.document.lock().unwrap() = json!({ "keys": keys }).to_string();
        self.published.is_away.store(false, Ordering::Relaxed);
    }

    /// Answers nothing but errors.
    pub fn go_away(&self) {
        self.published.is_away.store(true, Ordering::Relaxed);
    }

    /// How often it was asked.
    pub fn reads(&self) -> usize {
        self.published.reads.load(Ordering::Relaxed)
    }
}

async fn answer(published: Data<Published>) -> HttpResponse {
    published.reads.fetch_add(1, Ordering::Relaxed);
    if published.is_away.load(Ordering::Relaxed) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::Ok().content_type("application/json").body(published.document.lock().unwrap().clone())
}

/// What a good token claims.
pub fn claims() -> Value {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    json!({ "iss": "https://issuer.test", "aud": "threadkeep", "sub": "ann", "exp": now + 60, "iat": now })
}

/// A token that is signed with a shared secret.
pub fn hs256(secret: &[u8], algorithm: &str, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(&json!({ "alg": algorithm })), encoded(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64(tag.as_ref()))
}

/// A part of a token.
pub fn encoded(part: &Value) -> String {
    base64(part.to_string().as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
