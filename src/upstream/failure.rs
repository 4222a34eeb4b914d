//! Failures of a call in the domain's terms; which status means which stands in `refusal`.

use crate::domain::{Cause, Failure};

/// A failure that nothing is known about beyond its cause.
pub fn failure(cause: Cause, sentence: impl Into<Box<str>>, detail: impl Into<Box<str>>) -> Failure {
    Failure {
        cause,
        sentence: sentence.into(),
        detail: detail.into(),
        usage: None,
        response_id: None,
        request_id: None,
    }
}

/// The response broke off; whether the provider ran the request to its end is unknown.
pub fn cut(detail: impl Into<Box<str>>) -> Failure {
    failure(Cause::ResponseCut, "The provider's answer broke off before its end.", detail)
}

/// The response is not what the wire's documentation promises.
pub fn malformed(detail: impl Into<Box<str>>) -> Failure {
    failure(Cause::ResponseMalformed, "The provider's answer is not of the documented form.", detail)
}

/// The response is larger than allowed.
pub fn too_large(bytes_max: usize) -> Failure {
    let sentence = format!("The provider's answer is larger than {bytes_max} bytes (upstream.response_bytes_max).");
    failure(Cause::ResponseTooLarge, sentence, "upstream.response_bytes_max passed")
}
