//! The response object with its items and usage; not the events that announce it.

use std::sync::LazyLock;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

use crate::simulator::{
    issue::Issue,
    journal,
    prompt::{Content, Ending, Prompt, Reply},
};

/// An item of a response's output.
#[derive(Serialize, Clone)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item<'a> {
    Message {
        id: &'a str,
        status: &'static str,
        role: &'static str,
        content: Vec<Part<'a>>,
    },
    FunctionCall {
        id: &'a str,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    /// What a reader of a later version may meet.
    #[serde(rename = "simulated_unknown_item")]
    Unknown {
        id: &'a str,
        status: Option<&'static str>,
        content: Option<()>,
    },
}

#[derive(Serialize, Clone, Copy)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part<'a> {
    OutputText { annotations: [(); 0], logprobs: [(); 0], text: &'a str },
    Refusal { refusal: &'a str },
}

/// A response at one moment of its life.
pub struct Object<'a> {
    pub prompt: &'a Prompt,
    pub reply: &'a Reply,
    pub issue: &'a Issue,
    /// Whether it is as finished as it will ever be.
    pub finished: bool,
    pub unknown: bool,
}

/// The fields that a response repeats from its request, with what it says when the request does not.
static ECHOED: LazyLock<[(&str, Value); 19]> = LazyLock::new(|| {
    [
        ("instructions", Value::Null),
        ("max_output_tokens", Value::Null),
        ("max_tool_calls", Value::Null),
        ("metadata", json!({})),
        ("parallel_tool_calls", json!(true)),
        ("previous_response_id", Value::Null),
        ("prompt_cache_key", Value::Null),
        ("prompt_cache_retention", Value::Null),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("safety_identifier", Value::Null),
        ("service_tier", json!("default")),
        ("store", json!(true)),
        ("temperature", json!(1.0)),
        ("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("top_logprobs", json!(0)),
        ("top_p", json!(1.0)),
        ("truncation", json!("disabled")),
    ]
});

impl<'a> Object<'a> {
    pub fn status(&self) -> &'static str {
        match self.reply.ending {
            _ if !self.finished => "in_progress",
            Ending::Completed => "completed",
            Ending::Incomplete(_) => "incomplete",
            Ending::Failed(_) | Ending::ErrorEvent => "failed",
            Ending::Missing => "in_progress",
        }
    }

    /// The item that the answer is made of, if there is one.
    pub fn item(&self) -> Option<Item<'a>> {
        let status = match self.reply.ending {
            Ending::Completed | Ending::Missing => "completed",
            _ => "incomplete",
        };
        match &self.reply.content {
            Content::Nothing => None,
            Content::FunctionCall { name, arguments } => Some(Item::FunctionCall {
                id: &self.issue.item_id,
                status,
                call_id: &self.issue.call_id,
                name,
                arguments,
            }),
            Content::Text(text) => Some(self.message(status, vec![Part::text(text)])),
            Content::Refusal(refusal) => Some(self.message(status, vec![Part::Refusal { refusal }])),
        }
    }

    pub fn message(&self, status: &'static str, content: Vec<Part<'a>>) -> Item<'a> {
        Item::Message { id: &self.issue.item_id, status, role: "assistant", content }
    }

    fn output(&self) -> Vec<Item<'a>> {
        if !self.finished || matches!(self.reply.ending, Ending::Failed(_) | Ending::Missing) {
            return Vec::new();
        }
        let unknown = self.unknown.then_some(Item::UNKNOWN);
        unknown.into_iter().chain(self.item()).collect()
    }

    fn error(&self) -> Option<Value> {
        match &self.reply.ending {
            Ending::Failed(code) if self.finished => {
                Some(json!({"code": code, "message": "The simulated model failed."}))
            }
            _ => None,
        }
    }

    fn incomplete_details(&self) -> Option<Value> {
        match self.reply.ending {
            Ending::Incomplete(reason) if self.finished => Some(json!({"reason": reason})),
            _ => None,
        }
    }

    fn usage(&self) -> Option<Value> {
        let counted = self.finished && !matches!(self.reply.ending, Ending::Failed(_));
        let Reply { input_tokens, output_tokens, .. } = self.reply;
        counted.then(|| {
            json!({
                "input_tokens": input_tokens,
                "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
                "output_tokens": output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": input_tokens + output_tokens,
            })
        })
    }
}

impl Item<'_> {
    pub const UNKNOWN: Self = Item::Unknown { id: "sui_simulated", status: None, content: None };
}

impl<'a> Part<'a> {
    pub const fn text(text: &'a str) -> Self {
        Self::OutputText { annotations: [], logprobs: [], text }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = self.status();
        let completed_at = (status == "completed").then(|| journal::now().as_secs());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.issue.response_id)?;
        map.serialize_entry("object", "response")?;
        map.serialize_entry("created_at", &self.issue.created_at)?;
        map.serialize_entry("status", status)?;
        map.serialize_entry("background", &false)?;
        map.serialize_entry("completed_at", &completed_at)?;
        map.serialize_entry("error", &self.error())?;
        map.serialize_entry("incomplete_details", &self.incomplete_details())?;
        map.serialize_entry("model", &self.prompt.model)?;
        map.serialize_entry("output", &self.output())?;
        map.serialize_entry("usage", &self.usage())?;
        map.serialize_entry("user", &Value::Null)?;
        for (key, default) in ECHOED.iter() {
            let given = self.prompt.fields.get(*key).filter(|value| !value.is_null());
            map.serialize_entry(key, given.unwrap_or(default))?;
        }
        if self.unknown {
            map.serialize_entry("simulated_unknown_field", &json!({"nested": [null]}))?;
            map.serialize_entry("billing", &Value::Null)?;
        }
        map.end()
    }
}
