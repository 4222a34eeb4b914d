//! A request as both wires understand it, and what its answer is made of; no JSON of a particular wire.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{answer, fault::Fault};

const EXAMPLE_DEPTH_MAX: usize = 8;

/// A role and its text; the roles are listed at [`answer::text`].
pub type Entry = (Cow<'static, str>, String);

pub struct Tool {
    pub name: String,
    pub parameters: Value,
}

pub struct Prompt {
    pub model: String,
    pub instructions: Option<String>,
    pub history: Vec<Entry>,
    pub tools: Vec<Tool>,
    pub stream: bool,
    pub output_tokens_max: Option<u64>,
    /// The request's other fields, for the wires that repeat them in their answer.
    pub fields: Map<String, Value>,
}

pub enum Content {
    Text(String),
    Refusal(String),
    FunctionCall { name: String, arguments: String },
    Nothing,
}

pub enum Ending {
    Completed,
    /// Cut short for this reason, in the Responses wire's words.
    Incomplete(&'static str),
    /// The provider says that it failed, with this code.
    Failed(String),
    /// A stream ends with an `error` event.
    ErrorEvent,
    /// A stream ends without a word about how it went.
    Missing,
}

pub struct Reply {
    pub content: Content,
    pub ending: Ending,
    pub input_tokens: usize,
    pub output_tokens: usize,
}

impl Reply {
    /// How many deltas the answer has.
    pub fn deltas(&self) -> usize {
        match &self.content {
            Content::Text(text) | Content::Refusal(text) => answer::pieces(text).count(),
            Content::FunctionCall { arguments, .. } => answer::argument_pieces(arguments).count(),
            Content::Nothing => 0,
        }
    }
}

impl Prompt {
    pub fn digest(&self) -> String {
        answer::digest(&self.history, self.instructions.as_deref())
    }

    /// The text that may carry a directive: the newest entry, when it is not the assistant's own.
    pub fn newest(&self) -> Option<&str> {
        let (role, text) = self.history.last()?;
        matches!(role.as_ref(), "user" | "function_call_output").then_some(text)
    }

    pub fn reply(&self, fault: Option<&Fault>, digest: &str) -> Reply {
        let (content, ending) = self.limited(self.content(fault, digest), ending(fault));
        let output_tokens = match &content {
            Content::Text(text) | Content::Refusal(text) => answer::tokens(text.chars().count()),
            Content::FunctionCall { name, arguments } => {
                answer::tokens(name.chars().count() + arguments.chars().count())
            }
            Content::Nothing => 0,
        };
        Reply {
            content,
            ending,
            input_tokens: answer::context_tokens(&self.history, self.instructions.as_deref()),
            output_tokens,
        }
    }

    fn content(&self, fault: Option<&Fault>, digest: &str) -> Content {
        match fault {
            Some(Fault::Refusal) => Content::Refusal("I'm sorry, but I can't help with that (simulated).".to_owned()),
            Some(Fault::Empty) => Content::Nothing,
            Some(Fault::FunctionCall { name }) => self.called(name.as_deref()).unwrap_or_else(|| self.text(digest)),
            _ => self.text(digest),
        }
    }

    fn text(&self, digest: &str) -> Content {
        Content::Text(answer::text_with_digest(&self.history, self.instructions.as_deref(), digest))
    }

    fn called(&self, name: Option<&str>) -> Option<Content> {
        let tool = self.tools.iter().find(|tool| name.is_none_or(|name| name == tool.name))?;
        Some(Content::FunctionCall {
            name: tool.name.clone(),
            arguments: example(&tool.parameters, EXAMPLE_DEPTH_MAX).to_string(),
        })
    }

    fn limited(&self, content: Content, ending: Ending) -> (Content, Ending) {
        let Content::Text(text) = content else {
            return (content, ending);
        };
        let chars = text.chars().count();
        let shown = match ending {
            Ending::Completed => self.output_chars_max().filter(|max| *max < chars),
            Ending::Missing => None,
            _ => Some(chars / 2),
        };
        let ending = match ending {
            Ending::Completed if shown.is_some() => Ending::Incomplete("max_output_tokens"),
            decided => decided,
        };
        match shown {
            Some(chars) => (Content::Text(answer::head(&text, chars).to_owned()), ending),
            None => (Content::Text(text), ending),
        }
    }

    fn output_chars_max(&self) -> Option<usize> {
        let tokens = usize::try_from(self.output_tokens_max?).ok()?;
        tokens.checked_mul(answer::CHARS_PER_TOKEN)
    }
}

fn ending(fault: Option<&Fault>) -> Ending {
    match fault {
        Some(Fault::Incomplete) => Ending::Incomplete("max_output_tokens"),
        Some(Fault::ContentFilter) => Ending::Incomplete("content_filter"),
        Some(Fault::Failed { code }) => Ending::Failed(code.clone()),
        Some(Fault::ErrorEvent) => Ending::ErrorEvent,
        Some(Fault::NoTerminal) => Ending::Missing,
        _ => Ending::Completed,
    }
}

/// The smallest value that a JSON schema of the everyday kind accepts: required properties only.
fn example(schema: &Value, depth_max: usize) -> Value {
    if let Some(choice) = schema.pointer("/enum/0") {
        return choice.clone();
    }
    let kind = schema.get("type");
    let kind = kind.and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    match kind {
        Some("string") => Value::from("simulated"),
        Some("integer" | "number") => Value::from(1),
        Some("boolean") => Value::from(true),
        Some("array") => Value::Array(Vec::new()),
        Some("null") => Value::Null,
        _ => Value::Object(required(schema, depth_max)),
    }
}

fn required(schema: &Value, depth_max: usize) -> Map<String, Value> {
    let Some(depth_max) = depth_max.checked_sub(1) else {
        return Map::new();
    };
    let names = schema.get("required").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names
        .map(|name| {
            let property = schema.get("properties").and_then(|all| all.get(name));
            let value = property.map_or(Value::Null, |property| example(property, depth_max));
            (name.to_owned(), value)
        })
        .collect()
}
