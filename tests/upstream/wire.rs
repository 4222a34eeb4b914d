//! The provider's side of the wire as bytes: heads, events, and a complete answer; nothing decides what is right.

use serde_json::{Value, json};

use crate::fake::Script;

pub const EVENT_STREAM: &str = "content-type: text/event-stream";
pub const JSON: &str = "content-type: application/json";

/// A whole response of known length.
pub fn response(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let length = format!("content-length: {}", body.as_ref().len());
    let mut bytes = head(status, &[headers, &[&length]].concat());
    bytes.extend_from_slice(body.as_ref());
    bytes
}

/// A head alone.
pub fn head(status: u16, headers: &[&str]) -> Vec<u8> {
    let status_line = format!("HTTP/1.1 {status} X");
    let lines = [&[status_line.as_str()], headers, &["", ""]].concat();
    lines.join("\r\n").into_bytes()
}

/// The head of a stream whose length is not known.
pub fn stream_head() -> Vec<u8> {
    head(200, &[EVENT_STREAM, "transfer-encoding: chunked", "x-request-id: req_1"])
}

/// One chunk of such a stream; an empty one ends it.
pub fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// An event as OpenAI sends it: a line with its name, a line with its data, a blank line.
pub fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or("message"))
}

pub fn created() -> Value {
    json!({ "type": "response.created", "sequence_number": 0, "response": { "id": "resp_1", "status": "in_progress" } })
}

pub fn delta(text: &str) -> Value {
    json!({ "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": text, "obfuscation": "x" })
}

pub fn text_item(text: &str) -> Value {
    let part = json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
    json!({ "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part] })
}

/// A response object with this output.
pub fn object(status: &str, output: &Value) -> Value {
    json!({
        "id": "resp_1", "object": "response", "status": status, "model": "gpt-test-2026-01-01", "output": output,
        "error": null, "incomplete_details": null, "user": null, "billing": { "payer": "developer" },
        "usage": { "input_tokens": 7, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": 3,
                   "output_tokens_details": null, "total_tokens": 10 },
    })
}

pub fn completed(output: &Value) -> Value {
    json!({ "type": "response.completed", "sequence_number": 9, "response": object("completed", output) })
}

/// A complete stream of these events.
pub fn stream(events: &[Value]) -> Vec<u8> {
    let events = events.iter().map(|data| chunk(event(data)));
    [vec![stream_head()], events.collect(), vec![chunk("")]].concat().concat()
}

/// The usual answer.
pub fn answer(text: &str) -> Vec<u8> {
    stream(&[created(), delta(text), completed(&json!([text_item(text)]))])
}

/// An error in OpenAI's shape.
pub fn error(status: u16, code: Option<&str>, message: &str, headers: &[&str]) -> Vec<u8> {
    let body = json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": code } });
    response(status, &[headers, &[JSON, "x-request-id: req_1"]].concat(), body.to_string())
}

/// Takes one request and answers it with these bytes.
pub fn replying(bytes: impl AsRef<[u8]>) -> Script {
    Script::new().expect().send(bytes)
}
