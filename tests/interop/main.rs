//! The service in conversation with a provider that this project did not write: aimock, from npm.
#![cfg(test)]

mod aimock;
#[expect(dead_code, unused_imports, reason = "tests/api, whose harness it is, needs more of it")]
#[path = "../api/harness/mod.rs"]
mod harness;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use aimock::Aimock;
use harness::App;

const AGENT: &str = "name = 'atlas'\nmodel = 'interop-1'\ninstructions = 'Answer like an atlas.'";

/// What is said and answered; each answer is aimock's only after exactly the turns before it.
const TURNS: [(&str, &str); 4] = [
    ("What is the capital of Norway?", "The capital of Norway is Oslo — by its fjord. 🇳🇴"),
    ("And how many live there?", "About 720,000 people live in Oslo."),
    ("Please summarise.", "You asked for the capital of Norway and how many live there."),
    ("Thank you, goodbye.", "Goodbye, and a pleasant journey to Oslo!"),
];

/// What is said, what the caller learns, how the run ends, and how often aimock is asked.
const FAULTS: [(&str, &str, &str, usize); 11] = [
    ("You are always busy.", "upstream_rate_limited", "failed", 2),
    ("You are out of credit.", "upstream_quota_exhausted", "failed", 1),
    ("You are broken inside.", "upstream_unavailable", "failed", 2),
    ("Be malformed.", "response_malformed", "failed", 1),
    ("Please hang up at once.", "response_cut", "failed", 1),
    ("Be cut after pieces.", "response_cut", "failed", 1),
    ("Be cut after a while.", "response_cut", "failed", 1),
    ("Be too long.", "response_incomplete", "incomplete", 1),
    ("Be filtered.", "response_failed", "failed", 1),
    ("Please call a tool.", "function_call_unsupported", "failed", 1),
    ("What no fixture knows.", "upstream_rejected", "failed", 1),
];

#[actix_rt::test]
async fn a_conversation_keeps_its_context_streamed_and_not() {
    let Some(aimock) = Aimock::start() else { return };
    let app = App::against(&aimock.base_url()).await;
    app.apply_agent(AGENT).await;
    let thread = app.post("/openai/initialize", &json!({ "agent_id": "atlas" })).await.expect(200);
    let thread_id = thread["thread_id"].as_str().unwrap();
    for (turn, (question, expected)) in TURNS.iter().enumerate() {
        let is_streamed = turn % 2 == 1;
        let body =
            json!({ "agent_id": "atlas", "thread_id": thread_id, "user_input": question, "stream": is_streamed });
        let answer = app.post("/openai/chat", &body).await;
        let completed = if is_streamed { completed(&answer.events()) } else { answer.expect(200) };
        assert_eq!(completed["response"], *expected);
        assert_eq!(completed["thread_id"], thread_id);
    }
    assert_sent(&aimock.journal().await);
    assert_recorded(&app, thread_id).await;
}

/// The last event's body, which the pieces before it spell.
fn completed(events: &[(String, Value)]) -> Value {
    let (last, deltas) = events.split_last().unwrap();
    assert!(deltas.len() > 1 && deltas.iter().all(|(name, _)| name == "delta"), "{events:?}");
    let text: String = deltas.iter().map(|(_, data)| data["text"].as_str().unwrap()).collect();
    assert_eq!((last.0.as_str(), last.1["response"].as_str()), ("completed", Some(text.as_str())));
    last.1.clone()
}

fn assert_sent(journal: &[Value]) {
    assert_eq!(journal.len(), TURNS.len());
    let mut messages = vec![json!({ "role": "system", "content": "Answer like an atlas." })];
    for (call, (question, answer)) in journal.iter().zip(TURNS) {
        messages.push(json!({ "role": "user", "content": question }));
        assert_eq!(call["body"]["messages"], json!(messages));
        messages.push(json!({ "role": "assistant", "content": answer }));
    }
}

async fn assert_recorded(app: &App, thread_id: &str) {
    let messages: Vec<(String, String)> = sqlx::query_as(
        "select role, content->0->'text'->>'value' from messages where thread_id = $1 order by position",
    )
    .bind(thread_id)
    .fetch_all(&app.database)
    .await
    .unwrap();
    let expected = TURNS.iter().flat_map(|(question, answer)| [("user", *question), ("assistant", *answer)]);
    assert!(messages.iter().map(|(role, text)| (role.as_str(), text.as_str())).eq(expected), "{messages:?}");
    let runs: Vec<(String, String, String, String, Value)> = sqlx::query_as(
        "select status, provider_model, provider_response_id, provider_request_id, usage from runs
         where thread_id = $1 order by created_at, id",
    )
    .bind(thread_id)
    .fetch_all(&app.database)
    .await
    .unwrap();
    assert_eq!(runs.len(), TURNS.len());
    for (status, model, response_id, request_id, _) in &runs {
        assert_eq!((status.as_str(), model.as_str()), ("completed", "interop-1"));
        assert!(response_id.starts_with("resp-") && request_id.starts_with("req-"), "{response_id} {request_id}");
    }
    assert_eq!(runs[1].4["total_tokens"], 50, "{}", runs[1].4);
}

#[actix_rt::test]
async fn a_rate_limit_is_waited_out_for_as_long_as_the_provider_asks() {
    let Some(aimock) = Aimock::start() else { return };
    let app = App::against(&aimock.base_url()).await;
    let (thread_id, started) = (app.thread().await, Instant::now());
    let body = app.chat(&thread_id, "Are you busy for a moment?").await.expect(200);
    assert_eq!(body["response"], "Now there is time.");
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    let statuses: Vec<_> = aimock.journal().await.iter().map(|call| call["response"]["status"].clone()).collect();
    assert_eq!(statuses, [429, 200]);
    assert_eq!(app.count("runs where status = 'completed'").await, 1);
}

#[actix_rt::test]
async fn every_fault_is_a_clear_400_and_the_thread_can_be_used_at_once() {
    let Some(aimock) = Aimock::start() else { return };
    let app = App::with(&aimock.base_url(), "upstream.retries_max = 1").await;
    for (question, code, status, calls) in FAULTS {
        let thread_id = app.thread().await;
        let earlier = aimock.journal().await.len();
        let sentence = app.chat(&thread_id, question).await.expect_error(400, code);
        assert_eq!(aimock.journal().await.len() - earlier, calls, "{question}");
        let run: (String, String, String) =
            sqlx::query_as("select status, error_code, error_message from runs where thread_id = $1")
                .bind(&thread_id)
                .fetch_one(&app.database)
                .await
                .unwrap();
        assert_eq!((run.0.as_str(), run.1.as_str(), run.2), (status, code, sentence), "{question}");
        let body = app.chat(&thread_id, "And now?").await.expect(200);
        assert_eq!(body["response"], "All is well again.", "{question}");
    }
}

#[actix_rt::test]
async fn a_stream_that_breaks_off_ends_with_one_error_event() {
    let Some(aimock) = Aimock::start() else { return };
    let app = App::against(&aimock.base_url()).await;
    let body = json!({
        "agent_id": "sample", "thread_id": app.thread().await, "user_input": "Be cut after pieces.", "stream": true
    });
    let events = app.post("/openai/chat", &body).await.events();
    let (last, deltas) = events.split_last().unwrap();
    assert_eq!((last.0.as_str(), &last.1["code"]), ("error", &json!("response_cut")));
    assert!(!deltas.is_empty() && deltas.iter().all(|(name, _)| name == "delta"), "{events:?}");
    assert_eq!(app.count("messages where role = 'assistant'").await, 0);
}

#[actix_rt::test]
async fn the_providers_models_are_listed() {
    let Some(aimock) = Aimock::start() else { return };
    let app = App::against(&aimock.base_url()).await;
    assert_eq!(app.get("/openai/get_models").await.expect(200), json!({ "models": ["interop-1"] }));
}
