//! `POST /openai/delete_agent`.

use serde_json::json;

use crate::harness::App;

#[actix_rt::test]
async fn a_deleted_agent_is_a_tombstone_and_its_threads_stay_readable() {
    let app = App::start().await;
    let thread_id = app.thread().await;
    app.chat(&thread_id, "Remember me.").await.expect(200);
    let body = app.post("/openai/delete_agent", &json!({ "agent_id": "sample" })).await.expect(200);
    assert!(body["message"].is_string());
    app.chat(&thread_id, "Still there?").await.expect_error(400, "agent_deleted");
    let left: (i64, bool) = sqlx::query_as(
        "select count(messages.*), bool_and(agents.deleted_at is not null)
         from messages join threads on threads.id = messages.thread_id join agents on agents.id = threads.agent_id
         where threads.id = $1",
    )
    .bind(&thread_id)
    .fetch_one(&app.database)
    .await
    .unwrap();
    assert_eq!(left, (2, true));
}

#[actix_rt::test]
async fn an_unknown_or_already_deleted_agent_is_400() {
    let app = App::start().await;
    app.post("/openai/delete_agent", &json!({ "agent_id": "nobody" })).await.expect_error(400, "agent_not_found");
    app.post("/openai/delete_agent", &json!({ "agent_id": "sample" })).await.expect(200);
    app.post("/openai/delete_agent", &json!({ "agent_id": "sample" })).await.expect_error(400, "agent_not_found");
}

#[actix_rt::test]
async fn a_bad_payload_is_400_and_deletes_nothing() {
    let app = App::start().await;
    app.post("/openai/delete_agent", &json!({})).await.expect_error(400, "missing_field");
    app.post("/openai/delete_agent", &json!({ "agent_id": ["sample"] })).await.expect_error(400, "invalid_field");
    assert_eq!(app.count("agents where deleted_at is not null").await, 0);
}

#[actix_rt::test]
async fn a_deletion_is_audited() {
    let app = App::start().await;
    app.post("/openai/delete_agent", &json!({ "agent_id": "sample" })).await.expect(200);
    assert_eq!(app.count("audit_events where action = 'agent.deleted' and outcome = 'ok'").await, 1);
}
