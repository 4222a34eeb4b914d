//! What handlers take apart from a request: who calls, and a body that is already valid.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use crate::domain::{AccessRole, Caller, IdempotencyKey};
use crate::http::Config;
use crate::http::error::ApiError;
use crate::http::idempotency::KeyClaim;
use crate::service;

/// A JSON body of type `T` and the key under which the request may be repeated; anything else is a 400 that names the
/// field, or a 413.
#[derive(Debug)]
pub struct ValidJson<T> {
    /// What is asked.
    pub body: T,
    /// The request's idempotency key.
    pub key: Option<IdempotencyKey>,
}

/// A caller who may do everything in the deployment; stands first among a handler's parameters, so that nobody else
/// learns what is wrong with the rest.
#[derive(Debug)]
pub struct AdminCaller(pub Caller);

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    /// The caller whom the credential was found to be; 401 on a route that asks for none.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request))
    }
}

impl FromRequest for AdminCaller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    /// 403 for every other role.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let admin = caller(request).and_then(|caller| match caller.role {
            AccessRole::Admin => Ok(Self(caller)),
            AccessRole::Service | AccessRole::User => Err(ApiError::role_too_narrow()),
        });
        ready(admin)
    }
}

impl<T: DeserializeOwned> FromRequest for ValidJson<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (is_json, claim) = (is_json(request), KeyClaim::read(request));
        let config = request.app_data::<Data<Config>>();
        let (bytes_max, limit_ms) = config.map_or((0, 0), |config| (config.body_bytes_max, config.body_timeout_ms));
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            is_json?;
            let claim = claim?;
            let body = timeout(Duration::from_millis(limit_ms), body).await.map_err(|_| late(limit_ms))?;
            let bytes = body.map_err(|error| unreadable(&error, bytes_max))?;
            let body = parse(&bytes)?;
            Ok(Self { body, key: claim.map(|claim| claim.key(&bytes)) })
        })
    }
}

/// Who sends this request.
pub fn caller(request: &HttpRequest) -> Result<Caller, ApiError> {
    let caller = request.extensions().get::<Caller>().cloned();
    Ok(caller.ok_or(service::Error::Unauthenticated)?)
}

fn is_json(request: &HttpRequest) -> Result<(), ApiError> {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
        let sentence = "The body must be JSON: send the header 'Content-Type: application/json'.";
        return Err(ApiError::bad_payload("invalid_content_type", sentence));
    }
    let charset = header.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("charset="));
    if charset.is_some_and(|charset| !charset.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
        let sentence = "The body must be UTF-8: leave the charset of Content-Type out.";
        return Err(ApiError::bad_payload("invalid_content_type", sentence));
    }
    match request.headers().get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let sentence = "Content-Encoding: compressed bodies are not taken; send it as it is.";
            Err(ApiError::bad_payload("invalid_content_encoding", sentence))
        }
        _ => Ok(()),
    }
}

fn unreadable(error: &actix_web::Error, bytes_max: usize) -> ApiError {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => ApiError::body_too_large(bytes_max),
        _ => ApiError::bad_payload("invalid_body", "The body could not be read to its end."),
    }
}

fn late(limit_ms: u64) -> ApiError {
    ApiError::bad_payload("invalid_body", format!("The body did not arrive within {limit_ms} ms."))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::bad_payload("invalid_field", "The body must be a JSON object, not a list."));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        invalid(&path, error.inner())
    })?;
    reader.end().map_err(|error| invalid(".", &error))?;
    Ok(value)
}

fn invalid(path: &str, error: &serde_json::Error) -> ApiError {
    let reason = error.to_string();
    if error.classify() != Category::Data {
        let sentence = if reason.contains("surrogate") || reason.contains("hex escape") {
            format!("The body is not valid JSON: it holds a lone surrogate or a broken \\u escape ({reason}).")
        } else {
            format!("The body is not valid JSON: {reason}.")
        };
        return ApiError::bad_payload("invalid_json", sentence);
    }
    let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
    if reason.starts_with("missing field") {
        return ApiError::bad_payload(
            "missing_field",
            format!("The body has no {}.", reason.trim_start_matches("missing ")),
        );
    }
    if reason.contains("duplicate field `user_input`") {
        return ApiError::bad_payload("invalid_field", "Give either `user_input` or `message`, once.");
    }
    let reason = reason.replace("expected struct Request", "expected an object");
    let field = if path == "." { "the body" } else { path };
    ApiError::bad_payload("invalid_field", format!("{field}: {reason}."))
}
