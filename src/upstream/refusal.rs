//! From a status and the body of an error to a failure and whether the request may be sent again.

use awc::http::StatusCode;
use serde_json::Value;

use super::body::Reply;
use super::failure::failure;
use super::provider::Provider;
use super::redact;
use super::retry::{Again, Setback};
use crate::domain::{Cause, Failure};

/// What a provider says about an error, in OpenAI's shape or any other.
#[derive(Debug, Default)]
pub struct Told {
    /// Its code, such as `rate_limit_exceeded`, or its type where it has no code.
    pub code: Option<String>,
    /// Its sentence.
    pub message: Option<String>,
}

/// The most bytes of an error's body that are read.
const BODY_BYTES_MAX: usize = 65_536;

/// Codes for which only the operator can do something.
const QUOTA_CODES: [&str; 5] = [
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "insufficient_quota",
];

/// How providers without a code for it say that a conversation is too long.
const CONTEXT_PHRASES: [&str; 2] = ["maximum context length", "context window"];

/// The setback that a response with an error's status means; `model` is the one that was asked.
pub async fn setback(reply: Reply, model: Option<&str>, provider: &Provider) -> Setback {
    let (status, headers, request_id) = (reply.status(), reply.headers().clone(), reply.request_id.clone());
    let told = Told::from_body(&reply.beginning(BODY_BYTES_MAX).await);
    let cause = cause(status, &told, model);
    let sentence = sentence(cause, status, &told, model, provider);
    let detail = format!("status {}, code {}", status.as_u16(), told.code.as_deref().unwrap_or("none"));
    let by_default = matches!(status.as_u16(), 408 | 409 | 429 | 500..=599);
    let again = if cause == Cause::QuotaExhausted { Again::Never } else { Again::read(&headers, by_default) };
    Setback { failure: Failure { request_id, ..failure(cause, sentence, detail) }, again }
}

impl Told {
    /// Reads whatever there is: JSON in any known shape, else plain text; nothing of a web page.
    pub fn from_body(body: &[u8]) -> Self {
        if let Ok(value) = serde_json::from_slice(body) {
            return Self::from_json(&value);
        }
        let text = String::from_utf8_lossy(body);
        let message = Some(text.trim()).filter(|text| !text.is_empty() && !text.starts_with('<'));
        Self { code: None, message: message.map(str::to_owned) }
    }

    /// `{"error": {"message", "type", "code"}}`, the inner object alone, `{"error": "…"}`, or `{"detail": …}`.
    pub fn from_json(value: &Value) -> Self {
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        let code = [text("code"), text("type")].into_iter().flatten().find_map(|text| {
            let is_status = text.bytes().all(|byte| byte.is_ascii_digit());
            redact::code(text).filter(|_| !is_status)
        });
        let detail = error.get("detail");
        let nested = detail.and_then(|detail| detail.pointer("/0/msg").or_else(|| detail.get("message")));
        let message = text("message").or(error.as_str()).or(text("detail")).or(nested.and_then(Value::as_str));
        Self { code: code.map(str::to_owned), message: message.map(str::to_owned) }
    }

    /// The cause that the code stands for, wherever it appears.
    pub fn cause(&self) -> Option<Cause> {
        match self.code.as_deref()? {
            code if QUOTA_CODES.contains(&code) => Some(Cause::QuotaExhausted),
            "rate_limit_exceeded" => Some(Cause::RateLimited),
            "model_not_found" => Some(Cause::ModelNotFound),
            "context_length_exceeded" | "exceed_context_size_error" => Some(Cause::ContextLengthExceeded),
            _ => None,
        }
    }

    fn mentions(&self, phrase: &str) -> bool {
        self.message.as_deref().is_some_and(|message| message.contains(phrase))
    }
}

fn cause(status: StatusCode, told: &Told, model: Option<&str>) -> Cause {
    match status.as_u16() {
        500..=599 | 408 | 409 => Cause::Unavailable,
        100..=299 | 600.. => Cause::ResponseMalformed,
        300..=399 => Cause::Rejected,
        402 => Cause::QuotaExhausted,
        number => told.cause().unwrap_or_else(|| match number {
            401 | 403 => Cause::Unauthorized,
            429 => Cause::RateLimited,
            404 if model.is_some_and(|model| told.mentions(model)) => Cause::ModelNotFound,
            400 | 413 | 422 if CONTEXT_PHRASES.iter().any(|phrase| told.mentions(phrase)) => {
                Cause::ContextLengthExceeded
            }
            _ => Cause::Rejected,
        }),
    }
}

fn sentence(cause: Cause, status: StatusCode, told: &Told, model: Option<&str>, provider: &Provider) -> String {
    let number = status.as_u16();
    match cause {
        Cause::Unauthorized if provider.key().is_none() => {
            "The provider asks for a key, and none is configured (upstream.api_key, OPENAI_API_KEY).".to_owned()
        }
        Cause::Rejected if status.is_redirection() => format!(
            "The provider redirects (status {number}), which is not followed: set upstream.base_url to its final address."
        ),
        Cause::Rejected if matches!(number, 400 | 404 | 422) && told.message.is_some() => {
            let said = redact::quote(told.message.as_deref().unwrap_or_default(), provider.key());
            format!("The provider rejected the request: {said}")
        }
        Cause::Rejected if number == 404 => {
            "The provider knows no such address (status 404): check that upstream.base_url ends in /v1.".to_owned()
        }
        Cause::Rejected => format!("The provider rejected the request (status {number})."),
        Cause::ResponseMalformed => format!("The provider answered with the unexpected status {number}."),
        Cause::Unavailable => format!("The provider is not available at the moment (status {number})."),
        other => known(other, model),
    }
}

/// The sentence for a cause that needs no words of the provider.
pub fn known(cause: Cause, model: Option<&str>) -> String {
    match cause {
        Cause::Unauthorized => {
            "The provider does not accept the configured key (upstream.api_key, OPENAI_API_KEY).".to_owned()
        }
        Cause::RateLimited => "The provider limits the rate of requests; try again later.".to_owned(),
        Cause::QuotaExhausted => {
            "The credit or spend limit with the provider is exhausted; only the operator can help.".to_owned()
        }
        Cause::ModelNotFound => format!("The provider knows no model '{}'.", model.unwrap_or_default()),
        Cause::ContextLengthExceeded => "The conversation is longer than the model can read.".to_owned(),
        _ => "The provider failed to answer.".to_owned(),
    }
}
