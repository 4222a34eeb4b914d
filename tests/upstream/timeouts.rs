//! The time limits, each named by the failure of the call for which it passed.

use std::time::{Duration, Instant};

use futures_util::future::join;
use serde_json::json;
use threadkeep::domain::{Cause, Failure, ModelCall, RunId};
use threadkeep::upstream::Config;

use crate::fake::{Fake, Script};
use crate::scene::{agent, ask, config, history, upstream};
use crate::wire::{chunk, completed, created, delta, error, event, replying, stream_head, text_item};

async fn times_out(config: &Config, setting: &str) -> Failure {
    let began = Instant::now();
    let failure = ask(config).await.0.unwrap_err();
    assert_eq!(failure.cause, Cause::Timeout, "{failure:?}");
    assert!(failure.sentence.contains(setting) && failure.sentence.contains("150 ms"), "{failure:?}");
    assert!((140..4000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    failure
}

#[actix_rt::test]
async fn a_head_that_does_not_come_ends_the_call_without_another_attempt() {
    let fake = Fake::play([Script::new().expect().sleep_ms(60_000)]);
    let config = Config { first_byte_timeout_ms: 150, ..config(&fake.base_url()) };
    times_out(&config, "upstream.first_byte_timeout_ms").await;
    assert_eq!(fake.requests().len(), 1);
}

#[actix_rt::test]
async fn silence_within_an_answer_ends_the_call() {
    let fake = Fake::play([Script::new().expect().send(stream_head()).send(chunk(event(&created()))).sleep_ms(60_000)]);
    let config = Config { idle_timeout_ms: 150, ..config(&fake.base_url()) };
    let failure = times_out(&config, "upstream.idle_timeout_ms").await;
    assert_eq!((failure.response_id.as_deref(), failure.request_id.as_deref()), (Some("resp_1"), Some("req_1")));
    assert_eq!(fake.requests().len(), 1);
}

#[actix_rt::test]
async fn an_answer_that_keeps_coming_is_not_idle() {
    let mut script = Script::new().expect().send(stream_head());
    for _ in 0..5 {
        script = script.sleep_ms(60).send(chunk(": keep-alive\n\n")).sleep_ms(60).send(chunk(event(&delta("x"))));
    }
    let fake = Fake::play([script.send(chunk(event(&completed(&json!([text_item("xxxxx")])))))]);
    let config = Config { idle_timeout_ms: 400, ..config(&fake.base_url()) };
    assert_eq!(ask(&config).await.0.unwrap().text, "xxxxx");
}

#[actix_rt::test]
async fn an_answer_that_never_ends_meets_the_deadline() {
    let mut script = Script::new().expect().send(stream_head()).send(chunk(event(&created())));
    for _ in 0..100 {
        script = script.send(chunk(event(&delta("x")))).sleep_ms(10);
    }
    let fake = Fake::play([script]);
    let config = Config { deadline_ms: 150, ..config(&fake.base_url()) };
    let failure = times_out(&config, "upstream.deadline_ms").await;
    assert_eq!(failure.response_id.as_deref(), Some("resp_1"));
}

#[actix_rt::test]
async fn the_deadline_covers_all_attempts() {
    let slow = Script::new().expect().sleep_ms(1200).send(error(503, None, "", &["retry-after-ms: 1"]));
    let fake = Fake::play([slow, Script::new().expect().sleep_ms(60_000)]);
    let config = Config { deadline_ms: 2000, ..config(&fake.base_url()) };
    let began = Instant::now();
    let failure = ask(&config).await.0.unwrap_err();
    assert_eq!(failure.cause, Cause::Timeout, "{failure:?}");
    assert!(failure.sentence.contains("2000 ms (upstream.deadline_ms)"), "{failure:?}");
    assert_eq!(fake.requests().len(), 2);
    assert!(began.elapsed() < Duration::from_millis(3100), "no attempt has a deadline of its own");
}

#[actix_rt::test]
async fn a_handshake_that_does_not_end_is_tried_again_and_then_told() {
    let fake = Fake::play([Script::new().sleep_ms(60_000)]);
    let config = Config { connect_timeout_ms: 150, ..config(&format!("https://{}/v1", fake.address())) };
    times_out(&config, "upstream.connect_timeout_ms").await;
    assert_eq!(fake.connections(), 3);
}

#[actix_rt::test]
async fn a_call_that_gets_no_connection_waits_and_then_says_so() {
    let last = chunk(event(&completed(&json!([text_item("Hello")]))));
    let slow = Script::new().expect().send(stream_head()).sleep_ms(400).send(last).send(chunk(""));
    let fake = Fake::play([slow.again()]);
    let (agent, history, run_id) = (agent(&json!({})), history(&["Hi"]), RunId::generate());
    let call = ModelCall { run_id: &run_id, agent: &agent, history: &history };
    for (first_byte_timeout_ms, expected) in [(5000, None), (150, Some(Cause::Overloaded))] {
        let config = Config { connections_max: 1, first_byte_timeout_ms, ..config(&fake.base_url()) };
        let (upstream, mut ignore, mut ignore_too) = (upstream(&config), |_: &str| (), |_: &str| ());
        let both = join(upstream.answer(&call, &mut ignore), upstream.answer(&call, &mut ignore_too));
        let (first, second) = both.await;
        assert!(first.is_ok(), "{first:?}");
        assert_eq!(second.as_ref().err().map(|failure| failure.cause), expected);
        let told = second.err().is_none_or(|failure| failure.sentence.contains("upstream.connections_max"));
        assert!(told, "the setting is named");
    }
}

#[actix_rt::test]
async fn a_provider_that_lingers_after_its_answer_does_not_delay_it() {
    let lingering =
        Script::new().expect().send(stream_head()).send(chunk(event(&completed(&json!([text_item("Hi")])))));
    let fake = Fake::play([lingering.sleep_ms(60_000)]);
    let began = Instant::now();
    assert_eq!(ask(&config(&fake.base_url())).await.0.unwrap().text, "Hi");
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[actix_rt::test]
async fn an_error_whose_body_does_not_come_is_told_by_its_status() {
    let stalled = b"HTTP/1.1 401 X\r\ncontent-length: 100\r\n\r\n{\"error\"";
    let fake = Fake::play([replying(stalled).sleep_ms(60_000)]);
    let config = Config { idle_timeout_ms: 150, ..config(&fake.base_url()) };
    assert_eq!(ask(&config).await.0.unwrap_err().cause, Cause::Unauthorized);
}
