//! `POST /openai/chat` when the provider fails, and the same for the database's part of it.

use serde_json::{Value, json};

use crate::harness::{App, Provider, Wire, fresh_database};

const QUICK: &str = "upstream.idle_timeout_ms = 300\nupstream.first_byte_timeout_ms = 300\nupstream.retries_max = 1\n\
                     upstream.response_bytes_max = 2000000";

/// What the caller of a turn sees of each fault, and how the run ends.
const FAULTS: [(&str, &str, &str); 18] = [
    ("status=400", "upstream_rejected", "failed"),
    ("status=401", "upstream_unauthorized", "failed"),
    ("status=403", "upstream_unauthorized", "failed"),
    ("status=429", "upstream_rate_limited", "failed"),
    ("quota", "upstream_quota_exhausted", "failed"),
    ("status=500", "upstream_unavailable", "failed"),
    ("status=503", "upstream_unavailable", "failed"),
    ("cut", "response_cut", "failed"),
    ("no_terminal", "response_cut", "failed"),
    ("stall", "upstream_timeout", "failed"),
    ("slow_head=5000", "upstream_timeout", "failed"),
    ("garbage", "response_malformed", "failed"),
    ("html", "response_malformed", "failed"),
    ("huge=8", "response_too_large", "failed"),
    ("refusal", "response_refused", "failed"),
    ("incomplete", "response_incomplete", "incomplete"),
    ("failed", "response_failed", "failed"),
    ("empty", "response_empty", "failed"),
];

async fn app() -> App {
    App::with(&Provider::start().base_url, QUICK).await
}

#[actix_rt::test]
async fn every_fault_is_a_clear_400_and_the_thread_can_be_used_at_once() {
    let app = app().await;
    for (fault, code, status) in FAULTS {
        let thread_id = app.thread().await;
        let sentence = app.chat(&thread_id, &format!("[[simulate: {fault}]]")).await.expect_error(400, code);
        assert!(sentence.len() > 20 && !sentence.contains("sqlx") && !sentence.contains("awc"), "{fault}: {sentence}");
        let run: (String, String, String, i64) = sqlx::query_as(
            "select status, error_code, error_message, (select count(*) from messages where run_id = runs.id)
             from runs where thread_id = $1",
        )
        .bind(&thread_id)
        .fetch_one(&app.database)
        .await
        .unwrap();
        assert_eq!(
            (run.0.as_str(), run.1.as_str(), run.2.as_str(), run.3),
            (status, code, sentence.as_str(), 1),
            "{fault}"
        );
        let audited: (String, String) =
            sqlx::query_as("select outcome, code from audit_events where thread_id = $1 and action = 'turn.closed'")
                .bind(&thread_id)
                .fetch_one(&app.database)
                .await
                .unwrap();
        assert_eq!(audited, ("failed".to_owned(), code.to_owned()), "{fault}");
        app.chat(&thread_id, "And now?").await.expect(200);
    }
}

#[actix_rt::test]
async fn the_question_of_a_failed_turn_stays_in_what_the_model_sees() {
    let app = app().await;
    let thread_id = app.thread().await;
    app.chat(&thread_id, "[[simulate: cut]] Where is Oslo?").await.expect_error(400, "response_cut");
    let body = app.chat(&thread_id, "Well?").await.expect(200);
    assert!(body["response"].as_str().unwrap().contains("Where is Oslo?"), "{body}");
}

#[actix_rt::test]
async fn a_function_call_ends_the_turn_with_a_code_of_its_own() {
    let app = app().await;
    app.apply_agent(
        "name = 'tools'\nmodel = 'simulated-1'\n[[tools]]\ntype = 'function'\nfunction = { name = 'weather' }",
    )
    .await;
    let thread = app.post("/openai/initialize", &json!({ "agent_id": "tools" })).await.expect(200);
    let body =
        json!({ "agent_id": "tools", "thread_id": thread["thread_id"], "user_input": "[[simulate: function_call]]" });
    app.post("/openai/chat", &body).await.expect_error(400, "function_call_unsupported");
}

#[actix_rt::test]
async fn a_fault_that_passes_is_retried_and_not_seen() {
    let app = app().await;
    for fault in ["status=500 times=1", "status=429 times=1", "status=409 times=1"] {
        app.chat(&app.thread().await, &format!("[[simulate: {fault}]]")).await.expect(200);
    }
}

#[actix_rt::test]
async fn what_other_servers_send_is_understood() {
    let app = app().await;
    for variant in ["no_event_lines", "done_marker", "unknown_events"] {
        app.chat(&app.thread().await, &format!("[[simulate: {variant}]]")).await.expect(200);
    }
}

#[actix_rt::test]
async fn a_provider_that_is_away_is_400_and_recorded() {
    let app = App::with("http://127.0.0.1:9/v1", "upstream.retries_max = 0").await;
    let thread_id = app.thread().await;
    app.chat(&thread_id, "Hello?").await.expect_error(400, "upstream_unreachable");
    assert_eq!(app.count("runs where status = 'failed' and error_code = 'upstream_unreachable'").await, 1);
}

#[actix_rt::test]
async fn a_database_that_is_away_is_503_with_retry_after_and_needs_no_restart() {
    let wire = Wire::before(&fresh_database().await).await;
    let app = App::on(&wire.url, &Provider::start().base_url, "").await;
    let thread_id = app.thread().await;
    wire.cut();
    let answer = app.chat(&thread_id, "Hello?").await;
    answer.expect_error(503, "database_unavailable");
    assert_eq!(answer.headers.get("retry-after").unwrap(), "1");
    app.get("/readyz").await.expect_error(503, "database_unavailable");
    app.get("/healthz").await.expect(200);
    wire.restore();
    app.chat(&thread_id, "Hello again?").await.expect(200);
}

#[actix_rt::test]
async fn a_planted_key_shows_in_no_error_and_no_row() {
    let key = "sk-planted-0123456789abcdef";
    let settings = format!("{QUICK}\nupstream.api_key = '{key}'");
    let app = App::with(&Provider::start().base_url, &settings).await;
    for (fault, _, _) in FAULTS {
        let answer = app.chat(&app.thread().await, &format!("[[simulate: {fault}]]")).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("planted"), "{fault}");
    }
    for table in ["runs", "messages", "audit_events"] {
        let rows: Vec<Value> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select to_jsonb(t) from {table} t")))
            .fetch_all(&app.database)
            .await
            .unwrap();
        assert!(!rows.is_empty() && !rows.iter().any(|row| row.to_string().contains("planted")), "{table}");
    }
}
