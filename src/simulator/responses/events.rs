//! The events of a streamed response, in the order that OpenAI sends them; not how fast they leave.

use serde::Serialize;
use serde_json::json;

use super::{
    object::{Item, Object, Part},
    request,
};
use crate::simulator::{
    answer,
    prompt::{Content, Ending},
    stream::Events,
};

/// Real deltas hide their length with random letters; these fill up to the same length.
const OBFUSCATION: &str = "xxxxxxxxxxxxxxxx";
const CONTENT_INDEX: u8 = 0;

/// What an event says of one item; each kind of event has its own few fields.
#[derive(Serialize, Default)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<&'a str>,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<&'a str>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    response: &'a Object<'a>,
}

/// Writes the whole stream of this finished response.
pub fn write(events: &mut Events, object: &Object<'_>) -> serde_json::Result<()> {
    let begun = Object { finished: false, ..*object };
    events.typed("response.created", &Envelope { response: &begun })?;
    events.typed("response.in_progress", &Envelope { response: &begun })?;
    let mut output_index = 0;
    if object.unknown {
        unknown_item(events)?;
        output_index += 1;
    }
    let writer =
        Writer { object, item_id: &object.issue.item_id, output_index, obfuscated: request::obfuscates(object.prompt) };
    match &object.reply.content {
        Content::Nothing => {}
        Content::Text(text) => writer.text(events, text)?,
        Content::Refusal(refusal) => writer.refusal(events, refusal)?,
        Content::FunctionCall { name, arguments } => writer.call(events, name, arguments)?,
    }
    end(events, object)
}

struct Writer<'a> {
    object: &'a Object<'a>,
    item_id: &'a str,
    output_index: usize,
    obfuscated: bool,
}

impl<'a> Writer<'a> {
    fn text(&self, events: &mut Events, text: &str) -> serde_json::Result<()> {
        self.open(events, Part::text(""))?;
        self.deltas(events, "response.output_text.delta", answer::pieces(text))?;
        if self.breaks_off() {
            return Ok(());
        }
        let done = Said { text: Some(text), logprobs: Some([]), ..self.in_part() };
        events.typed("response.output_text.done", &done)?;
        self.close(events, Part::text(text))
    }

    fn refusal(&self, events: &mut Events, refusal: &str) -> serde_json::Result<()> {
        self.open(events, Part::Refusal { refusal: "" })?;
        self.deltas(events, "response.refusal.delta", answer::pieces(refusal))?;
        let done = Said { refusal: Some(refusal), ..self.in_part() };
        events.typed("response.refusal.done", &done)?;
        self.close(events, Part::Refusal { refusal })
    }

    fn call(&self, events: &mut Events, name: &str, arguments: &str) -> serde_json::Result<()> {
        let begun = Item::FunctionCall {
            id: self.item_id,
            status: "in_progress",
            call_id: &self.object.issue.call_id,
            name,
            arguments: "",
        };
        self.item(events, "response.output_item.added", &begun)?;
        let pieces = answer::argument_pieces(arguments);
        self.deltas(events, "response.function_call_arguments.delta", pieces)?;
        let done = Said { name: Some(name), arguments: Some(arguments), content_index: None, ..self.in_part() };
        events.typed("response.function_call_arguments.done", &done)?;
        self.finished_item(events)
    }

    fn open(&self, events: &mut Events, part: Part<'_>) -> serde_json::Result<()> {
        let begun = self.object.message("in_progress", Vec::new());
        self.item(events, "response.output_item.added", &begun)?;
        events.typed("response.content_part.added", &Said { part: Some(part), ..self.in_part() })
    }

    fn deltas<'b>(
        &self,
        events: &mut Events,
        kind: &str,
        pieces: impl Iterator<Item = &'b str>,
    ) -> serde_json::Result<()> {
        let is_text = kind == "response.output_text.delta";
        let is_content = kind != "response.function_call_arguments.delta";
        events.deltas_begin();
        for delta in pieces {
            let said = Said {
                delta: Some(delta),
                content_index: is_content.then_some(CONTENT_INDEX),
                logprobs: is_text.then_some([]),
                obfuscation: self.obfuscated.then(|| OBFUSCATION.get(delta.len()..).unwrap_or_default()),
                ..self.in_part()
            };
            events.typed(kind, &said)?;
        }
        Ok(())
    }

    fn close(&self, events: &mut Events, part: Part<'_>) -> serde_json::Result<()> {
        events.typed("response.content_part.done", &Said { part: Some(part), ..self.in_part() })?;
        self.finished_item(events)
    }

    fn finished_item(&self, events: &mut Events) -> serde_json::Result<()> {
        match self.object.item() {
            Some(item) => self.item(events, "response.output_item.done", &item),
            None => Ok(()),
        }
    }

    fn item(&self, events: &mut Events, kind: &str, item: &Item<'_>) -> serde_json::Result<()> {
        events.typed(kind, &Said { item: Some(item), output_index: self.output_index, ..Said::default() })
    }

    fn in_part<'b>(&self) -> Said<'b>
    where
        'a: 'b,
    {
        Said {
            item_id: Some(self.item_id),
            output_index: self.output_index,
            content_index: Some(CONTENT_INDEX),
            ..Said::default()
        }
    }

    fn breaks_off(&self) -> bool {
        matches!(self.object.reply.ending, Ending::Failed(_) | Ending::ErrorEvent)
    }
}

fn unknown_item(events: &mut Events) -> serde_json::Result<()> {
    let item = Said { item: Some(&Item::UNKNOWN), ..Said::default() };
    events.typed("response.output_item.added", &item)?;
    let progress = json!({"output_index": 0, "item_id": null, "delta": {"of": "no known kind"}});
    events.typed("response.simulated_unknown.delta", &progress)?;
    events.typed("response.output_item.done", &item)
}

fn end(events: &mut Events, object: &Object<'_>) -> serde_json::Result<()> {
    let kind = match object.reply.ending {
        Ending::Completed => "response.completed",
        Ending::Incomplete(_) => "response.incomplete",
        Ending::Failed(_) => "response.failed",
        Ending::Missing => return Ok(()),
        Ending::ErrorEvent => {
            let error = json!({
                "code": "server_error",
                "message": "The simulator was told to fail in the middle of its answer.",
                "param": null,
            });
            return events.typed("error", &error);
        }
    };
    events.typed(kind, &Envelope { response: object })
}
