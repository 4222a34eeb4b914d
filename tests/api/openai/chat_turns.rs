//! `POST /openai/chat`: what a turn costs and promises, seen from the database.

use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{App, Provider, Wire, fresh_database};

#[actix_rt::test]
async fn a_turn_costs_two_round_trips_to_the_database() {
    let url = fresh_database().await;
    let wire = Wire::before(&url).await;
    let app = App::on(&wire.url, &Provider::start().base_url, "database.writers = 1").await;
    let thread_id = app.thread().await;
    app.chat(&thread_id, "Prepare the statements.").await.expect(200);
    let mut rounds = Vec::new();
    for round in 0..4 {
        let before = wire.round_trips();
        for turn in 0..5 {
            app.chat(&thread_id, &format!("Round {round}, turn {turn}")).await.expect(200);
        }
        rounds.push(wire.round_trips() - before);
    }
    // A reconnection on a busy machine adds to its round; nothing takes away.
    assert_eq!(rounds.iter().min(), Some(&10), "{rounds:?}");
}

#[actix_rt::test]
async fn no_connection_is_held_while_the_model_is_called() {
    let app = App::with(&Provider::start().base_url, "database.writers = 1").await;
    let (slow, other) = (app.thread().await, app.thread().await);
    let started = app.chat(&slow, "[[simulate: slow_head=1500]]");
    let meanwhile = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        app.chat(&other, "Quick one.").await.expect(200);
        app.count("runs where status = 'in_progress'").await
    };
    let (slow, unfinished) = futures_util::join!(started, meanwhile);
    slow.expect(200);
    assert_eq!(unfinished, 1);
}

#[actix_rt::test]
async fn a_thread_has_one_unfinished_run_however_many_ask() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let text = "[[simulate: slow_head=500]]";
    let body = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": text, "on_busy": "reject" });
    let answers = join_all((0..20).map(|_| app.post("/openai/chat", &body))).await;
    let answered = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(answered >= 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.expect_error(400, "thread_busy");
    }
    assert_eq!(app.count("messages").await, 2 * i64::try_from(answered).unwrap());
    assert_eq!(app.count("runs where status <> 'completed'").await, 0);
}

#[actix_rt::test]
async fn positions_have_no_gap_and_no_double() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    for round in 0..5 {
        join_all((0..4).map(|_| app.chat(&thread_id, "Me first!"))).await;
        app.chat(&thread_id, &format!("Round {round}")).await;
    }
    let (count, last): (i64, i64) = sqlx::query_as("select count(*), max(position) from messages where thread_id = $1")
        .bind(&thread_id)
        .fetch_one(&app.database)
        .await
        .unwrap();
    assert_eq!(count, last);
}

#[actix_rt::test]
async fn a_client_that_hangs_up_does_not_stop_the_turn() {
    let app = App::start().await;
    for stream in [false, true] {
        let thread_id = app.thread().await;
        let text = "[[simulate: slow_head=700]]";
        let body = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": text, "stream": stream });
        app.send_and_hang_up("/openai/chat", &body).await;
        app.wait_for(&format!("messages where role = 'assistant' and thread_id = '{thread_id}'"), 1).await;
    }
}

#[actix_rt::test]
async fn deltas_arrive_before_the_answer_is_complete() {
    let provider = Provider::with_delta_delay_ms(50);
    let app = App::against(&provider.base_url).await;
    let thread_id = app.thread().await;
    let body = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": "Hello!", "stream": true });
    let mut stream = app.open_stream("/openai/chat", &body).await;
    let mut text = String::new();
    while !text.contains("event: delta") {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    assert_eq!(app.count("runs where status = 'in_progress'").await, 1);
    while let Some(chunk) = stream.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    assert!(text.contains("event: completed"));
}

#[actix_rt::test]
async fn the_audit_and_versions_cannot_be_rewritten() {
    let app = App::start().await;
    app.chat(&app.thread().await, "Hello!").await.expect(200);
    for statement in [
        "update audit_events set who = '{}'",
        "delete from audit_events",
        "truncate audit_events",
        "update agent_versions set model = 'other'",
        "delete from agent_versions",
    ] {
        let error = sqlx::query(statement).execute(&app.database).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
}
