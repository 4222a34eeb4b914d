//! Start, stop, models, headers and delays; not the two wires that answer.

use std::time::{Duration, Instant};

use awc::http::Method;
use serde_json::{Value, json};
use threadkeep::simulator::{self, Config};

use crate::client::{RESPONSES, simulator, started};

#[actix_rt::test]
async fn models_are_listed_and_described() {
    let simulator = simulator();
    let body = simulator.get("/v1/models").await.json();
    let ids: Vec<&str> = body["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(
        (body["object"].as_str(), ids),
        (Some("list"), vec!["simulated-1", "simulated-mini", "simulated-reasoning"])
    );
    let model = simulator.get("/v1/models/simulated-mini").await.json();
    assert_eq!(model, body["data"][1]);
    assert_eq!((&model["owned_by"], &model["shutdown_date"]), (&json!("threadkeep-simulator"), &Value::Null));
    let missing = simulator.get("/v1/models/gpt-4").await;
    assert_eq!((missing.status.as_u16(), missing.error()["code"].as_str()), (404, Some("model_not_found")));
}

#[actix_rt::test]
async fn an_unknown_url_is_named() {
    let simulator = simulator();
    for (method, path) in [(Method::GET, RESPONSES), (Method::POST, "/v1/threads")] {
        let answer = simulator.send(method.clone(), path, "").await.unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.error()["message"], format!("Invalid URL ({method} {path})"));
    }
}

#[actix_rt::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let simulator = simulator();
    let mut ids = Vec::new();
    for answer in [
        simulator.get("/healthz").await,
        simulator.get("/v1/models").await,
        simulator.get("/nowhere").await,
        simulator.respond("", &json!({})).await,
        simulator.respond("Hi", &json!({"stream": true})).await,
        simulator.respond("[[simulate: html]]", &json!({})).await,
    ] {
        ids.push(answer.header("x-request-id").unwrap().to_owned());
        assert_eq!(answer.header("openai-version"), Some("2020-10-01"));
    }
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), ids.iter().all(|id| id.starts_with("req_"))), (6, true));
}

#[actix_rt::test]
async fn delays_hold_back_the_head_and_every_event() {
    let simulator = started(&Config { delay_ms: 100, delta_delay_ms: 5, ..Config::default() });
    for stream in [true, false] {
        let began = Instant::now();
        let answer = simulator.respond("Hi", &json!({"stream": stream})).await;
        let expected = Duration::from_millis(100 + 15 * 5);
        assert!(began.elapsed() >= expected, "{:?}", began.elapsed());
        assert_eq!(answer.status, 200);
    }
}

#[actix_rt::test]
async fn settings_out_of_range_do_not_start() {
    let free_port = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    for config in [
        Config { fault_rate: 1.5, ..free_port.clone() },
        Config { fault_rate: f64::NAN, ..free_port.clone() },
        Config { workers: 0, ..free_port.clone() },
        Config { listen: simulator().address, ..free_port },
    ] {
        assert!(simulator::start(&config).is_err(), "{config:?}");
    }
}

#[actix_rt::test]
async fn it_stops_soon_although_an_answer_stalls() {
    let simulator = simulator();
    let body = json!({"model": "m", "input": "[[simulate: stall]]", "stream": true});
    let url = format!("{}/responses", simulator.base_url);
    let stalled = simulator.client.post(url).send_json(&body).await.unwrap();
    let began = Instant::now();
    simulator.handle.stop(true).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(stalled);
}

#[test]
fn settings_are_read_by_name_and_unknown_ones_refused() {
    let config: Config = serde_json::from_value(json!({"delay_ms": 3, "seed": 9})).unwrap();
    assert_eq!((config.delay_ms, config.seed, config.workers), (3, 9, 1));
    assert_eq!(config.listen.to_string(), "127.0.0.1:8090");
    assert!(serde_json::from_value::<Config>(json!({"delay": 3})).is_err());
}
