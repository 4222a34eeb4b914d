//! `Idempotency-Key` on every POST route, and blind retries of SDKs.

use serde_json::{Value, json};

use crate::harness::{Answer, App, Provider};

fn question(thread_id: &str, text: &str) -> Value {
    json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": text })
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
}

#[actix_rt::test]
async fn the_same_key_and_body_have_the_same_answer_on_any_replica() {
    let (one, two) = App::two().await;
    let body = question(&one.thread().await, "Once.");
    let first = one.post_with("/openai/chat", &[("idempotency-key", "a")], &body).await;
    for app in [&one, &two] {
        let again = app.post_with("/openai/chat", &[("idempotency-key", "a")], &body).await;
        assert!(is_replayed(&again) && !is_replayed(&first));
        assert_eq!(again.expect(200), first.expect(200));
    }
    assert_eq!((one.count("messages").await, one.count("runs").await), (2, 1));
}

#[actix_rt::test]
async fn a_retry_while_the_first_attempt_runs_waits_for_its_answer() {
    let (one, two) = App::two().await;
    let body = question(&one.thread().await, "[[simulate: slow_head=800]]");
    let retry = async {
        one.wait_for("runs where status = 'in_progress'", 1).await;
        two.post_with("/openai/chat", &[("idempotency-key", "b")], &body).await
    };
    let first = one.post_with("/openai/chat", &[("idempotency-key", "b")], &body);
    let (first, retry) = futures_util::join!(first, retry);
    assert_eq!(retry.expect(200), first.expect(200));
    assert!(is_replayed(&retry));
    assert_eq!(one.count("runs").await, 1);
}

#[actix_rt::test]
async fn many_at_once_with_one_key_are_one_turn() {
    let (one, two) = App::two().await;
    let body = question(&one.thread().await, "Once only.");
    let sent = (0..20).map(|number| {
        let app = if number % 2 == 0 { &one } else { &two };
        app.post_with("/openai/chat", &[("idempotency-key", "c")], &body)
    });
    let answers = futures_util::future::join_all(sent).await;
    let first = answers[0].expect(200);
    assert!(answers.iter().all(|answer| answer.expect(200) == first));
    assert_eq!((one.count("messages").await, one.count("runs").await), (2, 1));
}

#[actix_rt::test]
async fn a_failed_turn_is_continued_by_its_key_and_the_question_is_not_doubled() {
    let app = App::with(&Provider::start().base_url, "upstream.retries_max = 0").await;
    let body = question(&app.thread().await, "[[simulate: cut times=1]] Well?");
    app.post_with("/openai/chat", &[("idempotency-key", "d")], &body).await.expect_error(400, "response_cut");
    let answer = app.post_with("/openai/chat", &[("idempotency-key", "d")], &body).await.expect(200);
    let run: (i32, String) = sqlx::query_as("select attempt, status from runs").fetch_one(&app.database).await.unwrap();
    assert_eq!(run, (2, "completed".to_owned()));
    assert_eq!(app.count("messages").await, 2);
    assert_eq!(app.count("audit_events where action = 'turn.continued'").await, 1);
    assert!(answer["response"].as_str().unwrap().contains("Well?"));
}

#[actix_rt::test]
async fn another_body_or_route_with_the_same_key_is_refused() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let key = [("idempotency-key", "e")];
    app.post_with("/openai/chat", &key, &question(&thread_id, "This.")).await.expect(200);
    let other = app.post_with("/openai/chat", &key, &question(&thread_id, "That.")).await;
    other.expect_error(400, "idempotency_key_reused");
    let route = app.post_with("/openai/initialize", &key, &json!({ "agent_id": "sample" })).await;
    route.expect_error(400, "idempotency_key_reused");
    assert_eq!((app.count("messages").await, app.count("threads").await), (2, 1));
}

#[actix_rt::test]
async fn every_other_act_happens_once_per_key() {
    let app = App::start().await;
    let sample = json!({ "agent_id": "sample" });
    let first = app.post_with("/openai/initialize", &[("idempotency-key", "f")], &sample).await.expect(200);
    let again = app.post_with("/openai/initialize", &[("idempotency-key", "f")], &sample).await;
    assert!(is_replayed(&again) && again.expect(200) == first);
    assert_eq!(app.count("threads").await, 1);
    let gone = app.post_with("/openai/delete_agent", &[("idempotency-key", "g")], &sample).await.expect(200);
    let again = app.post_with("/openai/delete_agent", &[("idempotency-key", "g")], &sample).await;
    assert!(is_replayed(&again) && again.expect(200) == gone);
}

#[actix_rt::test]
async fn an_act_that_failed_may_be_tried_again_with_its_key() {
    let app = App::start().await;
    let later = json!({ "agent_id": "later" });
    let key = [("idempotency-key", "h")];
    app.post_with("/openai/initialize", &key, &later).await.expect_error(404, "agent_not_found");
    app.apply_agent("name = 'later'\nmodel = 'simulated-1'").await;
    app.post_with("/openai/initialize", &key, &later).await.expect(200);
}

#[actix_rt::test]
async fn a_malformed_key_is_400_and_writes_nothing() {
    let app = App::start().await;
    let body = question(&app.thread().await, "Hello!");
    for key in ["", "with space", &"k".repeat(256)] {
        let answer = app.post_with("/openai/chat", &[("idempotency-key", key)], &body).await;
        answer.expect_error(400, "invalid_idempotency_key");
    }
    assert_eq!((app.count("messages").await, app.count("idempotency_keys").await), (0, 0));
}

#[actix_rt::test]
async fn a_blind_retry_of_an_sdk_is_recognised_and_a_new_request_is_not_taken_for_one() {
    let app = App::start().await;
    let body = question(&app.thread().await, "Yes.");
    let send = |count: &'static str| {
        let (app, body) = (&app, &body);
        async move { app.post_with("/openai/chat", &[("x-stainless-retry-count", count)], body).await }
    };
    let first = send("0").await.expect(200);
    assert_eq!(send("1").await.expect(200), first);
    let second = send("0").await.expect(200);
    assert_ne!(second, first);
    assert_eq!(send("2").await.expect(200), second);
    assert_eq!(app.count("runs").await, 2);
}

#[actix_rt::test]
async fn the_heuristic_can_be_switched_off() {
    let app = App::with(&Provider::start().base_url, "turns.blind_retry_ms = 0").await;
    let body = question(&app.thread().await, "Yes.");
    for count in ["0", "1"] {
        app.post_with("/openai/chat", &[("x-stainless-retry-count", count)], &body).await.expect(200);
    }
    assert_eq!((app.count("runs").await, app.count("idempotency_keys").await), (2, 0));
}

#[actix_rt::test]
async fn keys_past_their_time_are_forgotten() {
    let app = App::with(&Provider::start().base_url, "turns.key_keep_ms = 300\nturns.sweep_ms = 100").await;
    let body = question(&app.thread().await, "Again?");
    let first = app.post_with("/openai/chat", &[("idempotency-key", "i")], &body).await.expect(200);
    app.wait_for("idempotency_keys", 0).await;
    let second = app.post_with("/openai/chat", &[("idempotency-key", "i")], &body).await.expect(200);
    assert_ne!(first["run_id"], second["run_id"]);
}
