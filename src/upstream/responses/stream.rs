//! Reading a response to its end: events as they come, or one object from a provider that does not stream.

use std::ops::ControlFlow::{self, Break, Continue};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::body::Reply;
use super::super::failure::{cut, failure, malformed};
use super::super::redact;
use super::super::refusal::{Told, known};
use super::super::sse::Parser;
use super::super::words::{self, Joiner, Words};
use super::output::{Output, Response, is_commentary, name};
use crate::domain::{Answer, Cause, Failure};

/// A response that is being read. Items and their parts come one after another, so that one place in the text
/// suffices for where each began.
pub struct Reading<'r> {
    deltas: &'r mut dyn FnMut(&str),
    model: &'r str,
    key: Option<&'r str>,
    response_id: Option<String>,
    seen: Output,
    item_at: usize,
    part_at: usize,
    in_commentary: bool,
    joiner: Joiner,
}

/// The fields of any event that this reader looks at; the event's own name is not always sent.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

type Outcome = Result<Answer, Failure>;

impl<'r> Reading<'r> {
    /// Nothing read yet; `model` is the one that was asked, `key` our own.
    pub fn new(deltas: &'r mut dyn FnMut(&str), model: &'r str, key: Option<&'r str>) -> Self {
        let (seen, joiner) = (Output::default(), Joiner::default());
        Self { deltas, model, key, response_id: None, seen, item_at: 0, part_at: 0, in_commentary: false, joiner }
    }

    /// Reads to the end. The text of the final object wins over the joined pieces.
    pub async fn read(&mut self, mut reply: Reply) -> Outcome {
        let media_type = reply.media_type().to_ascii_lowercase();
        let is_events = media_type.contains("event-stream");
        if media_type.contains("html") {
            return Err(malformed("a web page"));
        }
        let first = reply.next().await?.unwrap_or_default();
        if !is_events && first.trim_ascii_start().starts_with(b"{") {
            let object = reply.bytes(first).await?;
            return self.object(&object);
        }
        let mut parser = Parser::default();
        parser.push(&first);
        loop {
            while let Some(data) = parser.next() {
                if let Break(outcome) = self.event(&data) {
                    reply.finish();
                    return outcome;
                }
            }
            match reply.next().await? {
                Some(piece) => parser.push(&piece),
                None => break,
            }
        }
        self.cut_off(&mut parser, is_events)
    }

    /// The outcome of a stream that ended without saying so.
    fn cut_off(&mut self, parser: &mut Parser, is_events: bool) -> Outcome {
        match parser.rest().map(|data| self.event(&data)) {
            Some(Break(outcome)) if !is_malformed(&outcome) => outcome,
            _ if is_events || parser.found_events() => Err(cut("no terminal event")),
            _ => Err(malformed("neither JSON nor events")),
        }
    }

    /// The provider's id of the response, once one has begun.
    pub fn response_id(&mut self) -> Option<String> {
        self.response_id.take()
    }

    fn event(&mut self, data: &[u8]) -> ControlFlow<Outcome> {
        match data.trim_ascii() {
            b"" => return Continue(()),
            b"[DONE]" => return Break(Err(cut("[DONE] without a terminal event"))),
            _ => {}
        }
        let event: Event<'_> = match serde_json::from_slice(data) {
            Ok(event) => event,
            Err(error) => return Break(Err(malformed(format!("an event is no JSON object: {:?}", error.classify())))),
        };
        match name(event.kind) {
            "response.output_text.delta" => self.piece(event.delta),
            "response.output_text.done" => self.part_done(event.text),
            "response.output_item.added" => self.item_added(event.item),
            "response.output_item.done" => self.item_done(event.item),
            "response.refusal.delta" | "response.refusal.done" => self.seen.refused = true,
            "response.created" | "response.queued" | "response.in_progress" => self.began(event.response),
            "response.completed" => return Break(self.end(event.response, "completed")),
            "response.incomplete" => return Break(self.end(event.response, "incomplete")),
            "response.failed" => return Break(self.end(event.response, "failed")),
            "response.cancelled" => return Break(self.end(event.response, "cancelled")),
            "error" => return Break(Err(self.error(data))),
            "" if event.error.is_some() => return Break(Err(self.error(data))),
            _ => {}
        }
        Continue(())
    }

    fn object(&mut self, body: &[u8]) -> Outcome {
        let response: Response<'_> = serde_json::from_slice(body)
            .map_err(|error| malformed(format!("the body is no JSON object: {:?}", error.classify())))?;
        if response.status.is_none() && response.output.is_none() {
            return Err(if response.error.is_some() { self.error(body) } else { malformed("no response object") });
        }
        let outcome = self.conclude(&response, "completed");
        if let Ok(answer) = &outcome {
            (self.deltas)(&answer.text);
        }
        outcome
    }

    fn began(&mut self, response: Option<&RawValue>) {
        if self.response_id.is_none() {
            let response = response.and_then(|raw| serde_json::from_str::<Response<'_>>(raw.get()).ok());
            self.response_id = response.and_then(|response| words::text(response.id));
        }
    }

    fn piece(&mut self, delta: Option<&RawValue>) {
        if self.in_commentary {
            return;
        }
        if let Some(words) = delta.and_then(Words::read) {
            let piece = self.joiner.push(words);
            if !piece.is_empty() {
                (self.deltas)(&piece);
                self.seen.text.push_str(&piece);
            }
        }
    }

    fn part_done(&mut self, text: Option<&RawValue>) {
        self.joiner = Joiner::default();
        if !self.in_commentary {
            self.settle(self.part_at, &words::text(text).unwrap_or_default());
            self.part_at = self.seen.text.len();
        }
    }

    fn item_added(&mut self, item: Option<&RawValue>) {
        self.in_commentary = item.is_some_and(is_commentary);
        self.item_at = self.seen.text.len();
        self.part_at = self.item_at;
    }

    fn item_done(&mut self, item: Option<&RawValue>) {
        let mut output = Output::default();
        if let Some(item) = item {
            output.add(item);
        }
        self.settle(self.item_at, &output.text);
        self.seen.commentary.push_str(&output.commentary);
        self.seen.refused |= output.refused;
        self.seen.called |= output.called;
        self.item_added(None);
    }

    /// Makes the text from `at` on what the provider says it is, and passes it on where no piece of it came before.
    fn settle(&mut self, at: usize, whole: &str) {
        let so_far = self.seen.text.get(at..).unwrap_or_default();
        if whole.is_empty() || whole == so_far {
            return;
        }
        if so_far.is_empty() {
            (self.deltas)(whole);
        }
        self.seen.text.truncate(at);
        self.seen.text.push_str(whole);
    }

    fn end(&mut self, response: Option<&RawValue>, status: &str) -> Outcome {
        let response = response.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        self.conclude(&response, status)
    }

    /// The outcome that a final object means; `status` holds where the object has none.
    fn conclude(&mut self, response: &Response<'_>, status: &str) -> Outcome {
        self.response_id = words::text(response.id).or_else(|| self.response_id.take());
        let own_status = name(response.status);
        let outcome = match if own_status.is_empty() { status } else { own_status } {
            "completed" => self.completed(response),
            "incomplete" => Err(incomplete(response.incomplete_reason().as_deref())),
            "failed" | "cancelled" => Err(self.failed(response)),
            _ => Err(malformed("a final response that is not final")),
        };
        outcome.map_err(|failure| Failure { usage: response.usage(), ..failure })
    }

    fn completed(&mut self, response: &Response<'_>) -> Outcome {
        let last = response.output();
        if last.called || self.seen.called {
            let sentence = "The model called a function, and nothing here answers function calls.";
            return Err(failure(Cause::FunctionCall, sentence, "function_call"));
        }
        if last.refused || self.seen.refused {
            return Err(failure(Cause::ResponseRefused, "The model refused to answer.", "refusal"));
        }
        let seen = std::mem::take(&mut self.seen);
        let candidates = [last.text, seen.text, last.commentary, seen.commentary];
        let Some(text) = candidates.into_iter().find(|text| !text.trim().is_empty()) else {
            return Err(failure(Cause::ResponseEmpty, "The model answered without a word.", "no output text"));
        };
        let (model, usage) = (words::text(response.model), response.usage());
        Ok(Answer { text, usage, model, response_id: None, request_id: None })
    }

    fn failed(&self, response: &Response<'_>) -> Failure {
        let told = told(response.error.map(|error| error.get().as_bytes()));
        let cause = told.cause().unwrap_or(Cause::ResponseFailed);
        let said = told.message.as_deref().map(|message| redact::quote(message, self.key));
        let sentence = match said {
            Some(said) if cause == Cause::ResponseFailed && !said.is_empty() => {
                format!("The provider failed to answer: {said}")
            }
            _ => known(cause, Some(self.model)),
        };
        failure(cause, sentence, format!("response failed, code {}", told.code.as_deref().unwrap_or("none")))
    }

    /// An `error` event: unlike a failed response's, its words may come from anywhere between here and the model, and
    /// are not passed on.
    fn error(&self, data: &[u8]) -> Failure {
        let told = told(Some(data));
        let code = told.code.as_deref().filter(|code| *code != "error");
        let cause = told.cause().unwrap_or(Cause::ResponseFailed);
        failure(cause, known(cause, Some(self.model)), format!("error event, code {}", code.unwrap_or("none")))
    }
}

fn told(json: Option<&[u8]>) -> Told {
    let value = json.and_then(|json| serde_json::from_slice(json).ok());
    value.map(|value| Told::from_json(&value)).unwrap_or_default()
}

fn incomplete(reason: Option<&str>) -> Failure {
    let sentence = match reason {
        Some("max_output_tokens") => "The answer reached the model's token limit before its end.".to_owned(),
        Some("content_filter") => "The provider's content filter stopped the answer.".to_owned(),
        Some(reason) => format!("The provider ended the answer early ({reason})."),
        None => "The provider ended the answer early.".to_owned(),
    };
    failure(Cause::ResponseIncomplete, sentence, format!("incomplete, reason {}", reason.unwrap_or("none")))
}

fn is_malformed(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(|failure| failure.cause == Cause::ResponseMalformed)
}
