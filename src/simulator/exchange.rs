//! One request from its body to its answer, on either wire; not the wires themselves.

use std::time::Duration;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    web::{self, Bytes},
};
use serde_json::Value;

use super::{
    RequestId, State, chat_completions, check,
    delivery::Delivery,
    fault::Fault,
    issue::Issue,
    journal::Entry,
    prompt::{Content, Ending, Prompt, Reply},
    rejection::Rejection,
    responses,
    stream::{Events, Recording},
};

#[derive(Clone, Copy)]
enum Wire {
    Responses,
    ChatCompletions,
}

struct Asked {
    prompt: Prompt,
    digest: String,
    fault: Option<Fault>,
}

type ReadBody = Result<Bytes, actix_web::Error>;

/// `POST /v1/responses`
pub async fn respond(request: HttpRequest, state: web::Data<State>, body: ReadBody) -> HttpResponse {
    answer(Wire::Responses, request, state, body).await
}

/// `POST /v1/chat/completions`
pub async fn complete(request: HttpRequest, state: web::Data<State>, body: ReadBody) -> HttpResponse {
    answer(Wire::ChatCompletions, request, state, body).await
}

/// Answers a `GET` that needs no prompt, in the shape that the queue asks for.
pub async fn document(request: &HttpRequest, state: &State, document: Result<Value, Rejection>) -> HttpResponse {
    let mut entry = new_entry(request);
    let fault = state.faults.queued(request.path());
    let delivery = match (fault.as_ref().and_then(Delivery::instead), document) {
        (Some(delivery), _) => delivery,
        (None, Ok(document)) => Delivery::json(document.to_string().into(), fault.as_ref()),
        (None, Err(rejection)) => rejected(&mut entry, &rejection),
    };
    if let Some(fault) = &fault {
        entry.outcome = fault.kind();
    }
    send(delivery, entry, request, state).await
}

async fn answer(wire: Wire, request: HttpRequest, state: web::Data<State>, body: ReadBody) -> HttpResponse {
    let mut entry = new_entry(&request);
    let delivery = match ask(wire, &request, &state, body) {
        Err(rejection) => rejected(&mut entry, &rejection),
        Ok(asked) => {
            entry.note(&asked.prompt, &asked.digest);
            entry.outcome = asked.fault.as_ref().map_or("answered", Fault::kind);
            deliver(wire, &asked, &state).unwrap_or_else(|error| {
                log::error!("error={error} a simulated answer could not be written");
                Delivery::rejection(&Rejection::simulated(500))
            })
        }
    };
    send(delivery, entry, &request, &state).await
}

fn ask(wire: Wire, request: &HttpRequest, state: &State, body: ReadBody) -> Result<Asked, Rejection> {
    let body = body.map_err(|error| {
        let status = error.as_response_error().status_code().as_u16();
        Rejection::unnamed(status, None, error.to_string())
    })?;
    let fields = check::body(&body)?;
    let prompt = match wire {
        Wire::Responses => responses::request::parse(fields)?,
        Wire::ChatCompletions => chat_completions::request::parse(fields)?,
    };
    let fault = state.faults.next(request.path(), &body, prompt.newest());
    let fault = fault.map_err(|sentence| Rejection::unnamed(400, Some("unknown_simulation"), sentence))?;
    let digest = prompt.digest();
    Ok(Asked { prompt, digest, fault })
}

fn deliver(wire: Wire, asked: &Asked, state: &State) -> serde_json::Result<Delivery> {
    let fault = asked.fault.as_ref();
    if let Some(delivery) = fault.and_then(Delivery::instead) {
        return Ok(delivery);
    }
    let reply = asked.prompt.reply(fault, &asked.digest);
    let delay = Duration::from_millis(state.delay_ms);
    let pause = Duration::from_millis(state.delta_delay_ms);
    if asked.prompt.stream {
        let recording = stream(wire, asked, &reply)?;
        return Ok(Delivery::events(&recording, pause, fault).after(delay));
    }
    let delivery = match (&reply.ending, wire) {
        (Ending::ErrorEvent, _) | (Ending::Failed(_), Wire::ChatCompletions) => {
            Delivery::rejection(&Rejection::simulated(500))
        }
        _ => Delivery::json(whole(wire, asked, &reply)?, fault),
    };
    let deltas = u32::try_from(reply.deltas()).unwrap_or(u32::MAX);
    Ok(delivery.after(delay + pause.saturating_mul(deltas)))
}

fn stream(wire: Wire, asked: &Asked, reply: &Reply) -> serde_json::Result<Recording> {
    let fault = asked.fault.as_ref();
    let unknown = fault == Some(&Fault::UnknownEvents);
    let prompt = &asked.prompt;
    let issue = &issue(wire, reply);
    let mut events = Events::new(fault != Some(&Fault::NoEventLines));
    match wire {
        Wire::Responses => {
            let object = responses::object::Object { prompt, reply, issue, finished: true, unknown };
            responses::events::write(&mut events, &object)?;
            if fault == Some(&Fault::DoneMarker) {
                events.done_marker();
            }
        }
        Wire::ChatCompletions => {
            let object = chat_completions::object::Object { prompt, reply, issue, unknown };
            chat_completions::chunks::write(&mut events, &object)?;
        }
    }
    Ok(events.finish())
}

fn whole(wire: Wire, asked: &Asked, reply: &Reply) -> serde_json::Result<Vec<u8>> {
    let unknown = asked.fault == Some(Fault::UnknownEvents);
    let prompt = &asked.prompt;
    let issue = &issue(wire, reply);
    match wire {
        Wire::Responses => {
            serde_json::to_vec(&responses::object::Object { prompt, reply, issue, finished: true, unknown })
        }
        Wire::ChatCompletions => {
            let object = chat_completions::object::Object { prompt, reply, issue, unknown };
            serde_json::to_vec(&object.document())
        }
    }
}

fn issue(wire: Wire, reply: &Reply) -> Issue {
    let item = match reply.content {
        Content::FunctionCall { .. } => "fc",
        _ => "msg",
    };
    match wire {
        Wire::Responses => Issue::new("resp", item),
        Wire::ChatCompletions => Issue::new("chatcmpl", item),
    }
}

fn new_entry(request: &HttpRequest) -> Entry {
    let id = request.extensions().get::<RequestId>().cloned();
    Entry::new(request, id.unwrap_or_default().0)
}

fn rejected(entry: &mut Entry, rejection: &Rejection) -> Delivery {
    entry.outcome = "rejected";
    Delivery::rejection(rejection)
}

async fn send(delivery: Delivery, mut entry: Entry, request: &HttpRequest, state: &State) -> HttpResponse {
    entry.status = delivery.status;
    let sent = entry.complete.clone();
    state.journal.record(entry);
    delivery.send(request, sent).await
}
