//! Where faults come from: the newest message, the queue and chance; not what each does.

use serde_json::{Value, json};
use threadkeep::simulator::Config;

use crate::client::{Simulator, message, simulator, started};

async fn status(simulator: &Simulator, text: &str) -> u16 {
    simulator.respond(text, &json!({})).await.status.as_u16()
}

#[actix_rt::test]
async fn the_same_request_fails_so_often_and_is_then_answered() {
    let simulator = simulator();
    let asked = "Hi [[simulate: status=503 times=2]]";
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(status(&simulator, asked).await);
    }
    assert_eq!(statuses, [503, 503, 200, 200]);
    assert_eq!(status(&simulator, &format!("{asked}!")).await, 503);
}

#[actix_rt::test]
async fn only_the_newest_message_is_obeyed() {
    let simulator = simulator();
    let fault = "[[simulate: status=500]]";
    let earlier = json!({"input": [message("user", fault), message("user", "Hi")]});
    assert_eq!(simulator.respond("", &earlier).await.status, 200);
    let own = json!({"input": [message("user", "Hi"), message("assistant", fault)]});
    assert_eq!(simulator.respond("", &own).await.status, 200);
    let instructed = json!({"instructions": fault});
    assert_eq!(simulator.respond("Hi", &instructed).await.status, 200);
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": fault});
    assert_eq!(simulator.respond("", &json!({"input": [call, output]})).await.status, 500);
}

#[actix_rt::test]
async fn a_directive_that_nobody_understands_is_refused() {
    let simulator = simulator();
    for wrong in ["nonsense", "", "status", "status=200", "stall=120001", "cut=x", "quota times=x", "quota twice"] {
        let answer = simulator.respond(&format!("[[simulate: {wrong}]]"), &json!({})).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.error()["code"], "unknown_simulation");
    }
}

#[actix_rt::test]
async fn the_queue_is_worked_off_in_order() {
    let simulator = simulator();
    let queue = json!([{"kind": "status", "value": 500, "times": 2}, {"kind": "quota"}]);
    let answer = simulator.post("/simulator/faults", &queue).await;
    assert_eq!(answer.status, 200);
    let waiting = json!([{"kind": "status", "value": 500, "times": 2}, {"kind": "quota", "times": 1}]);
    assert_eq!(simulator.get("/simulator/faults").await.json(), waiting);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(status(&simulator, "Hi").await);
    }
    assert_eq!(statuses, [500, 500, 429, 200]);
    assert_eq!(simulator.get("/simulator/faults").await.json(), json!([]));
}

#[actix_rt::test]
async fn a_directive_leaves_the_queue_alone_and_a_bad_request_too() {
    let simulator = simulator();
    simulator.post("/simulator/faults", &json!([{"kind": "status", "value": "500"}])).await;
    assert_eq!(status(&simulator, "[[simulate: status=502]]").await, 502);
    assert_eq!(status(&simulator, "").await, 400);
    assert_eq!(status(&simulator, "Hi").await, 500);
}

#[actix_rt::test]
async fn a_queued_fault_can_wait_for_one_path() {
    let simulator = simulator();
    let queue = json!([{"kind": "status", "value": 500, "path": "/v1/models"}]);
    simulator.post("/simulator/faults", &queue).await;
    assert_eq!(status(&simulator, "Hi").await, 200);
    assert_eq!(simulator.get("/v1/models").await.status, 500);
    assert_eq!(simulator.get("/v1/models").await.status, 200);
    simulator.post("/simulator/faults", &json!([{"kind": "html"}])).await;
    assert_eq!(simulator.get("/v1/models").await.json()["object"], "list");
}

#[actix_rt::test]
async fn the_queue_takes_all_or_nothing_and_can_be_emptied() {
    let simulator = simulator();
    let wrong = [
        json!([{"kind": "quota"}, {"kind": "nonsense"}]),
        json!([{"kind": "status"}]),
        json!([{"kind": "quota", "times": 0}]),
        json!([{"kind": "quota", "often": 1}]),
        json!({"kind": "quota"}),
        Value::Array(vec![json!({"kind": "quota"}); 10_001]),
    ];
    for queue in wrong {
        let answer = simulator.post("/simulator/faults", &queue).await;
        assert_eq!((answer.status.as_u16(), answer.error()["code"].as_str()), (400, Some("invalid_fault")));
    }
    assert_eq!(simulator.get("/simulator/faults").await.json(), json!([]));
    simulator.post("/simulator/faults", &json!([{"kind": "quota"}])).await;
    assert_eq!(simulator.delete("/simulator/faults").await.status, 204);
    assert_eq!(status(&simulator, "Hi").await, 200);
}

async fn outcomes(fault_rate: f64, seed: u64) -> Vec<String> {
    let simulator = started(&Config { fault_rate, seed, workers: 2, ..Config::default() });
    let request = json!({"model": "simulated-1", "input": "Hi", "stream": true}).to_string();
    for _ in 0..60 {
        simulator.send(awc::http::Method::POST, "/v1/responses", request.clone()).await;
    }
    simulator.journal().await.iter().map(|entry| entry["outcome"].as_str().unwrap().to_owned()).collect()
}

#[actix_rt::test]
async fn the_same_seed_brings_the_same_faults() {
    let first = outcomes(0.5, 7).await;
    assert_eq!(first.len(), 60);
    assert_eq!(first, outcomes(0.5, 7).await);
    assert_ne!(first, outcomes(0.5, 8).await);
    let answered = first.iter().filter(|outcome| *outcome == "answered").count();
    assert!((15..45).contains(&answered), "{answered}");
}

#[actix_rt::test]
async fn a_rate_of_one_spares_no_request_and_a_rate_of_nothing_all() {
    assert!(outcomes(1.0, 1).await.iter().all(|outcome| outcome != "answered"));
    assert!(outcomes(0.0, 1).await.iter().all(|outcome| outcome == "answered"));
}
