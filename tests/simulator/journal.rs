//! What the simulator remembers of its requests, and what it must not.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{RESPONSES, Simulator, message, simulator};

async fn outcomes(simulator: &Simulator) -> Vec<(String, u64, bool)> {
    let entries = simulator.journal().await;
    let outcome = |entry: &Value| {
        let kind = entry["outcome"].as_str().unwrap().to_owned();
        (kind, entry["status"].as_u64().unwrap(), entry["complete"].as_bool().unwrap())
    };
    entries.iter().map(outcome).collect()
}

#[actix_rt::test]
async fn a_request_is_listed_with_what_identifies_it() {
    let simulator = simulator();
    let input = json!([message("user", "Hi"), message("assistant", "Hello"), message("user", "And?")]);
    let body = json!({"model": "simulated-1", "input": input, "stream": true, "metadata": {"run": "run_1"}});
    let url = format!("{}/responses", simulator.base_url);
    let request = simulator.client.post(url).insert_header(("x-client-request-id", "req_client"));
    let mut answer = request.send_json(&body).await.unwrap();
    let text = String::from_utf8(answer.body().await.unwrap().to_vec()).unwrap();
    let entry = simulator.journal().await.remove(0);
    assert_eq!(entry["request_id"], answer.headers().get("x-request-id").unwrap().to_str().unwrap());
    let digest = entry["digest"].as_str().unwrap();
    assert!(text.contains(&format!("Context digest: {digest}.")));
    let expected = json!({
        "method": "POST", "path": RESPONSES, "client_request_id": "req_client", "model": "simulated-1",
        "stream": true, "metadata": {"run": "run_1"}, "items": 3, "outcome": "answered", "status": 200,
        "complete": true,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(entry[field], *value, "{field}");
    }
}

#[actix_rt::test]
async fn the_oldest_stands_first_with_how_each_went() {
    let simulator = simulator();
    simulator.respond("Hi", &json!({})).await;
    simulator.respond("", &json!({})).await;
    simulator.get("/v1/models").await;
    simulator.respond("[[simulate: status=503]]", &json!({"stream": true})).await;
    simulator.raw(RESPONSES, &json!({"model": "m", "input": "[[simulate: cut]]", "stream": true})).await;
    simulator.raw(RESPONSES, &json!({"model": "m", "input": "[[simulate: disconnect]]"})).await;
    let expected = [
        ("answered", 200, true),
        ("rejected", 400, true),
        ("answered", 200, true),
        ("status", 503, true),
        ("cut", 200, false),
        ("disconnect", 200, false),
    ];
    let expected = expected.map(|(kind, status, complete)| (kind.to_owned(), status, complete));
    assert_eq!(outcomes(&simulator).await, expected);
}

#[actix_rt::test]
async fn an_answer_that_its_client_leaves_is_not_complete() {
    let simulator = simulator();
    let body = json!({"model": "m", "input": "[[simulate: stall=60000]]", "stream": true});
    let url = format!("{}/responses", simulator.base_url);
    let answer = simulator.client.post(url).send_json(&body).await.unwrap();
    drop(answer);
    actix_rt::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(outcomes(&simulator).await, [("stall".to_owned(), 200, false)]);
}

#[actix_rt::test]
async fn no_key_and_no_text_is_kept() {
    let simulator = simulator();
    let url = format!("{}/responses", simulator.base_url);
    let request = simulator.client.post(url).bearer_auth("sk-secret").insert_header(("x-other", "secret-header"));
    request.send_json(&json!({"model": "m", "input": "secret-text", "instructions": "secret-rule"})).await.unwrap();
    let journal = simulator.get("/simulator/journal").await;
    assert!(journal.text().contains("answered"));
    assert!(!journal.text().contains("secret"));
}

#[actix_rt::test]
async fn the_journal_is_bounded_and_can_be_cleared() {
    let simulator = simulator();
    simulator.get("/v1/models/simulated-mini").await;
    simulator.ask_for_models(10_000).await;
    let entries = simulator.journal().await;
    assert_eq!((entries.len(), entries[0]["path"].as_str()), (10_000, Some("/v1/models")));
    assert_eq!(simulator.delete("/simulator/journal").await.status, 204);
    assert_eq!(simulator.journal().await.len(), 0);
}
