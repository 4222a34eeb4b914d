//! When a provider in trouble is left alone, and how many calls are in flight at once. Each call has a pool of its own,
//! as on many workers; what they share is the provider.

use std::time::{Duration, Instant};

use actix_rt::time::sleep;
use futures_util::future::{join, join_all};
use serde_json::json;
use threadkeep::domain::{Answer, Cause, Failure, ModelCall, RunId};
use threadkeep::upstream::{Config, Provider, Upstream};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::fake::{Fake, Script};
use crate::scene::{agent, config, history};
use crate::wire::{answer, chunk, completed, error, event, replying, response, stream_head, text_item};

const LONG_MS: u64 = 60_000;

/// A provider that is left alone for `breaker_open_ms` after so many failures, and whose calls have one attempt each.
fn guarded(fake: &Fake, breaker_failures: u32, breaker_open_ms: u64) -> Config {
    let first_byte_timeout_ms = 1500;
    Config { breaker_failures, breaker_open_ms, first_byte_timeout_ms, retries_max: 0, ..config(&fake.base_url()) }
}

fn limited(fake: &Fake, calls_max: usize, calls_queued_max: usize) -> Provider {
    Provider::new(&Config { calls_max, calls_queued_max, ..guarded(fake, 1, LONG_MS) }).unwrap()
}

fn provider(config: &Config) -> Provider {
    Provider::new(config).unwrap()
}

async fn say(provider: &Provider, text: &str) -> Result<Answer, Failure> {
    let (agent, history, run_id) = (agent(&json!({})), history(&[text]), RunId::generate());
    let call = ModelCall { run_id: &run_id, agent: &agent, history: &history };
    Upstream::new(provider).answer(&call, &mut |_| ()).await
}

async fn ask(provider: &Provider) -> Result<(), Cause> {
    let outcome = say(provider, "Hi").await;
    outcome.map(|answer| assert_eq!(answer.text, "Hello")).map_err(|failure| failure.cause)
}

async fn ask_after(provider: &Provider, ms: u64) -> Result<(), Cause> {
    sleep(Duration::from_millis(ms)).await;
    ask(provider).await
}

fn unavailable() -> Script {
    replying(error(503, None, "Later.", &["retry-after-ms: 1"]))
}

fn slow_hello(ms: u64) -> Script {
    Script::new().expect().sleep_ms(ms).send(answer("Hello"))
}

fn stalled() -> Script {
    Script::new().expect().sleep_ms(LONG_MS)
}

#[actix_rt::test]
async fn so_many_failures_in_a_row_open_the_circuit_and_the_network_is_left_alone() {
    let stream_cut = replying([stream_head(), chunk(": x\n\n")].concat());
    for (script, cause) in [
        (unavailable(), Cause::Unavailable),
        (Script::new().expect(), Cause::ResponseCut),
        (stream_cut, Cause::ResponseCut),
        (stalled(), Cause::Timeout),
    ] {
        let fake = Fake::play([script]);
        let provider = provider(&Config { first_byte_timeout_ms: 200, ..guarded(&fake, 3, LONG_MS) });
        for _ in 0..3 {
            assert_eq!(ask(&provider).await, Err(cause));
        }
        let began = Instant::now();
        for failure in join_all((0..20).map(|_| say(&provider, "Hi"))).await {
            let failure = failure.unwrap_err();
            assert_eq!((failure.cause, failure.cause.code()), (Cause::CircuitOpen, "upstream_circuit_open"));
            assert!(failure.sentence.contains("try again in 60 s"), "{failure:?}");
        }
        assert_eq!(Upstream::new(&provider).models().await.unwrap_err().cause, Cause::CircuitOpen);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!((fake.requests().len(), fake.connections()), (3, 3), "{cause}");
    }
}

#[actix_rt::test]
async fn a_provider_that_cannot_be_reached_opens_the_circuit() {
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base_url = format!("http://{}/v1", deaf.local_addr().unwrap());
    let provider = provider(&Config { breaker_failures: 1, retries_max: 0, ..config(&base_url) });
    assert_eq!(ask(&provider).await, Err(Cause::Unreachable));
    assert_eq!(ask(&provider).await, Err(Cause::CircuitOpen));
}

#[actix_rt::test]
async fn an_answer_in_between_starts_the_count_anew() {
    let hello = || replying(answer("Hello"));
    let fake = Fake::play([unavailable(), hello(), unavailable(), hello(), unavailable(), unavailable()]);
    let provider = provider(&guarded(&fake, 2, LONG_MS));
    for _ in 0..6 {
        assert_ne!(ask(&provider).await, Err(Cause::CircuitOpen));
    }
    assert_eq!(ask(&provider).await, Err(Cause::CircuitOpen));
}

#[actix_rt::test]
async fn refusals_and_quotas_do_not_open_it() {
    let mut scripts: Vec<Script> =
        [400, 401, 402, 403, 404, 422, 429, 302].map(|status| replying(error(status, None, "No.", &[]))).into();
    scripts.push(replying(error(429, Some("insufficient_quota"), "Pay.", &[])));
    scripts.push(replying(response(200, &[], "<html>")));
    let refusals = scripts.len();
    scripts.push(replying(answer("Hello")));
    let fake = Fake::play(scripts);
    let provider = provider(&guarded(&fake, 1, LONG_MS));
    for _ in 0..refusals {
        assert!(!matches!(ask(&provider).await, Ok(()) | Err(Cause::CircuitOpen)));
    }
    assert_eq!((ask(&provider).await, fake.requests().len()), (Ok(()), refusals + 1));
}

#[actix_rt::test]
async fn a_deadline_or_a_caller_who_goes_away_does_not_open_it() {
    let fake = Fake::play([stalled()]);
    let provider = provider(&Config { deadline_ms: 300, ..guarded(&fake, 1, LONG_MS) });
    assert!(timeout(Duration::from_millis(100), ask(&provider)).await.is_err());
    assert_eq!(ask(&provider).await, Err(Cause::Timeout));
    assert_eq!((ask(&provider).await, fake.requests().len()), (Err(Cause::Timeout), 3));
}

#[actix_rt::test]
async fn a_breaker_that_is_off_never_opens() {
    let fake = Fake::play([unavailable()]);
    let provider = provider(&guarded(&fake, 0, LONG_MS));
    for _ in 0..20 {
        assert_eq!(ask(&provider).await, Err(Cause::Unavailable));
    }
    assert_eq!(fake.requests().len(), 20);
}

#[actix_rt::test]
async fn a_circuit_that_opens_ends_the_retries_and_the_true_cause_is_told() {
    let fake = Fake::play([unavailable()]);
    let provider = provider(&Config { retries_max: 5, ..guarded(&fake, 2, LONG_MS) });
    assert_eq!((ask(&provider).await, fake.requests().len()), (Err(Cause::Unavailable), 2));
}

#[actix_rt::test]
async fn a_half_open_circuit_lets_one_probe_through_among_many_and_closes_when_it_is_answered() {
    let fake = Fake::play([unavailable(), slow_hello(300), slow_hello(1)]);
    let provider = provider(&Config { calls_max: 1, ..guarded(&fake, 1, 200) });
    assert_eq!(ask(&provider).await, Err(Cause::Unavailable));
    sleep(Duration::from_millis(250)).await;
    let outcomes = join_all((0..20).map(|_| ask(&provider))).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(())).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Cause::CircuitOpen)).count(), 19, "{outcomes:?}");
    assert_eq!(fake.requests().len(), 2);
    assert!(join_all((0..20).map(|_| ask(&provider))).await.into_iter().all(|outcome| outcome == Ok(())));
}

#[actix_rt::test]
async fn a_probe_that_fails_opens_it_again() {
    let cut_after_the_head = replying([stream_head(), chunk(": x\n\n")].concat());
    for (probe, cause) in [(unavailable(), Cause::Unavailable), (cut_after_the_head, Cause::ResponseCut)] {
        let fake = Fake::play([unavailable(), unavailable(), probe, slow_hello(1)]);
        let provider = provider(&Config { retries_max: 3, ..guarded(&fake, 2, 400) });
        assert_eq!(ask(&provider).await, Err(Cause::Unavailable));
        assert_eq!(ask_after(&provider, 450).await, Err(cause));
        assert_eq!((ask(&provider).await, fake.requests().len()), (Err(Cause::CircuitOpen), 3));
        assert_eq!((ask_after(&provider, 450).await, fake.requests().len()), (Ok(()), 4));
    }
}

#[actix_rt::test]
async fn a_dropped_probe_makes_room_for_another() {
    let fake = Fake::play([unavailable(), stalled(), slow_hello(1)]);
    let provider = provider(&guarded(&fake, 1, 200));
    assert_eq!(ask(&provider).await, Err(Cause::Unavailable));
    sleep(Duration::from_millis(250)).await;
    let probe = timeout(Duration::from_millis(400), ask(&provider));
    let (probe, meanwhile) = join(probe, ask_after(&provider, 100)).await;
    assert_eq!((probe.is_err(), meanwhile), (true, Err(Cause::CircuitOpen)));
    assert_eq!((ask(&provider).await, fake.requests().len()), (Ok(()), 3));
}

#[actix_rt::test]
async fn the_head_of_a_probes_answer_closes_the_circuit_before_its_end() {
    let last = [chunk(event(&completed(&json!([text_item("Hello")])))), chunk("")].concat();
    let long = Script::new().expect().send(stream_head()).sleep_ms(600).send(last);
    let fake = Fake::play([unavailable(), long, slow_hello(1)]);
    let provider = provider(&guarded(&fake, 1, 100));
    assert_eq!(ask(&provider).await, Err(Cause::Unavailable));
    sleep(Duration::from_millis(150)).await;
    assert_eq!(join(ask(&provider), ask_after(&provider, 250)).await, (Ok(()), Ok(())));
}

#[actix_rt::test]
async fn a_failure_from_before_the_opening_says_nothing_after_it() {
    let fake = Fake::play([Script::new().expect().sleep_ms(900), unavailable(), slow_hello(1)]);
    let provider = provider(&guarded(&fake, 1, 100));
    let recovery = async {
        assert_eq!(ask_after(&provider, 200).await, Err(Cause::Unavailable));
        assert_eq!(ask_after(&provider, 200).await, Ok(()));
    };
    assert_eq!(join(ask(&provider), recovery).await.0, Err(Cause::ResponseCut));
    assert_eq!(ask(&provider).await, Ok(()));
}

#[actix_rt::test]
async fn no_more_calls_are_in_flight_than_allowed_and_none_of_the_others_is_lost() {
    let fake = Fake::play([slow_hello(100)]);
    let provider = limited(&fake, 3, 100);
    let outcomes = join_all((0..12).map(|_| ask(&provider))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(())), "{outcomes:?}");
    assert_eq!((fake.requests().len(), fake.simultaneous_max()), (12, 3));
}

#[actix_rt::test]
async fn calls_in_line_are_served_first_come_first_served() {
    let fake = Fake::play([slow_hello(20)]);
    let provider = limited(&fake, 1, 100);
    let texts: Vec<String> = (0..10).map(|number| format!("call-{number}")).collect();
    join_all(texts.iter().map(|text| say(&provider, text))).await;
    let requests = fake.requests();
    assert_eq!(requests.len(), texts.len());
    for (request, text) in requests.iter().zip(&texts) {
        assert!(String::from_utf8_lossy(&request.body).contains(text.as_str()), "{text}: {request:?}");
    }
}

#[actix_rt::test]
async fn a_full_line_is_told_at_once() {
    let fake = Fake::play([slow_hello(500)]);
    let provider = limited(&fake, 1, 2);
    let late = async {
        sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        let failure = say(&provider, "Hi").await.unwrap_err();
        let models = Upstream::new(&provider).models().await.unwrap_err();
        (failure, models.cause, began.elapsed())
    };
    let (three, (failure, models, took)) = join(join_all((0..3).map(|_| ask(&provider))), late).await;
    assert_eq!(three, [Ok(()), Ok(()), Ok(())]);
    assert_eq!((failure.cause, failure.cause.code(), models), (Cause::Overloaded, "overloaded", Cause::Overloaded));
    assert!(failure.sentence.contains("upstream.calls_queued_max") && took < Duration::from_millis(350), "{took:?}");
    assert_eq!((fake.requests().len(), ask(&provider).await), (3, Ok(())));
}

#[actix_rt::test]
async fn a_caller_who_leaves_the_line_frees_the_place() {
    let fake = Fake::play([slow_hello(600)]);
    let provider = limited(&fake, 1, 1);
    let leaving = timeout(Duration::from_millis(100), ask_after(&provider, 10));
    let (first, (leaving, last)) = join(ask(&provider), join(leaving, ask_after(&provider, 250))).await;
    assert_eq!((first, leaving.is_err(), last), (Ok(()), true, Ok(())));
    assert_eq!(fake.requests().len(), 2);
}

#[actix_rt::test]
async fn the_wait_in_line_counts_against_the_deadline() {
    let fake = Fake::play([slow_hello(700), stalled()]);
    let slots = Config { calls_max: 1, deadline_ms: 1000, ..guarded(&fake, 1, LONG_MS) };
    let provider = provider(&slots);
    let began = Instant::now();
    let outcomes = join_all((0..5).map(|_| ask(&provider))).await;
    assert!((1000..1650).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert_eq!(outcomes[0], Ok(()));
    assert_eq!(outcomes[1], Err(Cause::Timeout), "no deadline of its own after the wait, and no sign of ill health");
    assert!(outcomes[2..].iter().all(|outcome| matches!(outcome, Err(Cause::Timeout | Cause::Overloaded))));
}

#[actix_rt::test]
async fn those_in_line_are_told_at_once_when_the_circuit_opens() {
    let fake = Fake::play([Script::new().expect().sleep_ms(300).send(error(503, None, "", &[]))]);
    let provider = limited(&fake, 1, 100);
    let outcomes = join_all((0..20).map(|_| ask(&provider))).await;
    assert_eq!(outcomes[0], Err(Cause::Unavailable));
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Err(Cause::CircuitOpen)), "{outcomes:?}");
    assert_eq!(fake.requests().len(), 1);
}
