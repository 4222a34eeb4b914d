//! Each kind of fault on the Responses wire, as its client meets it; not where faults come from.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Answer, RESPONSES, Simulator, simulator, weather_tool};

async fn streamed(simulator: &Simulator, fault: &str) -> Answer {
    simulator.respond(&format!("Hi [[simulate: {fault}]]"), &json!({"stream": true})).await
}

async fn whole(simulator: &Simulator, fault: &str) -> Answer {
    simulator.respond(&format!("Hi [[simulate: {fault}]]"), &json!({})).await
}

fn request(fault: &str, stream: bool) -> Value {
    json!({"model": "simulated-1", "input": format!("Hi [[simulate: {fault}]]"), "stream": stream})
}

fn split_head(answer: &[u8]) -> (String, String) {
    let answer = String::from_utf8_lossy(answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    (head.to_owned(), body.to_owned())
}

#[actix_rt::test]
async fn a_status_comes_with_the_providers_envelope() {
    let simulator = simulator();
    for (status, code) in [(401, "invalid_api_key"), (429, "rate_limit_exceeded"), (500, "server_error")] {
        let answer = whole(&simulator, &format!("status={status}")).await;
        assert_eq!((answer.status.as_u16(), answer.error()["code"].as_str()), (status, Some(code)));
    }
    let limited = streamed(&simulator, "status=429").await;
    assert_eq!((limited.header("retry-after"), limited.header("retry-after-ms")), (Some("1"), Some("100")));
    assert_eq!(streamed(&simulator, "status=418").await.error()["param"], Value::Null);
}

#[actix_rt::test]
async fn a_status_can_come_with_another_code_and_advice_on_trying_again() {
    let simulator = simulator();
    let locked = whole(&simulator, "status=400,code=conversation_locked").await;
    assert_eq!((locked.status.as_u16(), locked.error()["code"].as_str()), (400, Some("conversation_locked")));
    let limited = whole(&simulator, "status=429,retry-after-ms=20,x-should-retry=false").await;
    assert_eq!((limited.header("retry-after"), limited.header("retry-after-ms")), (None, Some("20")));
    assert_eq!(limited.header("x-should-retry"), Some("false"));
    assert_eq!(whole(&simulator, "status=429,location=x").await.error()["code"], "unknown_simulation");
}

#[actix_rt::test]
async fn exhausted_credit_is_a_429_that_names_no_time_to_come_back() {
    let answer = streamed(&simulator(), "quota").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, None));
    assert_eq!(answer.error()["code"], "credit_balance_exhausted");
}

#[actix_rt::test]
async fn a_cut_stream_ends_within_an_event_and_without_its_last_chunk() {
    let answer = simulator().raw(RESPONSES, &request("cut=2", true)).await;
    let (head, body) = split_head(&answer);
    assert!(head.contains("transfer-encoding: chunked"));
    assert_eq!(body.matches("event: response.output_text.delta\n").count(), 3);
    assert_eq!(body.matches("data: {\"type\":\"response.output_text.delta\",\"sequence_number\":").count(), 2);
    assert!(!body.ends_with("0\r\n\r\n"), "{body}");
}

#[actix_rt::test]
async fn a_cut_document_ends_before_its_announced_length() {
    let answer = simulator().raw(RESPONSES, &request("cut", false)).await;
    let (head, body) = split_head(&answer);
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(body.len(), announced.parse::<usize>().unwrap() / 2);
}

#[actix_rt::test]
async fn a_stall_is_a_head_then_silence_then_an_end() {
    for stream in [true, false] {
        let began = Instant::now();
        let answer = simulator().raw(RESPONSES, &request("stall=200", stream)).await;
        assert!(began.elapsed() >= Duration::from_millis(200));
        let (head, body) = split_head(&answer);
        assert!(head.starts_with("HTTP/1.1 200 OK"));
        assert_eq!(body, "");
    }
}

#[actix_rt::test]
async fn a_slow_head_is_followed_by_a_good_answer() {
    let began = Instant::now();
    let answer = whole(&simulator(), "slow_head=200").await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(answer.json()["status"], "completed");
}

#[actix_rt::test]
async fn garbage_is_broken_json_in_an_unbroken_transfer() {
    let simulator = simulator();
    let document = whole(&simulator, "garbage").await;
    assert_eq!(document.status, 200);
    assert_eq!(document.header("content-length").unwrap(), document.body.len().to_string());
    assert!(serde_json::from_slice::<Value>(&document.body).is_err());
    let stream = streamed(&simulator, "garbage").await;
    assert_eq!(stream.events().iter().filter(|event| event.json().is_none()).count(), 1);
    assert_eq!(stream.last()["type"], "response.completed");
}

#[actix_rt::test]
async fn html_comes_with_status_200() {
    for answer in [whole(&simulator(), "html").await, streamed(&simulator(), "html").await] {
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(answer.text().starts_with("<!DOCTYPE html>"));
    }
}

#[actix_rt::test]
async fn a_huge_answer_is_well_formed_and_as_large_as_asked() {
    let simulator = simulator();
    for (answer, mib) in [(whole(&simulator, "huge=3").await, 3), (streamed(&simulator, "huge=2").await, 2)] {
        let over = answer.body.len() - mib * 1024 * 1024;
        assert!(over < 256 * 1024, "{over}");
    }
    let document = whole(&simulator, "huge=1").await;
    assert_eq!(document.json()["status"], "completed");
    assert_eq!(document.header("content-length"), None);
    let stream = streamed(&simulator, "huge=1").await;
    assert!(stream.events().iter().all(|event| event.json().is_some()));
    assert_eq!(stream.last()["type"], "response.completed");
    assert_eq!(whole(&simulator, "huge=65").await.status, 400);
}

#[actix_rt::test]
async fn a_refusal_is_a_part_of_its_own_kind() {
    let simulator = simulator();
    let stream = streamed(&simulator, "refusal").await;
    let kinds = stream.kinds();
    assert!(kinds.contains(&"response.refusal.delta".to_owned()));
    assert!(kinds.contains(&"response.refusal.done".to_owned()));
    assert!(!kinds.contains(&"response.output_text.delta".to_owned()));
    for response in [stream.last()["response"].clone(), whole(&simulator, "refusal").await.json()] {
        assert_eq!(response["status"], "completed");
        assert_eq!(response["output"][0]["content"][0]["type"], "refusal");
    }
}

#[actix_rt::test]
async fn an_incomplete_response_says_why() {
    let simulator = simulator();
    for (fault, reason) in [("incomplete", "max_output_tokens"), ("content_filter", "content_filter")] {
        let stream = streamed(&simulator, fault).await;
        assert_eq!(stream.last()["type"], "response.incomplete");
        for response in [stream.last()["response"].clone(), whole(&simulator, fault).await.json()] {
            assert_eq!(response["status"], "incomplete");
            assert_eq!(response["incomplete_details"]["reason"], reason);
            assert_eq!(response["output"][0]["status"], "incomplete");
        }
    }
}

#[actix_rt::test]
async fn a_failed_response_carries_its_error() {
    let simulator = simulator();
    let stream = streamed(&simulator, "failed=rate_limit_exceeded").await;
    assert_eq!(stream.last()["type"], "response.failed");
    assert!(stream.kinds().contains(&"response.output_text.delta".to_owned()));
    assert!(!stream.kinds().contains(&"response.output_text.done".to_owned()));
    assert_eq!(stream.last()["response"]["error"]["code"], "rate_limit_exceeded");
    let document = whole(&simulator, "failed").await;
    assert_eq!(document.status, 200);
    assert_eq!(document.json()["status"], "failed");
    assert_eq!(document.json()["error"]["code"], "server_error");
}

#[actix_rt::test]
async fn an_error_event_ends_a_stream() {
    let simulator = simulator();
    let stream = streamed(&simulator, "error_event").await;
    assert_eq!((stream.last()["type"].as_str(), stream.last()["code"].as_str()), (Some("error"), Some("server_error")));
    assert_eq!(stream.events().last().unwrap().name.as_deref(), Some("error"));
    assert_eq!(whole(&simulator, "error_event").await.status, 500);
}

#[actix_rt::test]
async fn an_empty_response_is_completed_all_the_same() {
    let simulator = simulator();
    let stream = streamed(&simulator, "empty").await;
    assert_eq!(stream.kinds(), ["response.created", "response.in_progress", "response.completed"]);
    assert_eq!(stream.last()["response"]["output"], json!([]));
    assert_eq!(whole(&simulator, "empty").await.json()["status"], "completed");
}

#[actix_rt::test]
async fn a_stream_without_its_terminal_event_ends_in_order() {
    let simulator = simulator();
    let answer = simulator.raw(RESPONSES, &request("no_terminal", true)).await;
    let (_, body) = split_head(&answer);
    assert!(body.contains("event: response.output_item.done"));
    assert!(!body.contains("response.completed"));
    assert!(body.ends_with("\r\n0\r\n\r\n"));
    assert_eq!(whole(&simulator, "no_terminal").await.json()["status"], "in_progress");
}

#[actix_rt::test]
async fn other_servers_habits_can_be_had() {
    let simulator = simulator();
    let unnamed = streamed(&simulator, "no_event_lines").await;
    assert!(unnamed.events().iter().all(|event| event.name.is_none()));
    assert_eq!(unnamed.last()["type"], "response.completed");
    let marked = streamed(&simulator, "done_marker").await;
    assert_eq!(marked.last()["type"], "response.completed");
    assert_eq!(marked.events().last().unwrap().data, "[DONE]");
}

#[actix_rt::test]
async fn a_disconnect_comes_before_the_head() {
    let simulator = simulator();
    let answer = simulator.raw(RESPONSES, &request("disconnect", true)).await;
    assert_eq!(String::from_utf8_lossy(&answer), "");
    let next = whole(&simulator, "slow_head=1").await;
    assert_eq!(next.status, 200);
}

#[actix_rt::test]
async fn unknown_events_surround_a_good_answer() {
    let simulator = simulator();
    let stream = streamed(&simulator, "unknown_events").await;
    assert!(stream.kinds().contains(&"response.simulated_unknown.delta".to_owned()));
    for response in [stream.last()["response"].clone(), whole(&simulator, "unknown_events").await.json()] {
        assert_eq!(response["output"][0]["type"], "simulated_unknown_item");
        assert_eq!(response["output"][1]["type"], "message");
        assert_eq!(response["billing"], Value::Null);
        assert!(response.get("simulated_unknown_field").is_some());
    }
    let placed = stream.events().iter().filter_map(crate::client::Event::json).collect::<Vec<_>>();
    let texts = placed.iter().filter(|data| data["type"] == "response.output_text.delta");
    assert!(texts.clone().count() > 3 && texts.clone().all(|data| data["output_index"] == 1));
}

#[actix_rt::test]
async fn a_named_function_is_called() {
    let mut other = weather_tool();
    other["name"] = json!("other");
    let tools = json!({"tools": [weather_tool(), other]});
    let body = simulator().respond("[[simulate: function_call=other]]", &tools).await.json();
    assert_eq!(body["output"][0]["name"], "other");
}
