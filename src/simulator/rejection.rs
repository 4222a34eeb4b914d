//! The provider's error answers: status, envelope and headers; not who decides on them.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::fault::Failure;

type Word = Cow<'static, str>;

/// An error in OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`.
#[derive(Debug)]
pub struct Rejection {
    pub status: u16,
    pub kind: &'static str,
    pub code: Option<Word>,
    pub param: Option<Word>,
    pub message: String,
    pub headers: Vec<(&'static str, Word)>,
}

impl Rejection {
    pub fn invalid(code: Option<&'static str>, param: impl Into<Word>, message: String) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: code.map(Cow::Borrowed),
            param: Some(param.into()),
            message,
            headers: Vec::new(),
        }
    }

    /// An invalid request that no one field is to blame for.
    pub fn unnamed(status: u16, code: Option<&'static str>, message: String) -> Self {
        Self { status, param: None, ..Self::invalid(code, "", message) }
    }

    pub fn missing(param: impl Into<Word>) -> Self {
        let param = param.into();
        let message = format!("Missing required parameter: '{param}'.");
        Self::invalid(Some("missing_required_parameter"), param, message)
    }

    pub fn wrong_type(param: impl Into<Word>, expected: &str, got: &Value) -> Self {
        let param = param.into();
        let got = type_name(got);
        let message = format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
        Self::invalid(Some("invalid_type"), param, message)
    }

    pub fn unsupported_value(param: impl Into<Word>, value: &str, supported: &[&str]) -> Self {
        let supported = listed(supported);
        let message = format!("Invalid value: '{value}'. Supported values are: {supported}.");
        Self::invalid(Some("invalid_value"), param, message)
    }

    /// Something that the real provider does and the simulator does not.
    pub fn not_simulated(param: &'static str, sentence: &str) -> Self {
        let message = format!("The simulator does not offer '{param}': {sentence}.");
        Self::invalid(Some("unsupported_parameter"), param, message)
    }

    /// The error that the provider sends with this status, as far as its words are known.
    pub fn simulated(status: u16) -> Self {
        let (kind, code) = match status {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            403 => ("invalid_request_error", Some("unsupported_country_region_territory")),
            429 => ("requests", Some("rate_limit_exceeded")),
            503 => ("service_unavailable_error", Some("server_is_overloaded")),
            500.. => ("server_error", Some("server_error")),
            _ => ("invalid_request_error", None),
        };
        let headers = match status {
            429 => vec![("retry-after", "1".into()), ("retry-after-ms", "100".into())],
            _ => Vec::new(),
        };
        Self {
            status,
            kind,
            code: code.map(Cow::Borrowed),
            param: None,
            message: format!("The simulator was told to fail with status {status}."),
            headers,
        }
    }

    pub fn told(failure: &Failure) -> Self {
        let mut rejection = Self::simulated(failure.status);
        if let Some(code) = &failure.code {
            rejection.code = Some(code.clone().into());
        }
        if !failure.headers.is_empty() {
            let headers = failure.headers.iter();
            rejection.headers = headers.map(|(name, value)| (*name, value.clone().into())).collect();
        }
        rejection
    }

    pub fn out_of_credit() -> Self {
        Self {
            kind: "insufficient_quota",
            code: Some("credit_balance_exhausted".into()),
            message: "You have used up your credit balance (simulated).".to_owned(),
            headers: Vec::new(),
            ..Self::simulated(429)
        }
    }

    pub fn envelope(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn listed(values: &[&str]) -> String {
    match values {
        [] => String::new(),
        [only] => format!("'{only}'"),
        [first, last] => format!("'{first}' and '{last}'"),
        [some @ .., last] => {
            let some: Vec<String> = some.iter().map(|value| format!("'{value}'")).collect();
            format!("{}, and '{last}'", some.join(", "))
        }
    }
}
