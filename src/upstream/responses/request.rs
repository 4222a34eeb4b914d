//! The body of `POST /v1/responses`, written once from borrowed data. What is the same for a whole thread stands
//! before the history and what differs per run behind it, so that a growing thread's bodies share their beginning
//! and the provider can cache it.

use std::iter;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};

use super::super::failure::failure;
use crate::domain::{AgentConfig, Cause, Failure, Message, ModelCall, Part, Role};

#[derive(serde::Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    stream: bool,
    store: bool,
    input: Input<'a>,
    metadata: Metadata<'a>,
}

#[derive(serde::Serialize)]
struct Reasoning<'a> {
    effort: &'a str,
}

#[derive(serde::Serialize)]
struct Metadata<'a> {
    threadkeep_run_id: &'a str,
}

/// The history as input items.
struct Input<'a>(&'a [Message]);

#[derive(serde::Serialize)]
#[serde(tag = "type", rename = "message")]
struct Item<'a> {
    role: Role,
    content: Parts<'a>,
}

struct Parts<'a>(&'a Message);

#[derive(serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum InputPart<'a> {
    InputText {
        text: &'a str,
    },
    OutputText {
        text: &'a str,
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
}

/// What JSON adds to a message around its text, generously.
const BYTES_PER_MESSAGE: usize = 128;

/// The body for one call.
pub fn body(call: &ModelCall<'_>) -> Result<Bytes, Failure> {
    let agent = call.agent;
    let body = Body {
        model: &agent.model,
        instructions: agent.instructions.as_deref(),
        tools: agent.tools.iter().map(tool).collect(),
        text: agent.response_format.as_ref().and_then(text_format),
        reasoning: agent.reasoning_effort.as_deref().map(|effort| Reasoning { effort }),
        temperature: agent.temperature,
        top_p: agent.top_p,
        stream: true,
        store: false,
        input: Input(call.history),
        metadata: Metadata { threadkeep_run_id: call.run_id.as_str() },
    };
    let mut bytes = Vec::with_capacity(size(agent, call.history));
    serde_json::to_writer(&mut bytes, &body).map_err(|error| {
        failure(Cause::Rejected, "The conversation cannot be sent to the provider.", error.to_string())
    })?;
    Ok(bytes.into())
}

/// An estimate that spares most bodies a second allocation.
fn size(agent: &AgentConfig, history: &[Message]) -> usize {
    let texts = history.iter().flat_map(|message| &message.content.0).map(|part| match part {
        Part::Text { text } => text.value.len() + text.value.len() / 16,
        Part::Other(_) => BYTES_PER_MESSAGE,
    });
    let instructions = agent.instructions.as_ref().map_or(0, String::len);
    texts.sum::<usize>() + (history.len() + 8) * BYTES_PER_MESSAGE + instructions * 17 / 16
}

/// A tool in the flat shape; a function states `strict` and `parameters` even where the agent does not, since this
/// wire's defaults differ from the Assistants wire's.
fn tool(tool: &Value) -> Value {
    let mut flat = flatten(tool);
    if flat.get("type").is_some_and(|kind| kind == "function") {
        flat.entry("strict").or_insert(Value::Bool(false));
        flat.entry("parameters").or_insert_with(|| json!({ "type": "object", "properties": {} }));
    }
    Value::Object(flat)
}

/// `text.format`; none for plain text, which is the default.
fn text_format(format: &Value) -> Option<Value> {
    let kind = format.get("type").or(Some(format)).and_then(Value::as_str)?;
    if kind == "auto" || kind == "text" {
        return None;
    }
    let format = if format.is_object() { Value::Object(flatten(format)) } else { json!({ "type": kind }) };
    Some(json!({ "format": format }))
}

/// `{"type": "x", "x": {…}}` with the inner fields beside the type.
fn flatten(nested: &Value) -> Map<String, Value> {
    let mut flat = nested.as_object().cloned().unwrap_or_default();
    let kind = flat.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(Value::Object(inner)) = flat.remove(&kind) {
        flat.extend(inner.into_iter().filter(|(_, value)| !value.is_null()));
    }
    flat
}

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sendable = self.0.iter().filter(|message| parts(message).next().is_some());
        serializer.collect_seq(sendable.map(|message| Item { role: message.role, content: Parts(message) }))
    }
}

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        for part in parts(self.0) {
            sequence.serialize_element(&part)?;
        }
        sequence.end()
    }
}

/// The parts that this wire knows; a message without any is not sent.
fn parts(message: &Message) -> impl Iterator<Item = InputPart<'_>> {
    let mut parts = message.content.0.iter();
    iter::from_fn(move || parts.find_map(|part| input_part(message.role, part)))
}

fn input_part(role: Role, part: &Part) -> Option<InputPart<'_>> {
    match (role, part) {
        (_, Part::Text { text }) if text.value.is_empty() => None,
        (Role::User, Part::Text { text }) => Some(InputPart::InputText { text: &text.value }),
        (Role::Assistant, Part::Text { text }) => Some(InputPart::OutputText { text: &text.value }),
        (Role::Assistant, Part::Other(part)) => {
            Some(InputPart::Refusal { refusal: part.get("refusal").and_then(Value::as_str)? })
        }
        (Role::User, Part::Other(part)) => {
            let image = part.get("image_url").or_else(|| part.get("image_file"))?;
            let text = |name| image.get(name).and_then(Value::as_str);
            let (image_url, file_id) = (text("url"), text("file_id"));
            image_url.or(file_id)?;
            Some(InputPart::InputImage { image_url, file_id, detail: text("detail") })
        }
    }
}
