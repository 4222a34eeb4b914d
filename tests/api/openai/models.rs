//! `GET /openai/get_models`.

use crate::harness::App;

#[actix_rt::test]
async fn the_providers_ids_are_answered_in_its_order() {
    let app = App::start().await;
    let body = app.get("/openai/get_models").await.expect(200);
    let models = body["models"].as_array().unwrap();
    assert_eq!(models[0], "simulated-1");
    assert!(models.iter().all(serde_json::Value::is_string));
}

#[actix_rt::test]
async fn a_provider_that_is_away_is_400() {
    let app = App::with("http://127.0.0.1:9/v1", "upstream.retries_max = 0").await;
    app.get("/openai/get_models").await.expect_error(400, "upstream_unreachable");
}
