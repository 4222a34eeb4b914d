//! `POST /openai/chat` on a busy thread: the four policies, on one replica and across two.

use serde_json::{Value, json};

use crate::harness::{Answer, App, Provider};

const SLOW: &str = "[[simulate: slow_head=600]]";

async fn ask(app: &App, thread_id: &str, text: &str, on_busy: &str) -> Answer {
    let body = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": text, "on_busy": on_busy });
    app.post("/openai/chat", &body).await
}

#[actix_rt::test]
async fn a_second_turn_waits_for_the_first() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let second = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        ask(&app, &thread_id, "Second.", "wait").await
    };
    let (first, second) = futures_util::join!(app.chat(&thread_id, SLOW), second);
    first.expect(200);
    assert!(second.expect(200)["response"].as_str().unwrap().contains("message 2 of our conversation"));
}

#[actix_rt::test]
async fn a_turn_of_another_replica_is_waited_for_too() {
    let (one, two) = App::two().await;
    let thread_id = one.thread().await;
    let second = async {
        one.wait_for("runs where status = 'in_progress'", 1).await;
        two.chat(&thread_id, "Second.").await
    };
    let (first, second) = futures_util::join!(one.chat(&thread_id, SLOW), second);
    first.expect(200);
    second.expect(200);
    assert_eq!(one.count("turn_tickets").await, 0);
}

#[actix_rt::test]
async fn who_came_first_is_served_first() {
    let (one, two) = App::two().await;
    let thread_id = one.thread().await;
    let texts = in_order(&one, &two, &thread_id).await;
    assert_eq!(texts, (0..6).map(|number| format!("Number {number}")).collect::<Vec<_>>());
}

/// Sends six questions, each once the one before it stands in line, and answers the order of the questions on record.
async fn in_order(one: &App, two: &App, thread_id: &str) -> Vec<String> {
    one.send_and_hang_up("/openai/chat", &body(thread_id, "[[simulate: slow_head=6000]]")).await;
    for number in 0_i64..6 {
        let app = if number % 2 == 0 { one } else { two };
        app.send("/openai/chat", &body(thread_id, &format!("Number {number}"))).await;
        one.wait_for("turn_tickets", number + 1).await;
    }
    one.wait_for("runs where status = 'completed'", 7).await;
    sqlx::query_scalar(
        "select content->0->'text'->>'value' from messages where role = 'user' and position > 2 order by position",
    )
    .fetch_all(&one.database)
    .await
    .unwrap()
}

fn body(thread_id: &str, text: &str) -> Value {
    json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": text })
}

#[actix_rt::test]
async fn rejected_turns_are_400_with_retry_after_and_leave_nothing() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let second = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        ask(&app, &thread_id, "Second.", "reject").await
    };
    let (first, second) = futures_util::join!(app.chat(&thread_id, SLOW), second);
    first.expect(200);
    second.expect_error(400, "thread_busy");
    assert_eq!(second.headers.get("retry-after").unwrap(), "1");
    assert_eq!((app.count("messages").await, app.count("turn_tickets").await), (2, 0));
}

#[actix_rt::test]
async fn a_wait_that_runs_out_is_thread_busy_and_leaves_nothing() {
    let app = App::with(&Provider::start().base_url, "turns.wait_ms = 200").await;
    let thread_id = app.thread().await;
    let second = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        ask(&app, &thread_id, "Second.", "wait").await
    };
    let (first, second) = futures_util::join!(app.chat(&thread_id, "[[simulate: slow_head=1500]]"), second);
    first.expect(200);
    second.expect_error(400, "thread_busy");
    assert_eq!((app.count("messages").await, app.count("turn_tickets").await), (2, 0));
}

#[actix_rt::test]
async fn a_replacing_turn_cancels_the_running_one_and_both_questions_stay() {
    let (one, two) = App::two().await;
    let thread_id = one.thread().await;
    let second = async {
        one.wait_for("runs where status = 'in_progress'", 1).await;
        ask(&two, &thread_id, "Rather this.", "replace").await
    };
    let (first, second) = futures_util::join!(one.chat(&thread_id, "[[simulate: slow_head=9000]]"), second);
    first.expect_error(400, "cancelled");
    second.expect(200);
    assert_eq!(one.count("messages where role = 'user'").await, 2);
    assert_eq!(one.count("runs where status = 'cancelled' and error_code = 'cancelled'").await, 1);
}

#[actix_rt::test]
async fn a_queued_turn_outlives_the_patience_of_the_settings() {
    let app = App::with(&Provider::start().base_url, "turns.wait_ms = 100").await;
    let thread_id = app.thread().await;
    let second = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        ask(&app, &thread_id, "Second.", "queue").await
    };
    let (first, second) = futures_util::join!(app.chat(&thread_id, SLOW), second);
    first.expect(200);
    second.expect(200);
}

#[actix_rt::test]
async fn an_agents_policy_goes_before_the_settings() {
    let app = App::start().await;
    app.apply_agent("name = 'sample'\nmodel = 'simulated-1'\non_busy = 'reject'").await;
    let thread_id = app.thread().await;
    let second = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        app.chat(&thread_id, "Second.").await
    };
    let (first, second) = futures_util::join!(app.chat(&thread_id, SLOW), second);
    first.expect(200);
    second.expect_error(400, "thread_busy");
}

#[actix_rt::test]
async fn an_unknown_policy_is_400_and_writes_nothing() {
    let app = App::start().await;
    let sentence = ask(&app, &app.thread().await, "Hello!", "later").await.expect_error(400, "invalid_field");
    assert!(sentence.contains("on_busy") && sentence.contains("replace"), "{sentence}");
    assert_eq!(app.count("messages").await, 0);
}
