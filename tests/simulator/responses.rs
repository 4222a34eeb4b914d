//! Answers of the Responses wire, streamed and in one piece; not its refusals of bad requests, nor its faults.

use serde_json::{Value, json};
use threadkeep::simulator::answer;

use crate::client::{Answer, RESPONSES, message, simulator, weather_tool};

const GOLDEN_STREAM: &str = include_str!("golden/response_stream.txt");

fn deltas(answer: &Answer, kind: &str) -> String {
    let events = answer.events();
    let data = events.iter().filter_map(crate::client::Event::json);
    let deltas = data.filter(|data| data["type"] == kind);
    deltas.map(|data| data["delta"].as_str().unwrap().to_owned()).collect()
}

/// Ids and times differ from answer to answer.
fn redacted(stream: &str) -> String {
    let mut clean = stream.to_owned();
    for prefix in ["\"resp_", "\"msg_"] {
        clean = clean
            .split(prefix)
            .enumerate()
            .map(|(index, part)| if index == 0 { part.to_owned() } else { format!("{prefix}ID{}", &part[32..]) })
            .collect();
    }
    for field in ["\"created_at\":", "\"completed_at\":"] {
        let parts = clean.split(field).enumerate().map(|(index, part)| match index {
            0 => part.to_owned(),
            _ if part.starts_with("null") => format!("{field}{part}"),
            _ => format!("{field}TIME{}", part.trim_start_matches(|letter: char| letter.is_ascii_digit())),
        });
        clean = parts.collect();
    }
    clean
}

#[actix_rt::test]
async fn a_streamed_response_is_the_recorded_one_byte_for_byte() {
    let request = json!({"stream": true, "instructions": "Be brief.", "metadata": {"run": "1"}, "store": false});
    let answer = simulator().respond("Hello", &request).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(redacted(answer.text()), GOLDEN_STREAM);
}

#[actix_rt::test]
async fn events_are_named_numbered_and_in_order() {
    let answer = simulator().respond("Hello", &json!({"stream": true})).await;
    for (number, event) in answer.events().iter().enumerate() {
        let data = event.json().unwrap();
        assert_eq!(data["sequence_number"], number);
        assert_eq!(data["type"].as_str(), event.name.as_deref());
    }
    let mut kinds = answer.kinds();
    kinds.dedup();
    let order = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds, order);
}

#[actix_rt::test]
async fn deltas_add_up_to_the_text_that_anyone_can_recompute() {
    let input = json!([message("user", "Grüße 🦀"), message("assistant", "Hi"), message("user", "And\nnow?")]);
    let request = json!({"input": input, "instructions": "Be kind", "stream": true});
    let streamed = simulator().respond("", &request).await;
    let history = [("user", "Grüße 🦀"), ("assistant", "Hi"), ("user", "And\nnow?")];
    let expected = answer::text(&history, Some("Be kind"));
    assert!(expected.starts_with(answer::NOTICE));
    assert_eq!(deltas(&streamed, "response.output_text.delta"), expected);
    let last = streamed.last();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], *expected);
    let whole = simulator().respond("", &json!({"input": input, "instructions": "Be kind"})).await;
    assert_eq!(whole.said(), expected);
    assert_eq!(whole.json()["status"], "completed");
}

#[actix_rt::test]
async fn an_answer_depends_on_every_earlier_message_and_on_their_order() {
    let simulator = simulator();
    let original = ["one", "two", "three", "four", "five"];
    let mut answers = Vec::new();
    let mut histories = vec![original.to_vec()];
    for index in 0..original.len() {
        let mut changed = original.to_vec();
        changed[index] = "other";
        let mut lost = original.to_vec();
        lost.remove(index);
        histories.extend([changed, lost]);
    }
    let mut swapped = original.to_vec();
    swapped.swap(1, 3);
    histories.push(swapped);
    for history in &histories {
        let input: Vec<Value> = history.iter().map(|text| message("user", text)).collect();
        answers.push(simulator.respond("", &json!({"input": input})).await.said());
    }
    answers.push(simulator.respond("", &json!({"input": original.join("")})).await.said());
    let input: Vec<Value> = original.iter().map(|text| message("assistant", text)).collect();
    answers.push(simulator.respond("", &json!({"input": input})).await.said());
    let all = answers.len();
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), all);
}

#[actix_rt::test]
async fn instructions_and_what_lies_beyond_a_quote_change_the_answer() {
    let simulator = simulator();
    let long = "long ".repeat(100);
    let said = simulator.respond(&long, &json!({})).await.said();
    assert!(said.contains("long …\""), "{said}");
    let longer = simulator.respond(&format!("{long}!"), &json!({})).await.said();
    assert_ne!(said, longer);
    let instructed = json!({"instructions": long});
    let instructed_otherwise = json!({"instructions": format!("{long}!")});
    let first = simulator.respond("Hi", &instructed).await.said();
    let second = simulator.respond("Hi", &instructed_otherwise).await.said();
    assert_ne!(first, second);
    assert_eq!(first, simulator.respond("Hi", &instructed).await.said());
}

#[test]
fn the_digest_is_the_documented_hash() {
    assert_eq!(answer::digest(&[("user", "Hello")], Some("Be brief.")), "ffaca3f95746");
    assert_eq!(answer::digest(&[("user", "a"), ("assistant", "b")], None), "1f24809dc09a");
}

#[actix_rt::test]
async fn deltas_hide_their_length_unless_that_is_declined() {
    let simulator = simulator();
    let hidden = simulator.respond("Hi", &json!({"stream": true})).await;
    assert!(hidden.text().contains("obfuscation"));
    let declined = json!({"stream": true, "stream_options": {"include_obfuscation": false}});
    assert!(!simulator.respond("Hi", &declined).await.text().contains("obfuscation"));
}

#[actix_rt::test]
async fn a_name_told_earlier_is_remembered_and_no_other() {
    let input = json!([message("user", "My name is Ada."), message("user", "What is my name?")]);
    let said = simulator().respond("", &json!({"input": input})).await.said();
    assert!(said.contains("You told me that your name is Ada."), "{said}");
    let said = simulator().respond("What is my name?", &json!({})).await.said();
    assert!(!said.contains("You told me"), "{said}");
}

#[actix_rt::test]
async fn parts_of_a_message_count_like_its_text() {
    let parts = json!([{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "x"}]);
    let replied = json!([{"type": "output_text", "text": "b", "annotations": []}]);
    let input = json!([
        {"type": "message", "role": "user", "content": parts},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": replied},
        {"type": "message", "role": "developer", "content": "c"},
    ]);
    let said = simulator().respond("", &json!({"input": input})).await.said();
    let history = [("user", "a\n[input_image]"), ("assistant", "b"), ("developer", "c")];
    assert_eq!(said, answer::text(&history, None));
}

#[actix_rt::test]
async fn usage_is_a_quarter_of_the_characters() {
    let request = json!({"instructions": "äöü", "input": [message("user", "12345"), message("user", "6")]});
    let answer = simulator().respond("", &request).await;
    let output = answer.said().chars().count().div_ceil(4);
    let usage = answer.json()["usage"].clone();
    assert_eq!(usage["input_tokens"], 3);
    assert_eq!(usage["output_tokens"], output);
    assert_eq!(usage["total_tokens"], 3 + output);
}

#[actix_rt::test]
async fn an_answer_beyond_the_allowed_tokens_is_incomplete() {
    let request = json!({"max_output_tokens": 16});
    let answer = simulator().respond("Hello", &request).await;
    let body = answer.json();
    assert_eq!(body["status"], "incomplete");
    assert_eq!(body["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(answer.said().chars().count(), 64);
    assert_eq!(body["usage"]["output_tokens"], 16);
}

#[actix_rt::test]
async fn a_response_repeats_what_it_was_asked() {
    let request = json!({
        "metadata": {"a": "b"}, "tools": [weather_tool()], "store": false, "temperature": 0.5, "top_p": null,
    });
    let body = simulator().respond("Hello", &request).await.json();
    for field in ["metadata", "tools", "store", "temperature"] {
        assert_eq!(body[field], request[field], "{field}");
    }
    assert_eq!(body["top_p"], 1.0);
    assert_eq!(body["model"], "simulated-1");
    assert!(body["id"].as_str().unwrap().starts_with("resp_"));
}

#[actix_rt::test]
async fn a_function_is_called_and_its_result_answered() {
    let simulator = simulator();
    let asked = "Weather? [[simulate: function_call]]";
    let tools = json!({"tools": [weather_tool()], "stream": true});
    let answer = simulator.respond(asked, &tools).await;
    let mut kinds = answer.kinds();
    kinds.dedup();
    let order = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds, order);
    let call = answer.last()["response"]["output"][0].clone();
    assert_eq!(call["name"], "get_weather");
    assert_eq!(deltas(&answer, "response.function_call_arguments.delta"), call["arguments"].as_str().unwrap());
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"city": "simulated", "days": 1, "unit": "celsius"}));

    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"});
    let body = json!({"model": "simulated-1", "input": [message("user", asked), call, output]});
    let said = simulator.post(RESPONSES, &body).await.said();
    assert!(said.contains("The function returned: \"sunny\"."), "{said}");
}

#[actix_rt::test]
async fn without_tools_a_request_for_a_call_is_answered_in_words() {
    let said = simulator().respond("[[simulate: function_call]]", &json!({})).await.said();
    assert_eq!(said, answer::text(&[("user", "[[simulate: function_call]]")], None));
}
