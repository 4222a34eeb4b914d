//! `POST /openai/cancel`.

use serde_json::json;

use crate::harness::{App, Provider};

const SLOW: &str = "[[simulate: slow_head=9000]]";

#[actix_rt::test]
async fn a_running_turn_is_cancelled_on_whichever_replica_it_runs() {
    let (one, two) = App::two().await;
    for by in [&one, &two] {
        let thread_id = one.thread().await;
        let cancelling = async {
            one.wait_for("runs where status = 'in_progress'", 1).await;
            by.post("/openai/cancel", &json!({ "thread_id": thread_id })).await
        };
        let (turn, cancelled) = futures_util::join!(one.chat(&thread_id, SLOW), cancelling);
        turn.expect_error(400, "cancelled");
        let body = cancelled.expect(200);
        assert_eq!(body["status"], "cancelled");
        assert!(body["run_id"].as_str().unwrap().starts_with("run_"));
        one.chat(&thread_id, "Free again?").await.expect(200);
    }
    assert_eq!(one.count("audit_events where action = 'turn.cancelled'").await, 2);
}

#[actix_rt::test]
async fn an_idle_or_unknown_thread_has_nothing_to_cancel() {
    let app = App::start().await;
    let idle = json!({ "thread_id": app.thread().await });
    app.post("/openai/cancel", &idle).await.expect_error(400, "no_running_turn");
    app.post("/openai/cancel", &json!({ "thread_id": "thread_no" })).await.expect_error(400, "thread_not_found");
    app.post("/openai/cancel", &json!({})).await.expect_error(400, "missing_field");
}

#[actix_rt::test]
async fn a_cancelled_stream_ends_with_an_error_event() {
    let app = App::against(&Provider::with_delta_delay_ms(300).base_url).await;
    let thread_id = app.thread().await;
    let body = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": "Hello!", "stream": true });
    let cancelling = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        app.post("/openai/cancel", &json!({ "thread_id": thread_id })).await
    };
    let (stream, cancelled) = futures_util::join!(app.post("/openai/chat", &body), cancelling);
    cancelled.expect(200);
    let (name, data) = stream.events().pop().unwrap();
    assert_eq!((name.as_str(), data["code"].as_str().unwrap()), ("error", "cancelled"));
}
