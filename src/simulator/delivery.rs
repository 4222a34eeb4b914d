//! How an answer's bytes leave: whole, piece by piece, stalled, cut or enormous; not what they say.

use std::{
    borrow::Cow,
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use bytes::Bytes;
use tokio::time::Sleep;

use super::{connection::Connection, fault::Fault, journal::Sent, rejection::Rejection, stream::Recording};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const HTML_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Simulated gateway</title></head>\
    <body><h1>This page is not an API's answer.</h1></body></html>\n";
const BROKEN_EVENT: &str = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"\n\n";
const FILLER_BYTES: usize = 64 * 1024;
const FILLERS_PER_MIB: u64 = 16;
/// Long enough for the server to flush what it has, before the connection ends.
const FLUSH: Duration = Duration::from_millis(5);

enum Step {
    Send(Bytes),
    Repeat(Bytes, u64),
    Wait(Duration),
    Break,
}

/// An answer ready to leave.
pub struct Delivery {
    pub status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    before: Duration,
    hang_up: bool,
    size: BodySize,
    steps: VecDeque<Step>,
}

impl Delivery {
    /// A JSON document, in the shape the fault gives it.
    pub fn json(document: Vec<u8>, fault: Option<&Fault>) -> Self {
        let document = Bytes::from(document);
        let half = document.len() / 2;
        let whole = document.len();
        let (size, steps) = match fault {
            Some(Fault::Cut { .. }) => (whole, cut(document.slice(..half))),
            Some(Fault::Stall { silence_ms }) => (whole, stall(*silence_ms)),
            Some(Fault::Garbage) => (half, vec![Step::Send(document.slice(..half))]),
            Some(Fault::Huge { mib }) => {
                let blank = Bytes::from(vec![b' '; FILLER_BYTES]);
                let steps = vec![Step::Repeat(blank, mib * FILLERS_PER_MIB), Step::Send(document)];
                return Self::new(JSON, BodySize::Stream, steps).under(fault);
            }
            _ => (whole, vec![Step::Send(document)]),
        };
        Self::new(JSON, sized(size), steps).under(fault)
    }

    /// A stream of events, in the shape the fault gives it, with this pause between events.
    pub fn events(recording: &Recording, pause: Duration, fault: Option<&Fault>) -> Self {
        let steps = match fault {
            Some(Fault::Cut { deltas }) => {
                let (before, after) = recording.part(*deltas);
                let torn = after.slice(..after.len().min(40));
                let mut steps = vec![Step::Send(before)];
                steps.extend(cut(torn));
                steps
            }
            Some(Fault::Stall { silence_ms }) => stall(*silence_ms),
            Some(Fault::Garbage) => {
                let (before, after) = recording.part(2);
                let broken = Bytes::from_static(BROKEN_EVENT.as_bytes());
                vec![Step::Send(before), Step::Send(broken), Step::Send(after)]
            }
            Some(Fault::Huge { mib }) => {
                let (before, after) = recording.part(1);
                let delta = recording.first_delta();
                let filler = Bytes::from(delta.repeat(FILLER_BYTES / delta.len().max(1) + 1));
                let repeat = Step::Repeat(filler, mib * FILLERS_PER_MIB);
                vec![Step::Send(before), repeat, Step::Send(after)]
            }
            _ if pause.is_zero() => vec![Step::Send(recording.all())],
            _ => recording.each().flat_map(|event| [Step::Send(event), Step::Wait(pause)]).collect(),
        };
        Self::new(EVENTS, BodySize::Stream, steps).under(fault)
    }

    pub fn rejection(rejection: &Rejection) -> Self {
        let body = Bytes::from(rejection.envelope().to_string());
        Self {
            status: rejection.status,
            headers: rejection.headers.clone(),
            ..Self::new(JSON, sized(body.len()), vec![Step::Send(body)])
        }
    }

    /// The answer that a fault puts in the place of any other, for those that need no prompt.
    pub fn instead(fault: &Fault) -> Option<Self> {
        match fault {
            Fault::Status(failure) => Some(Self::rejection(&Rejection::told(failure))),
            Fault::Quota => Some(Self::rejection(&Rejection::out_of_credit())),
            Fault::Html => {
                let page = Bytes::from_static(HTML_PAGE.as_bytes());
                Some(Self::new(HTML, sized(page.len()), vec![Step::Send(page)]))
            }
            Fault::Disconnect => Some(Self { hang_up: true, ..Self::new(JSON, BodySize::Stream, vec![Step::Break]) }),
            _ => None,
        }
    }

    pub fn after(self, silence: Duration) -> Self {
        Self { before: self.before + silence, ..self }
    }

    pub async fn send(self, request: &HttpRequest, sent: Sent) -> HttpResponse {
        if !self.before.is_zero() {
            tokio::time::sleep(self.before).await;
        }
        if self.hang_up
            && let Some(connection) = request.conn_data::<Connection>()
        {
            connection.close();
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response =
            HttpResponse::new(status).set_body(Body { size: self.size, steps: self.steps, silence: None, sent });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response.map_into_boxed_body()
    }

    fn new(content_type: &'static str, size: BodySize, steps: Vec<Step>) -> Self {
        Self {
            status: 200,
            content_type,
            headers: Vec::new(),
            before: Duration::ZERO,
            hang_up: false,
            size,
            steps: steps.into(),
        }
    }

    fn under(self, fault: Option<&Fault>) -> Self {
        match fault {
            Some(Fault::SlowHead { silence_ms }) => self.after(Duration::from_millis(*silence_ms)),
            _ => self,
        }
    }
}

fn cut(last: Bytes) -> Vec<Step> {
    vec![Step::Send(last), Step::Wait(FLUSH), Step::Break]
}

fn stall(silence_ms: u64) -> Vec<Step> {
    vec![Step::Wait(Duration::from_millis(silence_ms)), Step::Break]
}

fn sized(length: usize) -> BodySize {
    u64::try_from(length).map_or(BodySize::Stream, BodySize::Sized)
}

struct Body {
    size: BodySize,
    steps: VecDeque<Step>,
    silence: Option<Pin<Box<Sleep>>>,
    sent: Sent,
}

impl MessageBody for Body {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        loop {
            if let Some(silence) = &mut self.silence {
                std::task::ready!(silence.as_mut().poll(context));
                self.silence = None;
            }
            let bytes = match self.steps.pop_front() {
                None => {
                    self.sent.set();
                    return Poll::Ready(None);
                }
                Some(Step::Send(bytes)) => bytes,
                Some(Step::Repeat(_, 0)) => continue,
                Some(Step::Repeat(bytes, times)) => {
                    self.steps.push_front(Step::Repeat(bytes.clone(), times - 1));
                    bytes
                }
                Some(Step::Wait(silence)) => {
                    self.silence = Some(Box::pin(tokio::time::sleep(silence)));
                    continue;
                }
                Some(Step::Break) => {
                    let cause = io::Error::new(io::ErrorKind::ConnectionAborted, "simulated");
                    return Poll::Ready(Some(Err(cause)));
                }
            };
            if self.steps.is_empty() {
                self.sent.set();
            }
            return Poll::Ready(Some(Ok(bytes)));
        }
    }
}
