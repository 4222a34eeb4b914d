//! `POST /openai/chat`.

use serde_json::json;
use threadkeep::simulator::answer;

use crate::harness::{App, Provider, fresh_database};

const INSTRUCTIONS: &str = "You are a helpful assistant. Answer briefly and plainly; say so when you do not know.\n";

#[actix_rt::test]
async fn a_turn_is_answered_and_recorded() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let body = app.chat(&thread_id, "Hello!").await.expect(200);
    assert_eq!(body["thread_id"], thread_id.as_str());
    assert!(body["agent_id"].as_str().unwrap().starts_with("asst_"));
    assert!(body["usage"]["total_tokens"].as_u64().unwrap() > 0);
    assert_eq!(body["response"], answer::text(&[("user", "Hello!")], Some(INSTRUCTIONS)));
    let recorded: Vec<(i64, String, String, String)> = sqlx::query_as(
        "select position, role, content->0->'text'->>'value', run_id from messages where thread_id = $1 order by position",
    )
    .bind(&thread_id)
    .fetch_all(&app.database)
    .await
    .unwrap();
    let (run_id, response) = (body["run_id"].as_str().unwrap(), body["response"].as_str().unwrap());
    assert_eq!(recorded[0], (1, "user".into(), "Hello!".into(), run_id.into()));
    assert_eq!(recorded[1], (2, "assistant".into(), response.into(), run_id.into()));
}

#[actix_rt::test]
async fn a_run_keeps_version_usage_and_the_providers_ids() {
    let app = App::start().await;
    let body = app.chat(&app.thread().await, "Hello!").await.expect(200);
    let run: (String, i32, Option<String>, Option<String>, serde_json::Value, bool) = sqlx::query_as(
        "select status, agent_version, provider_request_id, provider_response_id, usage, finished_at is not null
         from runs where id = $1",
    )
    .bind(body["run_id"].as_str())
    .fetch_one(&app.database)
    .await
    .unwrap();
    assert_eq!((run.0.as_str(), run.1, run.5), ("completed", 1, true));
    assert!(run.2.is_some() && run.3.unwrap().starts_with("resp"));
    assert_eq!(run.4, body["usage"]);
}

#[actix_rt::test]
async fn fifty_turns_keep_the_whole_context_in_order_also_over_a_restart() {
    let (provider, url) = (Provider::start(), fresh_database().await);
    let mut app = App::on(&url, &provider.base_url, "").await;
    let thread_id = app.thread().await;
    let mut history = Vec::new();
    for turn in 0..50 {
        if turn == 25 {
            app.stop().await;
            app = App::on(&url, &provider.base_url, "").await;
        }
        let question = format!("Question {turn}: what did I ask before?");
        history.push(("user", question.clone()));
        let body = app.chat(&thread_id, &question).await.expect(200);
        let expected = answer::text(&history, Some(INSTRUCTIONS));
        assert_eq!(body["response"], expected, "turn {turn}");
        history.push(("assistant", expected));
    }
    assert_eq!(app.count("messages").await, 100);
}

#[actix_rt::test]
async fn message_is_an_alias_of_user_input() {
    let app = App::start().await;
    let body = json!({ "agent_id": "sample", "thread_id": app.thread().await, "message": "Hello!" });
    app.post("/openai/chat", &body).await.expect(200);
    let both = json!({ "agent_id": "sample", "thread_id": app.thread().await, "message": "a", "user_input": "b" });
    app.post("/openai/chat", &both).await.expect_error(400, "invalid_field");
}

#[actix_rt::test]
async fn a_stream_ends_with_the_body_that_a_plain_call_has() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let body = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": "Hello!", "stream": true });
    let answer = app.post("/openai/chat", &body).await;
    assert_eq!(answer.headers.get("content-type").unwrap(), "text/event-stream; charset=utf-8");
    let events = answer.events();
    let (last, deltas) = events.split_last().unwrap();
    assert!(deltas.len() > 1 && deltas.iter().all(|(name, _)| name == "delta"));
    let text: String = deltas.iter().map(|(_, data)| data["text"].as_str().unwrap()).collect();
    assert_eq!((last.0.as_str(), last.1["response"].as_str().unwrap()), ("completed", text.as_str()));
    let plain = app.chat(&thread_id, "Hello again!").await.expect(200);
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&last.1), keys(&plain));
}

#[actix_rt::test]
async fn a_failed_stream_ends_with_one_error_event() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let body =
        json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": "[[simulate: cut]]", "stream": true });
    let events = app.post("/openai/chat", &body).await.events();
    let errors: Vec<_> = events.iter().filter(|(name, _)| name == "error").collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(events.last().unwrap().1["code"], "response_cut");
    assert!(!events.iter().any(|(name, _)| name == "completed"));
}

#[actix_rt::test]
async fn a_stream_that_cannot_be_opened_is_a_plain_400() {
    let app = App::start().await;
    let body = json!({ "agent_id": "sample", "thread_id": "thread_none", "user_input": "Hello!", "stream": true });
    app.post("/openai/chat", &body).await.expect_error(400, "thread_not_found");
}

#[actix_rt::test]
async fn an_unknown_thread_or_agent_is_400_and_writes_nothing() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let events = app.count("audit_events").await;
    for (agent, thread, code) in [
        ("sample", "thread_unknown", "thread_not_found"),
        ("nobody", thread_id.as_str(), "agent_not_found"),
        ("asst_unknown", thread_id.as_str(), "agent_not_found"),
        ("nobody", "thread_unknown", "thread_not_found"),
    ] {
        let body = json!({ "agent_id": agent, "thread_id": thread, "user_input": "Hello!" });
        app.post("/openai/chat", &body).await.expect_error(400, code);
    }
    assert_eq!((app.count("messages").await, app.count("runs").await), (0, 0));
    assert_eq!(app.count("audit_events").await, events);
}

#[actix_rt::test]
async fn a_thread_of_another_agent_is_400_and_writes_nothing() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    app.apply_agent("name = 'other'\nmodel = 'simulated-1'").await;
    let body = json!({ "agent_id": "other", "thread_id": thread_id, "user_input": "Hello!" });
    app.post("/openai/chat", &body).await.expect_error(400, "agent_mismatch");
    assert_eq!((app.count("messages").await, app.count("runs").await), (0, 0));
}

#[actix_rt::test]
async fn a_bad_payload_is_400_names_the_field_and_writes_nothing() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let good = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": "Hello!" });
    for (field, value, code, part) in [
        ("user_input", json!(null), "invalid_field", "user_input"),
        ("user_input", json!(1), "invalid_field", "user_input"),
        ("user_input", json!(""), "invalid_field", "must not be empty"),
        ("user_input", json!(" \n"), "invalid_field", "must not be empty"),
        ("user_input", json!("a\0b"), "invalid_field", "NUL"),
        ("user_input", json!("a".repeat(256_001)), "invalid_field", "256000"),
        ("thread_id", json!(null), "invalid_field", "thread_id"),
        ("thread_id", json!("run_1"), "invalid_field", "thread_"),
        ("agent_id", json!({}), "invalid_field", "agent_id"),
        ("stream", json!("yes"), "invalid_field", "stream"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let sentence = app.post("/openai/chat", &body).await.expect_error(400, code);
        assert!(sentence.contains(part) && sentence.contains(field), "{field} gave {sentence}");
    }
    for field in ["user_input", "thread_id", "agent_id"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        let sentence = app.post("/openai/chat", &body).await.expect_error(400, "missing_field");
        assert!(sentence.contains(field), "{sentence}");
    }
    assert_eq!((app.count("messages").await, app.count("runs").await), (0, 0));
}

#[actix_rt::test]
async fn a_lone_surrogate_is_400_and_says_so() {
    let app = App::start().await;
    for escape in ["\\ud800", "\\udc00", "\\ud800\\ud800"] {
        let body = format!(r#"{{"agent_id": "sample", "thread_id": "thread_1", "user_input": "a{escape}b"}}"#);
        let sentence = app.post_raw("/openai/chat", "application/json", body).await.expect_error(400, "invalid_json");
        assert!(sentence.contains("surrogate"), "{sentence}");
    }
}

#[actix_rt::test]
async fn a_body_over_the_limit_is_413() {
    let app = App::with(&Provider::start().base_url, "server.body_bytes_max = 10000").await;
    let answer = app.chat("thread_1", &"a".repeat(10_000)).await;
    assert!(answer.expect_error(413, "body_too_large").contains("10000"));
}

#[actix_rt::test]
async fn every_plane_and_the_longest_message_come_back_unchanged() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    let planes: String = [0x1, 0x7f, 0xfffd, 0xffff, 0x1_f600, 0x2_0000, 0x3_0000, 0xe_0001, 0xf_0000, 0x10_ffff]
        .into_iter()
        .filter_map(char::from_u32)
        .collect();
    let longest = "😀".repeat(256_000);
    for text in [planes.as_str(), "\u{feff}e\u{301}\r\n\t\"\\", longest.as_str()] {
        app.chat(&thread_id, text).await.expect(200);
        let stored: String = sqlx::query_scalar(
            "select content->0->'text'->>'value' from messages where role = 'user' order by position desc limit 1",
        )
        .fetch_one(&app.database)
        .await
        .unwrap();
        assert!(stored == text, "a text of {} characters changed", text.chars().count());
    }
}

#[actix_rt::test]
async fn a_change_to_an_agent_makes_a_version_and_runs_keep_theirs() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    app.chat(&thread_id, "One.").await.expect(200);
    app.apply_agent("name = 'sample'\nmodel = 'simulated-mini'\ninstructions = 'Be terse.'").await;
    let body = app.chat(&thread_id, "Two.").await.expect(200);
    assert!(body["response"].as_str().unwrap().contains("Be terse."), "{body}");
    let versions: Vec<i32> = sqlx::query_scalar("select agent_version from runs order by created_at")
        .fetch_all(&app.database)
        .await
        .unwrap();
    assert_eq!(versions, [1, 2]);
}
