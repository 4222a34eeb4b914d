//! Which status and body mean which cause, and how much of the provider's words a caller reads.

use serde_json::json;
use threadkeep::domain::Cause;

use crate::fake::Fake;
use crate::scene::{ask, assert_fails_once, config};
use crate::wire::{JSON, error, replying, response};

#[actix_rt::test]
async fn each_status_has_its_cause() {
    for (status, code, cause) in [
        (400, Some("invalid_value"), Cause::Rejected),
        (400, Some("model_not_found"), Cause::ModelNotFound),
        (400, Some("context_length_exceeded"), Cause::ContextLengthExceeded),
        (401, Some("invalid_api_key"), Cause::Unauthorized),
        (402, None, Cause::QuotaExhausted),
        (403, None, Cause::Unauthorized),
        (403, Some("model_not_found"), Cause::ModelNotFound),
        (404, None, Cause::Rejected),
        (404, Some("model_not_found"), Cause::ModelNotFound),
        (405, None, Cause::Rejected),
        (413, None, Cause::Rejected),
        (422, None, Cause::Rejected),
        (302, None, Cause::Rejected),
        (699, None, Cause::ResponseMalformed),
    ] {
        let failure = assert_fails_once(replying(error(status, code, "Because.", &[])), cause).await;
        assert!(failure.detail.contains(&format!("status {status}")), "{failure:?}");
        assert_eq!(failure.request_id.as_deref(), Some("req_1"));
        assert!(failure.sentence.starts_with("The ") && failure.sentence.ends_with('.'), "{failure:?}");
    }
}

#[actix_rt::test]
async fn the_providers_words_are_quoted_for_bad_requests_only() {
    for (status, quoted) in
        [(400, true), (404, true), (422, true), (401, false), (403, false), (405, false), (413, false)]
    {
        let failure = assert_fails_once(replying(error(status, None, "Pineapple.", &[])), failure_cause(status)).await;
        assert_eq!(failure.sentence.contains("Pineapple"), quoted, "{failure:?}");
    }
}

fn failure_cause(status: u16) -> Cause {
    if matches!(status, 401 | 403) { Cause::Unauthorized } else { Cause::Rejected }
}

#[actix_rt::test]
async fn the_providers_words_are_short_plain_and_free_of_keys() {
    let message = format!("Bad\r\nkey sk-proj-SECRET1 or Bearer SECRET2: {}", "x".repeat(1000));
    let failure = assert_fails_once(replying(error(400, None, &message, &[])), Cause::Rejected).await;
    assert!(failure.sentence.starts_with("The provider rejected the request: Bad  key [redacted] or [redacted] xxx"));
    assert!(failure.sentence.chars().count() < 350 && !failure.sentence.contains("SECRET"), "{failure:?}");
}

#[actix_rt::test]
async fn errors_of_other_shapes_are_read() {
    for body in [
        json!({ "error": "Pineapple." }),
        json!({ "message": "Pineapple.", "code": 400 }),
        json!({ "object": "error", "message": "Pineapple.", "type": "BadRequestError", "param": null, "code": 400 }),
        json!({ "detail": "Pineapple." }),
        json!({ "detail": [{ "loc": ["body"], "msg": "Pineapple.", "type": "missing" }] }),
        json!({ "error": { "message": "Pineapple.", "type": null, "param": null, "code": "400", "extra": {} } }),
    ] {
        let failure = assert_fails_once(replying(response(400, &[JSON], body.to_string())), Cause::Rejected).await;
        assert_eq!(&*failure.sentence, "The provider rejected the request: Pineapple.", "{body}");
    }
    let failure = assert_fails_once(replying(response(400, &[], "Pineapple.")), Cause::Rejected).await;
    assert_eq!(&*failure.sentence, "The provider rejected the request: Pineapple.");
    for body in ["", "<html>Pineapple</html>", "{}", "[]", "null"] {
        let failure = assert_fails_once(replying(response(400, &[], body)), Cause::Rejected).await;
        assert_eq!(&*failure.sentence, "The provider rejected the request (status 400).", "{body}");
    }
}

#[actix_rt::test]
async fn an_error_body_is_read_to_its_bound_only() {
    let endless = error(400, None, &"x".repeat(10_000_000), &[]);
    let failure = assert_fails_once(replying(endless), Cause::Rejected).await;
    assert!(failure.sentence.chars().count() < 400, "{}", failure.sentence.len());
}

#[actix_rt::test]
async fn an_unknown_model_is_told_from_an_unknown_address() {
    let named = error(404, None, "model \"gpt-test\" not found, try pulling it first", &[]);
    let failure = assert_fails_once(replying(named), Cause::ModelNotFound).await;
    assert_eq!(&*failure.sentence, "The provider knows no model 'gpt-test'.");
    let failure = assert_fails_once(replying(response(404, &[], "<h1>Not Found</h1>")), Cause::Rejected).await;
    assert!(failure.sentence.contains("upstream.base_url"), "{failure:?}");
}

#[actix_rt::test]
async fn a_history_that_is_too_long_is_recognised_by_its_words_too() {
    for message in
        ["This model's maximum context length is 8192 tokens.", "Your input exceeds the context window of this model."]
    {
        assert_fails_once(replying(error(400, None, message, &[])), Cause::ContextLengthExceeded).await;
    }
}

#[actix_rt::test]
async fn a_key_that_is_not_accepted_is_the_operators_affair() {
    let body = error(401, Some("invalid_api_key"), "Incorrect API key provided: sk-te**********6789.", &[]);
    let failure = assert_fails_once(replying(&body), Cause::Unauthorized).await;
    assert_eq!(
        &*failure.sentence,
        "The provider does not accept the configured key (upstream.api_key, OPENAI_API_KEY)."
    );
    let fake = Fake::play([replying(&body)]);
    let mut config = config(&fake.base_url());
    config.api_key = String::new().into();
    let failure = ask(&config).await.0.unwrap_err();
    assert!(failure.sentence.contains("none is configured"), "{failure:?}");
}

#[actix_rt::test]
async fn a_redirection_is_not_followed() {
    let fake = Fake::play([replying(response(308, &["location: http://127.0.0.1:9/v1/responses"], ""))]);
    let failure = ask(&config(&fake.base_url())).await.0.unwrap_err();
    assert_eq!(failure.cause, Cause::Rejected);
    assert!(failure.sentence.contains("redirects (status 308)") && failure.sentence.contains("upstream.base_url"));
    assert_eq!(fake.connections(), 1);
}
