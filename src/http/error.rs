//! The one table from what went wrong to status and code, and the one envelope `{"error", "code"}`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use log::Level;
use serde::Serialize;

use crate::domain::{OverLimit, causes};
use crate::http::limits;
use crate::service::Error;

/// An error as it is answered: status, stable code, and one sentence for a person.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: Cow<'static, str>,
    sentence: String,
    cause: Option<String>,
    over_limit: Option<OverLimit>,
    retry_after_s: Option<u64>,
}

/// The body of every error on the seed routes.
#[derive(Debug, Serialize)]
pub struct Envelope<'a> {
    error: &'a str,
    code: &'a str,
}

/// How soon a client may come back when the service itself is away, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// Refusals that pass by themselves, so that their answers say when to come back.
const PASSING: [&str; 4] = ["thread_busy", "turn_still_running", "overloaded", "upstream_circuit_open"];

/// The longest sentence that quotes what a client sent.
const SENTENCE_CHARS_MAX: usize = 500;

impl ApiError {
    /// A body that cannot be used; `code` says why, `sentence` names the field.
    pub fn bad_payload(code: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, sentence)
    }

    /// A body over the limit.
    pub fn body_too_large(bytes_max: usize) -> Self {
        let sentence = format!("The body is larger than the {bytes_max} bytes that are allowed.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", sentence)
    }

    /// A valid credential without the right to an administrator's route.
    pub fn role_too_narrow() -> Self {
        Self { status: StatusCode::FORBIDDEN, ..Self::from(Error::Forbidden) }
    }

    /// A call that a browser makes for somebody else's page, where nobody is asked for credentials.
    pub fn foreign_origin() -> Self {
        let sentence = "Without credentials no page from elsewhere may call this service; name its origin in \
                        server.cors_origins, or set auth.mode.";
        Self::new(StatusCode::FORBIDDEN, "foreign_origin", sentence)
    }

    /// A call by a name that somebody else's DNS may have pointed here, where nobody is asked for credentials.
    pub fn foreign_host() -> Self {
        let sentence = "Without credentials this service is called by address or as localhost only; set auth.mode to \
                        serve it under a name.";
        Self::new(StatusCode::FORBIDDEN, "foreign_host", sentence)
    }

    /// An address that showed too many credentials that do not work.
    pub fn too_many_failures(wait: Duration) -> Self {
        let sentence = "Too many credentials from this address did not work; try again later.";
        let wait_s = wait.as_secs() + 1;
        Self { retry_after_s: Some(wait_s), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", sentence) }
    }

    /// The same error where the route's contract answers an unknown agent with 404.
    pub fn or_not_found(error: Error) -> Self {
        let unknown = matches!(error, Error::AgentNotFound(_));
        let mut answer = Self::from(error);
        if unknown {
            answer.status = StatusCode::NOT_FOUND;
        }
        answer
    }

    /// The body that a client reads.
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope { error: &self.sentence, code: &self.code }
    }

    /// Writes the error to the log; to be called once, where the error is answered.
    pub fn log(&self, request_id: &str) {
        let level = match &self.cause {
            _ if self.status == StatusCode::INTERNAL_SERVER_ERROR => Level::Error,
            Some(_) => Level::Warn,
            None => Level::Debug,
        };
        let (status, code, cause) = (self.status.as_u16(), &self.code, self.cause.as_deref().unwrap_or_default());
        log::log!(level, "request_id={request_id} status={status} code={code} cause={cause:?} A request failed");
    }

    fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, sentence: impl Into<String>) -> Self {
        let mut sentence: String = sentence.into();
        if let Some((end, _)) = sentence.char_indices().nth(SENTENCE_CHARS_MAX) {
            sentence.truncate(end);
            sentence.push('…');
        }
        Self { status, code: code.into(), sentence, cause: None, over_limit: None, retry_after_s: None }
    }

    fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let sentence = error.to_string();
        let refused = |code: &'static str| Self::new(StatusCode::BAD_REQUEST, code, sentence.clone());
        match &error {
            Error::AgentNotFound(_) => refused("agent_not_found"),
            Error::AgentDeleted(_) => refused("agent_deleted"),
            Error::AgentMismatch { .. } => refused("agent_mismatch"),
            Error::ThreadNotFound(_) => refused("thread_not_found"),
            Error::ThreadBusy(_) => refused("thread_busy"),
            Error::Unauthenticated | Error::UserRevoked => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", sentence)
            }
            Error::ActsForItself => refused("invalid_user_header"),
            Error::OverLimit(over) => {
                let answer = Self::new(StatusCode::TOO_MANY_REQUESTS, over.kind.code(), sentence);
                Self { over_limit: Some(*over), ..answer }
            }
            Error::NotFound { kind, .. } => Self::new(StatusCode::NOT_FOUND, format!("{kind}_not_found"), sentence),
            Error::ProjectNameTaken(_) => refused("project_name_taken"),
            Error::InvalidField(_) | Error::InvalidConfig(_) => refused("invalid_field"),
            Error::Forbidden => refused("forbidden"),
            Error::NothingToCancel(_) => refused("no_running_turn"),
            Error::StillRunning(_) => refused("turn_still_running"),
            Error::KeyReused => refused("idempotency_key_reused"),
            Error::Interrupted => refused("interrupted"),
            Error::Recorded { code, .. } => Self::new(StatusCode::BAD_REQUEST, code.clone(), sentence),
            Error::Draining => Self::new(StatusCode::SERVICE_UNAVAILABLE, "draining", sentence),
            Error::HandedOver(_) => refused("handed_over"),
            Error::Upstream(failure) => refused(failure.cause.code()).because(failure.detail.as_ref()),
            Error::Unavailable(_) => {
                let sentence = "The service's database is not available; try again in a moment.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", sentence).because(causes(&error))
            }
            Error::Internal(_) => {
                let sentence = "The service failed to handle this request; its log says why.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", sentence).because(causes(&error))
            }
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.sentence)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if let Some(wait_s) = self.retry_after_s {
            answer.insert_header((RETRY_AFTER, wait_s));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE || PASSING.contains(&self.code.as_ref()) {
            answer.insert_header((RETRY_AFTER, RETRY_AFTER_S));
        }
        if let Some(over) = &self.over_limit {
            for header in limits::headers(over) {
                answer.insert_header(header);
            }
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"threadkeep\""));
        }
        answer.json(self.envelope())
    }
}

/// Answers a path that no route has.
pub async fn route_not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(StatusCode::NOT_FOUND, "route_not_found", "There is no such route."))
}

/// Answers a method that the path's route does not have.
pub fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let sentence = format!("This route does not answer this method, only {allowed}.");
    let mut answer = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", sentence).error_response();
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
