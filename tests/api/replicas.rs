//! What replicas do for each other: leases, the sweeper, and the end of a process.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::harness::{App, Provider, Wire, fresh_database};

const BRISK: &str = "turns.lease_ms = 900\nturns.sweep_ms = 100";

#[actix_rt::test]
async fn a_turn_longer_than_its_lease_keeps_its_run() {
    let app = App::with(&Provider::start().base_url, BRISK).await;
    app.chat(&app.thread().await, "[[simulate: slow_head=2500]]").await.expect(200);
    assert_eq!(app.count("audit_events where action = 'turn.swept'").await, 0);
}

#[actix_rt::test]
async fn a_run_of_a_replica_that_is_cut_off_is_swept_and_its_late_answer_is_void() {
    let (url, provider) = (fresh_database().await, Provider::start());
    let wire = Wire::before(&url).await;
    let (cut_off, other) =
        (App::on(&wire.url, &provider.base_url, BRISK).await, App::on(&url, &provider.base_url, BRISK).await);
    let thread_id = cut_off.thread().await;
    let rest = async {
        other.wait_for("runs where status = 'in_progress'", 1).await;
        wire.cut();
        other.wait_for("runs where status = 'failed' and error_code = 'interrupted'", 1).await;
        other.chat(&thread_id, "Free?").await.expect(200);
        wire.restore();
    };
    let (late, ()) = futures_util::join!(cut_off.chat(&thread_id, "[[simulate: slow_head=3000]]"), rest);
    assert_ne!(late.status, 200);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(other.count("messages where role = 'assistant'").await, 1);
    assert_eq!(other.count("audit_events where action = 'turn.swept' and code = 'interrupted'").await, 1);
}

#[actix_rt::test]
async fn an_interrupted_run_is_tried_once_more_where_the_settings_say_so() {
    let (url, provider) = (fresh_database().await, Provider::start());
    let retry = format!("{BRISK}\nturns.retry_interrupted = true");
    let app = App::on(&url, &provider.base_url, &retry).await;
    let thread_id = app.thread().await;
    app.chat(&thread_id, "[[simulate: cut]] Well?").await.expect_error(400, "response_cut");
    abandon(&app).await;
    app.wait_for("runs where status = 'in_progress' or attempt = 2", 1).await;
    app.wait_for("audit_events where action = 'turn.continued'", 1).await;
}

/// Makes the only run look like one whose replica died.
async fn abandon(app: &App) {
    sqlx::query(
        "update runs set status = 'in_progress', lease_owner = 'replica_gone', lease_until = now() - interval '1 s',
         finished_at = null",
    )
    .execute(&app.database)
    .await
    .unwrap();
}

#[actix_rt::test]
async fn a_key_continues_the_turn_that_its_replica_left() {
    let app = App::with(&Provider::start().base_url, BRISK).await;
    let thread_id = app.thread().await;
    let body =
        json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": "[[simulate: cut times=1]] Go on." });
    app.post_with("/openai/chat", &[("idempotency-key", "k")], &body).await.expect_error(400, "response_cut");
    abandon(&app).await;
    let answer = app.post_with("/openai/chat", &[("idempotency-key", "k")], &body).await.expect(200);
    assert_eq!(answer["thread_id"], thread_id.as_str());
    assert_eq!(app.count("messages").await, 2);
}

#[actix_rt::test]
async fn a_durable_question_of_a_replica_that_is_gone_is_asked_by_another() {
    let app = App::with(&Provider::start().base_url, BRISK).await;
    let thread_id = app.thread().await;
    sqlx::query(
        "insert into turn_tickets (project_id, thread_id, run_id, replica_id, question)
         values ('proj_default', $1, 'run_left', 'replica_gone', jsonb_build_object('user_id', null, 'agent', 'sample',
             'message_id', 'msg_left', 'content', '[{\"type\":\"text\",\"text\":{\"value\":\"Left behind.\"}}]'::jsonb,
             'actor', 'open', 'request_id', 'req_left'))",
    )
    .bind(&thread_id)
    .execute(&app.database)
    .await
    .unwrap();
    app.wait_for("runs where id = 'run_left' and status = 'completed'", 1).await;
    assert_eq!(app.count("turn_tickets").await, 0);
}

#[actix_rt::test]
async fn an_answer_that_finds_the_database_away_is_written_when_it_is_back() {
    let wire = Wire::before(&fresh_database().await).await;
    let app = App::on(&wire.url, &Provider::start().base_url, "").await;
    let thread_id = app.thread().await;
    let rest = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        wire.cut();
        sleep(Duration::from_millis(1200)).await;
        wire.restore();
    };
    let (answer, ()) = futures_util::join!(app.chat(&thread_id, "[[simulate: slow_head=500]]"), rest);
    answer.expect(200);
    assert_eq!(app.count("messages").await, 2);
}

#[actix_rt::test]
async fn a_stopping_process_lets_running_turns_end_and_refuses_new_ones() {
    let app = App::start().await;
    let (slow, other) = (app.thread().await, app.thread().await);
    let stopping = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        app.ask_to_stop();
        sleep(Duration::from_millis(100)).await;
        app.get("/readyz").await.expect_error(503, "draining");
        let refused = app.chat(&other, "Too late?").await;
        refused.expect_error(503, "draining");
        assert!(refused.headers.contains_key("retry-after"));
    };
    let (answer, ()) = futures_util::join!(app.chat(&slow, "[[simulate: slow_head=1000]]"), stopping);
    answer.expect(200);
}

#[actix_rt::test]
async fn a_turn_that_outlasts_the_drain_is_left_to_others_at_once() {
    let (url, provider) = (fresh_database().await, Provider::start());
    let stopping = App::on(&url, &provider.base_url, "server.drain_ms = 300").await;
    let other = App::on(&url, &provider.base_url, "turns.sweep_ms = 100").await;
    let thread_id = stopping.thread().await;
    let body = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": "[[simulate: slow_head=9000]]" });
    stopping.send_and_hang_up("/openai/chat", &body).await;
    stopping.ask_to_stop();
    other.wait_for("runs where error_code = 'interrupted'", 1).await;
    other.chat(&thread_id, "Free?").await.expect(200);
}
