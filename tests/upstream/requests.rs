//! What is sent: bodies, headers, addresses, connections.

use serde_json::{Value, json};
use threadkeep::domain::{Content, Message, ModelCall, Role, RunId};

use crate::fake::{Fake, Request};
use crate::scene::{agent, ask, ask_as, config, history, upstream};
use crate::wire::{answer, replying};

async fn sent(fields: Value, history: &[Message]) -> Request {
    let fake = Fake::play([replying(answer("Hello"))]);
    ask_as(&config(&fake.base_url()), &agent(&fields), history).await.0.unwrap();
    fake.request()
}

#[actix_rt::test]
async fn the_whole_history_is_sent_with_its_roles_and_nothing_is_stored() {
    let fields = json!({ "instructions": "Be brief.", "description": "x", "metadata": { "team": "a" } });
    let request = sent(fields, &history(&["Hi", "Hello \"you\"", "Grüße 😀\n"])).await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/responses"));
    let item =
        |role, kind, text| json!({ "type": "message", "role": role, "content": [{ "type": kind, "text": text }] });
    assert_eq!(
        request.json(),
        json!({
            "model": "gpt-test", "instructions": "Be brief.", "stream": true, "store": false,
            "input": [
                item("user", "input_text", "Hi"),
                item("assistant", "output_text", "Hello \"you\""),
                item("user", "input_text", "Grüße 😀\n"),
            ],
            "metadata": { "threadkeep_run_id": "run_test" },
        })
    );
}

#[actix_rt::test]
async fn sampling_is_sent_only_when_the_agent_sets_it() {
    let plain = sent(json!({}), &history(&["Hi"])).await.json();
    let fields: Vec<&String> = plain.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["input", "metadata", "model", "store", "stream"]);
    let set = json!({ "temperature": 0.0, "top_p": 0.5, "reasoning_effort": "low" });
    let body = sent(set, &history(&["Hi"])).await.json();
    assert_eq!((&body["temperature"], &body["top_p"]), (&json!(0.0), &json!(0.5)));
    assert_eq!(body["reasoning"], json!({ "effort": "low" }));
}

#[actix_rt::test]
async fn functions_are_flattened_and_say_whether_they_are_strict() {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let tools = json!([
        { "type": "function", "function": { "name": "weather", "description": "d", "parameters": parameters } },
        { "type": "function", "function": { "name": "time", "strict": true, "description": null } },
        { "type": "file_search", "file_search": { "max_num_results": 3 }, "vector_store_ids": ["vs_1"] },
    ]);
    let body = sent(json!({ "tools": tools }), &history(&["Hi"])).await.json();
    assert_eq!(
        body["tools"],
        json!([
            { "type": "function", "name": "weather", "description": "d", "parameters": parameters, "strict": false },
            { "type": "function", "name": "time", "parameters": { "type": "object", "properties": {} }, "strict": true },
            { "type": "file_search", "max_num_results": 3, "vector_store_ids": ["vs_1"] },
        ])
    );
}

#[actix_rt::test]
async fn plain_response_formats_are_left_out_and_schemas_flattened() {
    for plain in [json!("auto"), json!("text"), json!({ "type": "text" }), json!(null)] {
        let body = sent(json!({ "response_format": plain }), &history(&["Hi"])).await.json();
        assert_eq!(body.get("text"), None, "{plain}");
    }
    let object = json!({ "type": "json_object" });
    let body = sent(json!({ "response_format": object }), &history(&["Hi"])).await.json();
    assert_eq!(body["text"], json!({ "format": object }));
    let schema = json!({ "name": "n", "schema": { "type": "object" }, "strict": true });
    let nested = json!({ "type": "json_schema", "json_schema": schema });
    let body = sent(json!({ "response_format": nested }), &history(&["Hi"])).await.json();
    let flat = json!({ "type": "json_schema", "name": "n", "schema": { "type": "object" }, "strict": true });
    assert_eq!(body["text"], json!({ "format": flat }));
}

#[actix_rt::test]
async fn a_growing_thread_sends_the_same_beginning() {
    let fields = json!({ "instructions": "Be brief.", "temperature": 0.3, "tools": [{ "type": "web_search" }] });
    let earlier = sent(fields.clone(), &history(&["one", "two", "three"])).await.body;
    let later = sent(fields, &history(&["one", "two", "three", "four", "five"])).await.body;
    let input_end = earlier.windows(14).position(|bytes| bytes == b"],\"metadata\":{").unwrap();
    assert_eq!(earlier[..input_end], later[..input_end]);
    assert!(String::from_utf8_lossy(&earlier[..input_end]).ends_with("\"text\":\"three\"}]}"));
}

#[actix_rt::test]
async fn pictures_and_refusals_are_translated_and_unknown_parts_left_out() {
    let content = |parts: Value| serde_json::from_value::<Content>(parts).unwrap();
    let text = json!({ "type": "text", "text": { "value": "see", "annotations": [] } });
    let history = [
        Message {
            role: Role::User,
            content: content(json!([
                text,
                { "type": "image_url", "image_url": { "url": "https://x/y.png", "detail": "low" } },
                { "type": "image_file", "image_file": { "file_id": "file-1" } },
                { "type": "hologram", "hologram": {} },
            ])),
        },
        Message { role: Role::Assistant, content: content(json!([{ "type": "refusal", "refusal": "no" }])) },
        Message { role: Role::User, content: content(json!([{ "type": "hologram" }])) },
    ];
    let body = sent(json!({}), &history).await.json();
    let parts = json!([
        { "type": "input_text", "text": "see" },
        { "type": "input_image", "image_url": "https://x/y.png", "detail": "low" },
        { "type": "input_image", "file_id": "file-1" },
    ]);
    let refusal = json!([{ "type": "refusal", "refusal": "no" }]);
    assert_eq!(
        body["input"],
        json!([
            { "type": "message", "role": "user", "content": parts },
            { "type": "message", "role": "assistant", "content": refusal },
        ])
    );
}

#[actix_rt::test]
async fn headers_carry_the_key_and_the_run_and_no_beta() {
    let request = sent(json!({}), &history(&["Hi"])).await;
    assert_eq!(request.header("authorization"), Some("Bearer sk-test-0123456789"));
    assert_eq!(request.header("x-client-request-id"), Some("run_test"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert!(request.header("user-agent").unwrap().starts_with("threadkeep/"));
    assert_eq!((request.header("openai-beta"), request.header("cookie")), (None, None));
}

#[actix_rt::test]
async fn without_a_key_there_is_no_authorization() {
    let fake = Fake::play([replying(answer("Hello"))]);
    let mut config = config(&fake.base_url());
    config.api_key = String::new().into();
    ask(&config).await.0.unwrap();
    assert_eq!(fake.request().header("authorization"), None);
}

#[actix_rt::test]
async fn a_trailing_slash_in_the_base_url_does_no_harm() {
    let fake = Fake::play([replying(answer("Hello"))]);
    ask(&config(&format!("{}/", fake.base_url()))).await.0.unwrap();
    assert_eq!(fake.request().path, "/v1/responses");
}

#[actix_rt::test]
async fn a_connection_is_used_again_once_its_answer_was_read() {
    let fake = Fake::play([replying(answer("Hello")).again()]);
    let upstream = upstream(&config(&fake.base_url()));
    let (agent, history, run_id) = (agent(&json!({})), history(&["Hi"]), RunId::generate());
    for _ in 0..3 {
        let call = ModelCall { run_id: &run_id, agent: &agent, history: &history };
        upstream.answer(&call, &mut |_| ()).await.unwrap();
    }
    assert_eq!((fake.connections(), fake.requests().len()), (1, 3));
}
