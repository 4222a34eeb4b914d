//! Keys under which a request may be repeated: `Idempotency-Key`, and what blind retries of an SDK show of themselves.

use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::IdempotencyKey;
use crate::http::error::ApiError;
use crate::http::extract::caller;
use crate::service::Service;
use crate::service::idempotency::Once;

/// What a request's head says of its key; the body is not known yet.
#[derive(Debug)]
pub struct KeyClaim {
    scope: String,
    route: String,
    kind: Kind,
    keep_ms: i64,
}

#[derive(Debug)]
enum Kind {
    /// The caller's own key.
    Given(String),
    /// An SDK that counts its attempts; a later one repeats the newest request of the same body.
    Blind { is_retry: bool },
}

/// The header of a caller's own key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How OpenAI's SDKs count their attempts, from 0.
const RETRY_COUNT: &str = "x-stainless-retry-count";

/// The header on an answer that an earlier request with the same key had already.
pub const REPLAYED: (&str, &str) = ("idempotent-replayed", "true");

/// Where blind retries are recognised: the thread is part of the body there, so that two users' requests differ.
const BLIND_ROUTE: &str = "/openai/chat";

/// The longest key.
const LENGTH_MAX: usize = 255;

impl KeyClaim {
    /// Reads a request's head; nothing when the request may not be repeated.
    pub fn read(request: &HttpRequest) -> Result<Option<Self>, ApiError> {
        let Some(config) = request.app_data::<ThinData<Service>>().map(|service| service.config()) else {
            return Ok(None);
        };
        if request.headers().get_all(IDEMPOTENCY_KEY).count() > 1 {
            let sentence = "Idempotency-Key: must be given once.";
            return Err(ApiError::bad_payload("invalid_idempotency_key", sentence));
        }
        let (kind, keep_ms) = if let Some(key) = request.headers().get(IDEMPOTENCY_KEY) {
            (Kind::Given(given(key.as_bytes())?), config.key_keep_ms)
        } else {
            let count = request.headers().get(RETRY_COUNT).and_then(|count| count.to_str().ok()?.parse::<u32>().ok());
            match count {
                Some(count) if config.blind_retry_ms > 0 && request.path() == BLIND_ROUTE => {
                    (Kind::Blind { is_retry: count > 0 }, config.blind_retry_ms)
                }
                _ => return Ok(None),
            }
        };
        let (scope, route) = (caller(request)?.scope().to_owned(), request.path().to_owned());
        Ok(Some(Self { scope, route, kind, keep_ms: keep_ms.into() }))
    }

    /// The key of the request with this body.
    pub fn key(self, body: &[u8]) -> IdempotencyKey {
        let mut hash = Sha256::new();
        hash.update(&self.route);
        hash.update([0]);
        hash.update(body);
        let fingerprint = hex::encode(hash.finalize());
        let (key, family) = match self.kind {
            Kind::Given(key) => (format!("key:{key}"), None),
            Kind::Blind { is_retry } => {
                let family = format!("blind:{fingerprint}:");
                (format!("{family}{}", Uuid::now_v7().simple()), is_retry.then_some(family))
            }
        };
        IdempotencyKey { scope: self.scope, key, family, fingerprint, keep_ms: self.keep_ms }
    }
}

/// Answers a result, saying so where it is a repetition.
pub fn answer<T, Body: Serialize>(once: Once<T>, body: impl FnOnce(T) -> Body) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if once.replayed {
        answer.insert_header(REPLAYED);
    }
    answer.json(body(once.value))
}

fn given(key: &[u8]) -> Result<String, ApiError> {
    let visible = key.iter().all(u8::is_ascii_graphic);
    match str::from_utf8(key) {
        Ok(text) if visible && (1..=LENGTH_MAX).contains(&text.len()) => Ok(text.to_owned()),
        _ => {
            let sentence = format!("Idempotency-Key: must be 1 to {LENGTH_MAX} visible ASCII characters.");
            Err(ApiError::bad_payload("invalid_idempotency_key", sentence))
        }
    }
}
