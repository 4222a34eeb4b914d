//! `POST /openai/initialize`.

use serde_json::json;

use crate::harness::App;

#[actix_rt::test]
async fn an_agent_is_initialised_by_name_and_by_id() {
    let app = App::start().await;
    let by_name = app.post("/openai/initialize", &json!({ "agent_id": "sample" })).await.expect(200);
    let agent_id = by_name["agent_id"].as_str().unwrap();
    assert!(agent_id.starts_with("asst_"));
    let by_id = app.post("/openai/initialize", &json!({ "agent_id": agent_id })).await.expect(200);
    assert_eq!(by_id["agent_id"], agent_id);
    assert_ne!(by_id["thread_id"], by_name["thread_id"]);
    assert!(by_id["message"].is_string());
}

#[actix_rt::test]
async fn a_thread_is_recorded_with_its_agent_and_an_audit_event() {
    let app = App::start().await;
    let body = app.post("/openai/initialize", &json!({ "agent_id": "sample" })).await.expect(200);
    let recorded: (String, String, String) = sqlx::query_as(
        "select threads.agent_id, threads.project_id, audit_events.action
         from threads join audit_events on audit_events.subject_id = threads.id where threads.id = $1",
    )
    .bind(body["thread_id"].as_str())
    .fetch_one(&app.database)
    .await
    .unwrap();
    assert_eq!(recorded, (body["agent_id"].as_str().unwrap().into(), "proj_default".into(), "thread.created".into()));
}

#[actix_rt::test]
async fn an_unknown_agent_is_404_and_leaves_no_row() {
    let app = App::start().await;
    for agent in ["nobody", "asst_unknown"] {
        let answer = app.post("/openai/initialize", &json!({ "agent_id": agent })).await;
        assert!(answer.expect_error(404, "agent_not_found").contains(agent));
    }
    assert_eq!(app.count("threads").await, 0);
}

#[actix_rt::test]
async fn a_deleted_agent_cannot_be_initialised() {
    let app = App::start().await;
    app.post("/openai/delete_agent", &json!({ "agent_id": "sample" })).await.expect(200);
    let answer = app.post("/openai/initialize", &json!({ "agent_id": "sample" })).await;
    answer.expect_error(404, "agent_not_found");
}

#[actix_rt::test]
async fn a_bad_payload_is_400_and_names_the_field() {
    let app = App::start().await;
    for (body, code, part) in [
        (json!({}), "missing_field", "`agent_id`"),
        (json!({ "agent_id": null }), "invalid_field", "agent_id"),
        (json!({ "agent_id": 7 }), "invalid_field", "agent_id"),
        (json!({ "agent_id": "" }), "invalid_field", "agent_id"),
        (json!({ "agent_id": "a\0b" }), "invalid_field", "NUL"),
        (json!({ "agent_id": "a".repeat(257) }), "invalid_field", "256"),
        (json!({ "agent_id": "asst_a b" }), "invalid_field", "agent_id"),
        (json!(["sample"]), "invalid_field", "object"),
    ] {
        let sentence = app.post("/openai/initialize", &body).await.expect_error(400, code);
        assert!(sentence.contains(part), "{body} gave {sentence}");
    }
    assert_eq!(app.count("threads").await, 0);
}

#[actix_rt::test]
async fn a_body_that_is_no_json_is_400_and_says_why() {
    let app = App::start().await;
    for (content_type, body, code) in [
        ("application/json", "{", "invalid_json"),
        ("application/json", "", "invalid_json"),
        ("application/json", "{\"agent_id\": \"sample\"} x", "invalid_json"),
        ("text/plain", "{\"agent_id\": \"sample\"}", "invalid_content_type"),
        ("application/x-www-form-urlencoded", "agent_id=sample", "invalid_content_type"),
    ] {
        app.post_raw("/openai/initialize", content_type, body).await.expect_error(400, code);
    }
}

#[actix_rt::test]
async fn unknown_fields_are_ignored() {
    let app = App::start().await;
    app.post("/openai/initialize", &json!({ "agent_id": "sample", "colour": "green" })).await.expect(200);
}
