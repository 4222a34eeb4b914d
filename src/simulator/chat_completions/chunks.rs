//! The chunks of a streamed completion, in the order that OpenAI sends them; not how fast they leave.

use serde::Serialize;
use serde_json::{Value, json};

use super::{object::Object, request};
use crate::simulator::{
    answer,
    prompt::{Content, Ending},
    stream::Events,
};

#[derive(Serialize)]
struct Chunk<'a, D> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: Option<&'static str>,
    system_fingerprint: Option<()>,
    choices: &'a [Choice<D>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(Serialize)]
struct Choice<D> {
    index: u8,
    delta: D,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Said<'a> {
    content: &'a str,
}

/// Writes the whole stream, its `[DONE]` included.
pub fn write(events: &mut Events, object: &Object<'_>) -> serde_json::Result<()> {
    let writer = Writer { object, includes_usage: request::includes_usage(object.prompt) };
    if object.unknown {
        writer.unknown(events)?;
    }
    match &object.reply.content {
        Content::Nothing => writer.chunk(events, opening(json!({})), None)?,
        Content::Text(text) => {
            writer.chunk(events, opening(json!({"content": "", "refusal": null})), None)?;
            events.deltas_begin();
            for content in answer::pieces(text) {
                writer.chunk(events, Said { content }, None)?;
            }
        }
        Content::Refusal(refusal) => {
            writer.chunk(events, opening(json!({"content": null, "refusal": ""})), None)?;
            events.deltas_begin();
            for refusal in answer::pieces(refusal) {
                writer.chunk(events, json!({"refusal": refusal}), None)?;
            }
        }
        Content::FunctionCall { name, arguments } => writer.call(events, name, arguments)?,
    }
    writer.end(events)
}

struct Writer<'a> {
    object: &'a Object<'a>,
    includes_usage: bool,
}

impl Writer<'_> {
    fn chunk(
        &self,
        events: &mut Events,
        delta: impl Serialize,
        finish_reason: Option<&'static str>,
    ) -> serde_json::Result<()> {
        let choice = Choice { index: 0, delta, logprobs: None, finish_reason };
        self.choices(events, &[choice], Value::Null)
    }

    fn choices<D: Serialize>(
        &self,
        events: &mut Events,
        choices: &[Choice<D>],
        usage: Value,
    ) -> serde_json::Result<()> {
        events.bare(&Chunk {
            id: &self.object.issue.response_id,
            object: "chat.completion.chunk",
            created: self.object.issue.created_at,
            model: &self.object.prompt.model,
            service_tier: (!self.object.unknown).then_some("default"),
            system_fingerprint: None,
            choices,
            usage: self.includes_usage.then_some(usage),
        })
    }

    fn call(&self, events: &mut Events, name: &str, arguments: &str) -> serde_json::Result<()> {
        let begun = json!({
            "content": null,
            "refusal": null,
            "tool_calls": [{
                "index": 0,
                "id": self.object.issue.call_id,
                "type": "function",
                "function": {"name": name, "arguments": ""},
            }],
        });
        self.chunk(events, opening(begun), None)?;
        events.deltas_begin();
        for arguments in answer::argument_pieces(arguments) {
            let piece = json!({
                "tool_calls": [{"index": 0, "function": {"arguments": arguments}}],
            });
            self.chunk(events, piece, None)?;
        }
        Ok(())
    }

    /// What a reader of a later version may meet.
    fn unknown(&self, events: &mut Events) -> serde_json::Result<()> {
        events.bare(&json!({"object": "simulated.unknown", "payload": null, "choices": []}))?;
        let delta = json!({"content": null, "simulated_unknown_field": {"nested": [null]}});
        self.chunk(events, delta, None)
    }

    fn end(&self, events: &mut Events) -> serde_json::Result<()> {
        match self.object.reply.ending {
            Ending::Missing => return Ok(()),
            Ending::Failed(_) | Ending::ErrorEvent => {
                return events.bare(&json!({"error": {
                    "message": "The simulator was told to fail in the middle of its answer.",
                    "type": "server_error",
                    "param": null,
                    "code": "server_error",
                }}));
            }
            Ending::Completed | Ending::Incomplete(_) => {}
        }
        self.chunk(events, json!({}), self.object.finish_reason())?;
        if self.includes_usage {
            self.choices::<()>(events, &[], self.object.usage())?;
        }
        events.done_marker();
        Ok(())
    }
}

fn opening(mut delta: Value) -> Value {
    if let Some(fields) = delta.as_object_mut() {
        fields.insert("role".to_owned(), json!("assistant"));
    }
    delta
}
