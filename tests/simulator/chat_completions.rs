//! Answers of the Chat Completions wire, streamed and in one piece; not its refusals of bad requests.

use serde_json::{Value, json};
use threadkeep::simulator::answer;

use crate::client::{Answer, CHAT, Event, message, simulator, weather_tool};

fn chunks(answer: &Answer) -> Vec<Value> {
    answer.events().iter().filter_map(Event::json).collect()
}

fn joined(chunks: &[Value], pointer: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk.pointer(pointer)?.as_str()).collect()
}

fn nested_tool() -> Value {
    let mut function = weather_tool();
    function.as_object_mut().unwrap().remove("type");
    json!({"type": "function", "function": function})
}

#[actix_rt::test]
async fn both_wires_give_the_same_answer() {
    let simulator = simulator();
    let history = [message("user", "Hi"), message("assistant", "Hello"), message("user", "And?")];
    let mut messages = vec![message("system", "Be kind")];
    messages.extend(history.clone());
    let completed = simulator.complete("", &json!({"messages": messages})).await.said();
    let responded = simulator.respond("", &json!({"input": history, "instructions": "Be kind"})).await.said();
    assert_eq!(completed, responded);
    let expected = answer::text(&[("user", "Hi"), ("assistant", "Hello"), ("user", "And?")], Some("Be kind"));
    assert_eq!(completed, expected);
}

#[actix_rt::test]
async fn a_completion_has_one_choice_and_its_usage() {
    let body = simulator().complete("Hello", &json!({})).await.json();
    let text = answer::text(&[("user", "Hello")], None);
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], *text);
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["prompt_tokens"], 2);
    assert_eq!(body["usage"]["completion_tokens"], answer::tokens(text.chars().count()));
}

#[actix_rt::test]
async fn a_streamed_completion_ends_with_its_reason_its_usage_and_done() {
    let request = json!({"stream": true, "stream_options": {"include_usage": true}});
    let answer = simulator().complete("Hello", &request).await;
    let chunks = chunks(&answer);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(joined(&chunks, "/choices/0/delta/content"), answer::text(&[("user", "Hello")], None));
    let [finish, usage] = &chunks[chunks.len() - 2..] else { unreachable!() };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(finish["usage"], Value::Null);
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["prompt_tokens"], 2);
    let events = answer.events();
    assert_eq!(events.last().unwrap().data, "[DONE]");
    assert!(events.iter().all(|event| event.name.is_none()));
}

#[actix_rt::test]
async fn usage_is_streamed_only_on_demand() {
    let answer = simulator().complete("Hello", &json!({"stream": true})).await;
    assert!(chunks(&answer).iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(answer.events().last().unwrap().data, "[DONE]");
}

#[actix_rt::test]
async fn a_completion_beyond_the_allowed_tokens_ends_for_its_length() {
    let body = simulator().complete("Hello", &json!({"max_completion_tokens": 5})).await.json();
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["choices"][0]["message"]["content"].as_str().unwrap().chars().count(), 20);
}

#[actix_rt::test]
async fn a_function_is_called_and_its_result_answered() {
    let simulator = simulator();
    let asked = "Weather? [[simulate: function_call]]";
    let streamed = simulator.complete(asked, &json!({"tools": [nested_tool()], "stream": true})).await;
    let chunks = chunks(&streamed);
    assert_eq!(joined(&chunks, "/choices/0/delta/tool_calls/0/function/name"), "get_weather");
    let arguments = joined(&chunks, "/choices/0/delta/tool_calls/0/function/arguments");
    assert_eq!(arguments, r#"{"city":"simulated","days":1,"unit":"celsius"}"#);
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");

    let body = simulator.complete(asked, &json!({"tools": [nested_tool()]})).await.json();
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    let called = body["choices"][0]["message"].clone();
    let result = json!({"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "sunny"});
    let messages = json!([message("user", asked), called, result]);
    let said = simulator.post(CHAT, &json!({"model": "simulated-1", "messages": messages})).await.said();
    assert!(said.contains("The function returned: \"sunny\"."), "{said}");
}

#[actix_rt::test]
async fn endings_other_than_completed_keep_to_this_wire() {
    let simulator = simulator();
    for (kind, reason) in [("incomplete", "length"), ("content_filter", "content_filter"), ("refusal", "stop")] {
        let body = simulator.complete(&format!("[[simulate: {kind}]]"), &json!({})).await.json();
        assert_eq!(body["choices"][0]["finish_reason"], reason, "{kind}");
    }
    for kind in ["failed", "error_event"] {
        let asked = format!("[[simulate: {kind}]]");
        let whole = simulator.complete(&asked, &json!({})).await;
        assert_eq!((whole.status.as_u16(), whole.error()["code"].as_str()), (500, Some("server_error")));
        let streamed = simulator.complete(&asked, &json!({"stream": true})).await;
        assert_eq!(chunks(&streamed).last().unwrap()["error"]["code"], "server_error");
        assert!(!streamed.text().contains("[DONE]"));
    }
    let refused = simulator.complete("[[simulate: refusal]]", &json!({"stream": true})).await;
    assert!(joined(&chunks(&refused), "/choices/0/delta/refusal").starts_with("I'm sorry"));
    let silent = simulator.complete("[[simulate: no_terminal]]", &json!({"stream": true})).await;
    assert!(!silent.text().contains("[DONE]") && !silent.text().contains("\"stop\""));
    let unknown = simulator.complete("[[simulate: unknown_events]]", &json!({"stream": true})).await;
    assert_eq!(chunks(&unknown)[0]["object"], "simulated.unknown");
    assert_eq!(unknown.events().last().unwrap().data, "[DONE]");
}
