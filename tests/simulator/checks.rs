//! What either wire refuses, and in which words; requests that are fine are tested elsewhere.

use awc::http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, CHAT, RESPONSES, merged, message, simulator};

/// What to change in a good request, and the param and code of the 400 that it brings.
type Case = (Value, Option<&'static str>, Option<&'static str>);

const MISSING: Option<&str> = Some("missing_required_parameter");
const UNKNOWN: Option<&str> = Some("unknown_parameter");
const TYPE: Option<&str> = Some("invalid_type");
const VALUE: Option<&str> = Some("invalid_value");

fn assert_refused(answer: &Answer, (change, param, code): &Case) {
    let error = answer.error();
    let keys: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "message", "param", "type"]);
    assert_eq!(answer.status, 400, "{change} {error}");
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!((error["param"].as_str(), error["code"].as_str()), (*param, *code), "{change} {error}");
}

async fn refuses(path: &str, good: &Value, cases: &[Case]) {
    let simulator = simulator();
    assert_eq!(simulator.post(path, good).await.status, 200);
    for case in cases {
        assert_refused(&simulator.post(path, &merged(good.clone(), &case.0)).await, case);
    }
}

#[actix_rt::test]
async fn a_response_needs_fields_that_are_known_and_in_range() {
    let many: serde_json::Map<String, Value> = (0..17).map(|number| (number.to_string(), json!("x"))).collect();
    let cases: &[Case] = &[
        (json!({"model": null}), Some("model"), MISSING),
        (json!({"model": 1}), Some("model"), TYPE),
        (json!({"model": "simulated-2"}), Some("model"), Some("model_not_found")),
        (json!({"input": null}), Some("input"), MISSING),
        (json!({"input": ""}), Some("input"), MISSING),
        (json!({"input": []}), Some("input"), MISSING),
        (json!({"input": 1}), Some("input"), TYPE),
        (json!({"max_tokens": 5}), Some("max_tokens"), UNKNOWN),
        (json!({"messages": []}), Some("messages"), UNKNOWN),
        (json!({"stream": "yes"}), Some("stream"), TYPE),
        (json!({"stream_options": {"include_usage": true}}), Some("stream_options.include_usage"), UNKNOWN),
        (json!({"max_output_tokens": 15}), Some("max_output_tokens"), Some("integer_below_min_value")),
        (json!({"max_output_tokens": -1}), Some("max_output_tokens"), Some("integer_below_min_value")),
        (json!({"max_output_tokens": "16"}), Some("max_output_tokens"), TYPE),
        (json!({"temperature": 2.1}), Some("temperature"), Some("decimal_above_max_value")),
        (json!({"temperature": -0.1}), Some("temperature"), Some("decimal_below_min_value")),
        (json!({"temperature": "hot"}), Some("temperature"), TYPE),
        (json!({"top_p": 1.1}), Some("top_p"), Some("decimal_above_max_value")),
        (json!({"model": "simulated-reasoning", "temperature": 0.5}), Some("temperature"), None),
        (json!({"metadata": many}), Some("metadata"), Some("object_above_max_properties")),
        (json!({"metadata": {"a": 1}}), Some("metadata.a"), TYPE),
        (json!({"metadata": {"a": "x".repeat(513)}}), Some("metadata.a"), Some("string_above_max_length")),
        (json!({"conversation": "conv_1"}), Some("conversation"), Some("unsupported_parameter")),
        (json!({"previous_response_id": "resp_1"}), Some("previous_response_id"), Some("unsupported_parameter")),
        (json!({"previous_response_id": "r", "conversation": "c"}), None, Some("mutually_exclusive_parameters")),
        (json!({"background": true}), Some("background"), Some("unsupported_parameter")),
    ];
    refuses(RESPONSES, &json!({"model": "simulated-1", "input": "Hi"}), cases).await;
}

#[actix_rt::test]
async fn a_response_needs_tools_and_formats_that_are_flat() {
    let nested = json!([{"type": "function", "function": {"name": "f"}}]);
    let strange = json!([{"type": "function", "name": "f", "parameter": {}}]);
    let nested_format = json!({"format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}});
    let cases: &[Case] = &[
        (json!({"tools": nested}), Some("tools[0].name"), MISSING),
        (json!({"tools": strange}), Some("tools[0].parameter"), UNKNOWN),
        (json!({"tools": [{}]}), Some("tools[0].type"), MISSING),
        (json!({"tools": ["f"]}), Some("tools[0]"), TYPE),
        (json!({"text": nested_format}), Some("text.format.name"), MISSING),
        (json!({"text": {"format": {"type": "xml"}}}), Some("text.format.type"), VALUE),
    ];
    refuses(RESPONSES, &json!({"model": "simulated-1", "input": "Hi"}), cases).await;
}

#[actix_rt::test]
async fn a_response_needs_input_items_that_are_whole() {
    let part = |kind: &str| json!([{"type": kind, "text": "x"}]);
    let call = json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "call_2", "output": "x"});
    let item = |item: Value| json!({"input": [message("user", "Hi"), item]});
    let cases: &[Case] = &[
        (item(json!({"role": "assistant", "content": part("input_text")})), Some("input[1].content[0]"), VALUE),
        (item(json!({"role": "user", "content": part("output_text")})), Some("input[1].content[0]"), VALUE),
        (item(json!({"role": "user", "content": [{"type": "input_text"}]})), Some("input[1].content[0].text"), MISSING),
        (item(json!({"role": "user"})), Some("input[1].content"), MISSING),
        (item(json!({"role": "user", "content": 1})), Some("input[1].content"), TYPE),
        (item(json!({"role": "robot", "content": "x"})), Some("input[1].role"), VALUE),
        (item(json!({"role": "user", "content": "x", "phase": "final_answer"})), Some("input[1].phase"), UNKNOWN),
        (item(json!({"role": "assistant", "content": "x", "id": "m1"})), Some("input[1].id"), VALUE),
        (item(json!({"type": "thought"})), Some("input[1].type"), VALUE),
        (item(json!("x")), Some("input[1]"), TYPE),
        (item(merged(call.clone(), &json!({"id": "call_1"}))), Some("input[1].id"), VALUE),
        (item(merged(call.clone(), &json!({"arguments": {}}))), Some("input[1].arguments"), TYPE),
        (item(call), Some("input"), None),
        (item(output), Some("input"), None),
    ];
    let good = json!([message("user", "Hi"), {"role": "assistant", "content": "Hi", "phase": "final_answer"}]);
    refuses(RESPONSES, &json!({"model": "simulated-1", "input": good}), cases).await;
}

#[actix_rt::test]
async fn the_model_is_looked_at_before_the_input_and_that_before_unknown_fields() {
    let simulator = simulator();
    let bad = json!({"stop": "x"});
    assert_eq!(simulator.post(RESPONSES, &bad).await.error()["param"], "model");
    let bad = merged(bad, &json!({"model": "simulated-1"}));
    assert_eq!(simulator.post(RESPONSES, &bad).await.error()["param"], "input");
    let bad = merged(bad, &json!({"input": "Hi", "temperature": 9}));
    assert_eq!(simulator.post(RESPONSES, &bad).await.error()["param"], "stop");
}

#[actix_rt::test]
async fn a_stored_item_is_not_found_since_none_is_kept() {
    let input = json!([{"type": "item_reference", "id": "msg_1"}]);
    let answer = simulator().respond("", &json!({"input": input})).await;
    assert_eq!((answer.status.as_u16(), answer.error()["param"].is_null()), (404, true));
}

#[actix_rt::test]
async fn a_completion_needs_fields_that_are_known_and_in_range() {
    let flat = json!([{"type": "function", "name": "f"}]);
    let called = json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": ""}}]});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "x"});
    let messages = |message: Value| json!({"messages": [message]});
    let cases: &[Case] = &[
        (json!({"model": null}), Some("model"), MISSING),
        (json!({"messages": null}), Some("messages"), MISSING),
        (json!({"messages": []}), Some("messages"), Some("empty_array")),
        (json!({"messages": "Hi"}), Some("messages"), TYPE),
        (json!({"input": "Hi"}), Some("input"), UNKNOWN),
        (json!({"temperature": 3}), Some("temperature"), Some("decimal_above_max_value")),
        (json!({"max_tokens": 0}), Some("max_tokens"), Some("integer_below_min_value")),
        (json!({"n": 2}), Some("n"), Some("unsupported_parameter")),
        (json!({"functions": []}), Some("functions"), Some("unsupported_parameter")),
        (json!({"stream_options": {"include_usage": true}}), Some("stream_options"), None),
        (json!({"tools": flat}), Some("tools[0].function"), MISSING),
        (messages(json!({"role": "robot", "content": "x"})), Some("messages[0].role"), VALUE),
        (messages(json!({"role": "user"})), Some("messages[0].content"), MISSING),
        (messages(json!({"role": "assistant"})), Some("messages[0].content"), MISSING),
        (messages(json!({"role": "user", "content": [{"type": "input_text"}]})), Some("messages[0].content[0]"), VALUE),
        (messages(called), Some("messages"), None),
        (messages(result), Some("messages"), None),
    ];
    refuses(CHAT, &json!({"model": "simulated-1", "messages": [message("user", "Hi")]}), cases).await;
}

#[actix_rt::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let simulator = simulator();
    for body in ["", "{", "[]", "{\"model\": \"\\ud800\"}"] {
        let answer = simulator.send(Method::POST, RESPONSES, body).await.unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.error()["type"], "invalid_request_error");
    }
}
