//! What is tried again, when, and how often; the count is the provider's journal.

use std::time::{Duration, Instant, SystemTime};

use awc::http::header::HttpDate;
use serde_json::json;
use threadkeep::domain::Cause;
use threadkeep::upstream::Config;
use tokio::net::TcpSocket;

use crate::fake::Fake;
use crate::scene::{ask, config};
use crate::wire::{answer, created, error, replying, response, stream};

const SOON: &str = "retry-after-ms: 1";

/// The outcome of a call whose first attempt meets this error and whose second one would succeed, with the number of
/// attempts and the time they took.
async fn second_chance(refusal: Vec<u8>) -> (Result<String, Cause>, usize, Duration) {
    let fake = Fake::play([replying(refusal), replying(answer("Hello"))]);
    let began = Instant::now();
    let outcome = ask(&config(&fake.base_url())).await.0;
    (outcome.map(|answer| answer.text).map_err(|failure| failure.cause), fake.requests().len(), began.elapsed())
}

async fn fails(fake: &Fake, config: &Config, cause: Cause) -> usize {
    let failure = ask(config).await.0.unwrap_err();
    assert_eq!(failure.cause, cause, "{failure:?}");
    fake.requests().len()
}

#[actix_rt::test]
async fn what_was_certainly_not_executed_is_tried_again() {
    for status in [408, 409, 429, 500, 502, 503, 504, 529] {
        let (outcome, attempts, _) = second_chance(error(status, None, "Later.", &[SOON])).await;
        assert_eq!((outcome.as_deref(), attempts), (Ok("Hello"), 2), "{status}");
    }
    for status in [400, 401, 403, 404, 405, 413, 422, 301] {
        let (outcome, attempts, _) = second_chance(error(status, None, "No.", &[SOON])).await;
        assert!(outcome.is_err() && attempts == 1, "{status}");
    }
}

#[actix_rt::test]
async fn every_attempt_sends_the_same() {
    let fake = Fake::play([
        replying(error(500, None, "", &[SOON])),
        replying(error(429, None, "", &[SOON])),
        replying(answer("Hello")),
    ]);
    ask(&config(&fake.base_url())).await.0.unwrap();
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests[1..] {
        assert_eq!((&request.body, request.header("x-client-request-id")), (&requests[0].body, Some("run_test")));
    }
}

#[actix_rt::test]
async fn attempts_are_counted_and_the_last_failure_is_told() {
    for (status, cause) in [(429, Cause::RateLimited), (503, Cause::Unavailable), (408, Cause::Unavailable)] {
        let fake = Fake::play([replying(error(status, None, "Later.", &[SOON]))]);
        assert_eq!(fails(&fake, &config(&fake.base_url()), cause).await, 3);
        let once = Config { retries_max: 0, ..config(&fake.base_url()) };
        assert_eq!(fails(&fake, &once, cause).await, 4);
    }
}

#[actix_rt::test]
async fn exhausted_credit_is_never_tried_again() {
    for code in [
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "insufficient_quota",
    ] {
        let (outcome, attempts, _) =
            second_chance(error(429, Some(code), "Pay.", &[SOON, "x-should-retry: true"])).await;
        assert_eq!((outcome, attempts), (Err(Cause::QuotaExhausted), 1), "{code}");
    }
    let by_type = r#"{"error":{"message":"","type":"insufficient_quota","code":null}}"#;
    let (outcome, _, _) = second_chance(response(429, &[SOON], by_type)).await;
    assert_eq!(outcome, Err(Cause::QuotaExhausted));
    let by_code = r#"{"error":{"message":"","type":"insufficient_quota","code":"rate_limit_exceeded"}}"#;
    let (outcome, attempts, _) = second_chance(response(429, &[SOON], by_code)).await;
    assert_eq!((outcome.as_deref(), attempts), (Ok("Hello"), 2), "the code decides, not the type");
}

#[actix_rt::test]
async fn the_provider_may_ask_for_another_attempt_or_forbid_it() {
    let (outcome, attempts, _) = second_chance(error(400, None, "", &["x-should-retry: true", SOON])).await;
    assert_eq!((outcome.as_deref(), attempts), (Ok("Hello"), 2));
    let (outcome, attempts, _) = second_chance(error(503, None, "", &["x-should-retry: false", SOON])).await;
    assert_eq!((outcome, attempts), (Err(Cause::Unavailable), 1));
}

#[actix_rt::test]
async fn the_provider_says_how_long_to_wait() {
    let (_, _, took) = second_chance(error(429, None, "", &["retry-after: 1"])).await;
    assert!((1000..5000).contains(&took.as_millis()), "{took:?}");
    let (_, _, took) = second_chance(error(429, None, "", &["retry-after-ms: 20.5", "retry-after: 6"])).await;
    assert!((20..5000).contains(&took.as_millis()), "{took:?}");
    let in_two_s = SystemTime::now() + Duration::from_secs(2);
    let date = HttpDate::from(in_two_s).to_string();
    let (outcome, _, took) = second_chance(error(429, None, "", &[&format!("retry-after: {date}")])).await;
    assert!(outcome.is_ok() && (500..8000).contains(&took.as_millis()), "{took:?}");
    let (outcome, _, took) = second_chance(error(429, None, "", &["retry-after: soon"])).await;
    assert!(outcome.is_ok() && took.as_millis() >= 375, "{took:?}");
}

#[actix_rt::test]
async fn a_wait_that_passes_the_deadline_is_not_begun() {
    let began = Instant::now();
    for wait in ["retry-after: 900", "retry-after: 18446744073709551615", "retry-after-ms: 10001"] {
        let (outcome, attempts, _) = second_chance(error(429, None, "", &[wait])).await;
        assert_eq!((outcome, attempts), (Err(Cause::RateLimited), 1), "{wait}");
    }
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[actix_rt::test]
async fn a_refused_connection_is_tried_again_with_growing_waits() {
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base_url = format!("http://{}/v1", deaf.local_addr().unwrap());
    let began = Instant::now();
    let failure = ask(&config(&base_url)).await.0.unwrap_err();
    assert_eq!((failure.cause, &*failure.sentence), (Cause::Unreachable, "The provider cannot be reached."));
    assert!(failure.detail.contains("refused") && failure.detail.contains("attempt 3"), "{failure:?}");
    assert!((1125..8000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[actix_rt::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let config = Config { retries_max: 0, ..config("http://nowhere.invalid/v1") };
    assert_eq!(ask(&config).await.0.unwrap_err().cause, Cause::Unreachable);
}

#[actix_rt::test]
async fn nothing_is_tried_again_once_an_answer_has_begun() {
    let (outcome, attempts, _) = second_chance(stream(&[created()])).await;
    assert_eq!((outcome, attempts), (Err(Cause::ResponseCut), 1));
    let failed = json!({ "type": "error", "code": "server_error" });
    let (outcome, attempts, _) = second_chance(stream(&[created(), failed])).await;
    assert_eq!((outcome, attempts), (Err(Cause::ResponseFailed), 1));
}
