//! `/healthz`, `/readyz`, and what every route has in common.

use crate::harness::App;

#[actix_rt::test]
async fn a_running_service_is_alive_and_ready() {
    let app = App::start().await;
    assert_eq!(app.get("/healthz").await.expect(200)["status"], "ok");
    assert_eq!(app.get("/readyz").await.expect(200)["status"], "ready");
}

#[actix_rt::test]
async fn an_unknown_route_and_a_wrong_method_are_answered_in_the_envelope() {
    let app = App::start().await;
    app.get("/openai/initialise").await.expect_error(404, "route_not_found");
    app.get("/openai/chat").await.expect_error(405, "method_not_allowed");
}

#[actix_rt::test]
async fn every_answer_carries_a_request_id() {
    let app = App::start().await;
    let answer = app.get("/healthz").await;
    assert!(answer.headers.get("x-request-id").unwrap().to_str().unwrap().starts_with("req_"));
}
