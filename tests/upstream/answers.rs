//! What makes an answer, however the provider words it, and what ends without one though it was read to its end.

use std::time::Instant;

use serde_json::{Value, json};
use threadkeep::domain::{Answer, Cause, Failure, ModelCall, RunId, Usage};

use crate::fake::{Fake, Script};
use crate::scene::{agent, ask, assert_fails_once, config, history, upstream};
use crate::wire::{
    EVENT_STREAM, JSON, answer, chunk, completed, created, delta, event, object, replying, response, stream,
    stream_head, text_item,
};

async fn outcome(script: Script) -> (Answer, Vec<String>) {
    let fake = Fake::play([script]);
    let (outcome, deltas) = ask(&config(&fake.base_url())).await;
    (outcome.unwrap(), deltas)
}

async fn answered(events: &[Value]) -> (String, Vec<String>) {
    let (answer, deltas) = outcome(replying(stream(events))).await;
    (answer.text, deltas)
}

async fn fails(events: &[Value], cause: Cause) -> Failure {
    assert_fails_once(replying(stream(events)), cause).await
}

#[actix_rt::test]
async fn an_answer_keeps_text_usage_model_and_both_ids() {
    let (answer, deltas) = outcome(replying(answer("Hello"))).await;
    assert_eq!(deltas, ["Hello"]);
    assert_eq!(
        answer,
        Answer {
            text: "Hello".into(),
            usage: Some(Usage { input_tokens: 7, output_tokens: 3, total_tokens: 10 }),
            model: Some("gpt-test-2026-01-01".into()),
            response_id: Some("resp_1".into()),
            request_id: Some("req_1".into()),
        }
    );
}

#[actix_rt::test]
async fn pieces_arrive_while_the_provider_is_still_speaking() {
    let start = Script::new().expect().send(stream_head()).send(chunk(event(&created())));
    let slow = start.send(chunk(event(&delta("Hel")))).sleep_ms(300).send(chunk(event(&delta("lo"))));
    let fake = Fake::play([slow.send(chunk(event(&completed(&json!([text_item("Hello")]))))).send(chunk(""))]);
    let began = Instant::now();
    let mut times_ms = Vec::new();
    let (agent, history) = (agent(&json!({})), history(&["Hi"]));
    let run_id = RunId::generate();
    let call = ModelCall { run_id: &run_id, agent: &agent, history: &history };
    let upstream = upstream(&config(&fake.base_url()));
    upstream.answer(&call, &mut |_| times_ms.push(began.elapsed().as_millis())).await.unwrap();
    assert_eq!(times_ms.len(), 2);
    assert!(times_ms[1] - times_ms[0] >= 200, "{times_ms:?}");
}

#[actix_rt::test]
async fn bytes_may_be_cut_anywhere() {
    let bytes = answer("Grüße 😀");
    let head_bytes = stream_head().len();
    for cut_bytes in [1, 2, 3, 5] {
        let mut script = Script::new().expect().send(&bytes[..head_bytes]);
        for piece in bytes[head_bytes..].chunks(cut_bytes * 40) {
            script = script.send(piece).sleep_ms(1);
        }
        let (answer, deltas) = outcome(script).await;
        assert_eq!((answer.text.as_str(), deltas.concat().as_str()), ("Grüße 😀", "Grüße 😀"));
    }
}

#[actix_rt::test]
async fn neither_names_nor_numbers_nor_known_types_of_events_are_needed() {
    let data = |value: Value| format!("data: {value}\n\n");
    let events = [
        ": keep-alive\n\n".to_owned(),
        "event: ping\ndata:\n\n".to_owned(),
        data(json!({ "type": "response.holographic.delta", "delta": { "x": [1] }, "item": 5 })),
        data(json!({ "type": null, "response": [] })),
        data(json!({ "type": "response.output_item.added", "item": { "type": "hologram" } })),
        "event: wrong.name\n".to_owned()
            + &data(json!({ "type": "response.output_text.delta", "delta": "Hi", "new": {} })),
        data(json!({ "type": "response.output_text.delta", "delta": null })),
        data(json!({ "type": "response.completed", "response": {
            "id": null, "status": null, "output": [null, { "type": "hologram" }, text_item("Hi")], "usage": null,
        } })),
        "data: [DONE]\n\n".to_owned(),
    ];
    let (answer, deltas) = outcome(replying(response(200, &[EVENT_STREAM], events.concat()))).await;
    assert_eq!((answer.text.as_str(), deltas), ("Hi", vec!["Hi".to_owned()]));
    assert_eq!((answer.usage, answer.model, answer.response_id, answer.request_id), (None, None, None, None));
}

#[actix_rt::test]
async fn a_provider_that_does_not_stream_is_understood() {
    let body = object("completed", &json!([{ "type": "reasoning", "summary": [] }, text_item("Hello")])).to_string();
    for headers in [&[JSON][..], &["content-type: text/plain"], &[]] {
        let (answer, deltas) = outcome(replying(response(200, headers, &body))).await;
        assert_eq!((answer.text.as_str(), deltas), ("Hello", vec!["Hello".to_owned()]), "{headers:?}");
        assert_eq!(answer.response_id.as_deref(), Some("resp_1"));
    }
}

#[actix_rt::test]
async fn all_parts_of_all_messages_are_joined_in_order() {
    let mut first = text_item("one ");
    first["content"].as_array_mut().unwrap().push(json!({ "type": "output_text", "text": "two " }));
    let output = json!([first, { "type": "reasoning" }, text_item("three")]);
    let events = [created(), delta("one "), delta("two "), delta("three"), completed(&output)];
    assert_eq!(answered(&events).await.0, "one two three");
}

#[actix_rt::test]
async fn commentary_is_no_part_of_the_answer() {
    let mut remark = text_item("Let me see.");
    remark["phase"] = json!("commentary");
    let added = |item: &Value| json!({ "type": "response.output_item.added", "item": item });
    let done = |item: &Value| json!({ "type": "response.output_item.done", "item": item });
    let spoken = text_item("42");
    let remarked = [created(), added(&remark), delta("Let me see."), done(&remark)];
    let answered_too = [added(&spoken), delta("42"), done(&spoken), completed(&json!([remark, spoken]))];
    let (text, deltas) = answered(&[&remarked[..], &answered_too].concat()).await;
    assert_eq!((text.as_str(), deltas), ("42", vec!["42".to_owned()]));
    let (text, deltas) = answered(&[&remarked[..], &[completed(&json!([remark]))]].concat()).await;
    assert_eq!((text.as_str(), deltas.len()), ("Let me see.", 0), "better a remark than nothing");
}

#[actix_rt::test]
async fn the_final_text_wins_over_the_pieces() {
    let (text, deltas) = answered(&[delta("Helo"), completed(&json!([text_item("Hello")]))]).await;
    assert_eq!((text.as_str(), deltas), ("Hello", vec!["Helo".to_owned()]));
}

#[actix_rt::test]
async fn the_text_is_taken_from_wherever_the_provider_puts_it() {
    let text_done = json!({ "type": "response.output_text.done", "text": "Hello" });
    let item_done = json!({ "type": "response.output_item.done", "item": text_item("Hello") });
    for output in [json!([]), json!(null), json!("?")] {
        let last = completed(&output);
        for events in [
            vec![delta("Hel"), delta("lo"), last.clone()],
            vec![text_done.clone(), last.clone()],
            vec![item_done.clone(), last.clone()],
            vec![delta("Hel"), delta("lo"), text_done.clone(), item_done.clone(), last.clone()],
            vec![delta("Hel"), delta("lo"), text_done.clone(), json!({ "type": "response.completed" })],
        ] {
            let (text, deltas) = answered(&events).await;
            assert_eq!((text.as_str(), deltas.concat().as_str()), ("Hello", "Hello"), "{events:?}");
        }
    }
    let corrected = [delta("Helo"), text_done, completed(&json!([]))];
    assert_eq!(answered(&corrected).await.0, "Hello");
}

#[actix_rt::test]
async fn what_cannot_be_stored_is_replaced() {
    let (text, deltas) = answered(&[delta("a\0b"), completed(&json!([text_item("a\0b")]))]).await;
    assert_eq!((text.as_str(), deltas.concat().as_str()), ("a\u{fffd}b", "a\u{fffd}b"));
    let halves = r#"data: {"type":"response.output_text.delta","delta":"\ud83d"}

data: {"type":"response.output_text.delta","delta":"\ude00"}

data: {"type":"response.completed","response":{"output":[]}}

"#;
    let (answer, deltas) = outcome(replying(response(200, &[EVENT_STREAM], halves))).await;
    assert_eq!((answer.text.as_str(), deltas.concat().as_str()), ("😀", "😀"), "pairs cut in two are whole again");
}

#[actix_rt::test]
async fn usage_is_what_the_provider_counted_or_absent() {
    let counted = Some(Usage { input_tokens: 1, output_tokens: 2, total_tokens: 3 });
    for (usage, expected) in [
        (json!(null), None),
        (json!({}), None),
        (json!({ "input_tokens": "many" }), None),
        (json!({ "input_tokens": 1, "output_tokens": 2 }), counted),
        (json!({ "input_tokens": 1, "output_tokens": 2, "total_tokens": null }), counted),
    ] {
        let mut last = completed(&json!([text_item("Hi")]));
        last["response"]["usage"] = usage.clone();
        assert_eq!(outcome(replying(stream(&[last]))).await.0.usage, expected, "{usage}");
    }
}

#[actix_rt::test]
async fn ids_may_have_any_length() {
    let (id, request_id) = ("resp_".to_owned() + &"x".repeat(9000), "r".repeat(9000));
    let mut last = completed(&json!([text_item("Hi")]));
    last["response"]["id"] = json!(id);
    let header = format!("x-request-id: {request_id}");
    let (answer, _) = outcome(replying(response(200, &[EVENT_STREAM, &header], event(&last)))).await;
    assert_eq!((answer.response_id, answer.request_id), (Some(id), Some(request_id)));
}

#[actix_rt::test]
async fn a_terminal_event_without_its_closing_blank_line_counts() {
    let body = event(&completed(&json!([text_item("Hi")])));
    for body in [body.trim_end().to_owned(), body.trim_end().to_owned() + "\r\n"] {
        assert_eq!(outcome(replying(response(200, &[EVENT_STREAM], body))).await.0.text, "Hi");
    }
}

#[actix_rt::test]
async fn a_refusal_is_no_answer() {
    let mut refused = text_item("");
    refused["content"] = json!([{ "type": "refusal", "refusal": "I would rather not." }]);
    let failure = fails(&[created(), completed(&json!([refused]))], Cause::ResponseRefused).await;
    assert_eq!(&*failure.sentence, "The model refused to answer.");
    assert!(failure.usage.is_some() && failure.response_id.as_deref() == Some("resp_1"));
    let done = json!({ "type": "response.refusal.done", "refusal": "No." });
    fails(&[done, completed(&json!([]))], Cause::ResponseRefused).await;
}

#[actix_rt::test]
async fn a_call_of_a_function_is_no_answer() {
    let call = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" });
    let failure = fails(&[completed(&json!([text_item("Calling."), call]))], Cause::FunctionCall).await;
    assert!(failure.usage.is_some(), "its tokens were spent");
    let done = json!({ "type": "response.output_item.done", "item": call });
    fails(&[done, completed(&json!(null))], Cause::FunctionCall).await;
}

#[actix_rt::test]
async fn an_answer_without_a_word_is_none() {
    for output in [json!([]), json!(null), json!([text_item(" \n")]), json!([{ "type": "reasoning" }])] {
        fails(&[created(), completed(&output)], Cause::ResponseEmpty).await;
    }
}

#[actix_rt::test]
async fn an_incomplete_answer_says_what_stopped_it() {
    for (details, expected) in [
        (json!({ "reason": "max_output_tokens" }), "The answer reached the model's token limit before its end."),
        (json!({ "reason": "content_filter" }), "The provider's content filter stopped the answer."),
        (json!({ "reason": "steered" }), "The provider ended the answer early (steered)."),
        (json!({ "reason": "two words" }), "The provider ended the answer early."),
        (json!(null), "The provider ended the answer early."),
    ] {
        let mut response = object("incomplete", &json!([text_item("Hel")]));
        response["incomplete_details"] = details;
        let last = json!({ "type": "response.incomplete", "response": response });
        let failure = fails(&[created(), delta("Hel"), last], Cause::ResponseIncomplete).await;
        assert_eq!(&*failure.sentence, expected);
        assert_eq!(failure.usage.map(|usage| usage.total_tokens), Some(10));
    }
}

#[actix_rt::test]
async fn the_status_of_the_final_object_counts_whatever_its_event_is_called() {
    fails(
        &[json!({ "type": "response.completed", "response": object("incomplete", &json!([])) })],
        Cause::ResponseIncomplete,
    )
    .await;
    let body = object("failed", &json!([])).to_string();
    assert_fails_once(replying(response(200, &[JSON], body)), Cause::ResponseFailed).await;
    let body = object("in_progress", &json!([])).to_string();
    assert_fails_once(replying(response(200, &[JSON], body)), Cause::ResponseMalformed).await;
}

#[actix_rt::test]
async fn a_failed_response_tells_its_cause() {
    let failed = |code: &str| {
        let mut response = object("failed", &json!([]));
        response["error"] = json!({ "code": code, "message": "It \u{7} broke." });
        json!({ "type": "response.failed", "response": response })
    };
    let failure = fails(&[created(), failed("server_error")], Cause::ResponseFailed).await;
    assert_eq!(&*failure.sentence, "The provider failed to answer: It   broke.");
    assert!(failure.detail.contains("server_error"), "{failure:?}");
    assert_eq!((failure.request_id.as_deref(), failure.response_id.as_deref()), (Some("req_1"), Some("resp_1")));
    fails(&[failed("rate_limit_exceeded")], Cause::RateLimited).await;
    fails(&[failed("insufficient_quota")], Cause::QuotaExhausted).await;
    fails(&[failed("context_length_exceeded")], Cause::ContextLengthExceeded).await;
}

#[actix_rt::test]
async fn an_error_in_the_stream_tells_its_cause_and_nothing_else() {
    let message = "Traceback: /srv/app.py";
    for error in [
        json!({ "type": "error", "code": "server_error", "message": message, "param": null }),
        json!({ "type": "error", "error": { "type": "server_error", "message": message } }),
        json!({ "error": { "message": message, "type": "server_error", "code": "500" } }),
    ] {
        let failure = fails(&[created(), delta("Hel"), error], Cause::ResponseFailed).await;
        assert_eq!(&*failure.sentence, "The provider failed to answer.");
        assert!(failure.detail.contains("server_error") && failure.response_id.is_some(), "{failure:?}");
    }
    fails(&[json!({ "type": "error", "code": "rate_limit_exceeded" })], Cause::RateLimited).await;
}
