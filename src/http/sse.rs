//! Server-sent events out: a turn's events as they happen, with comments in between that keep the connection open.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::time::timeout;

/// What one event of a stream becomes.
#[derive(Debug)]
pub struct Frame {
    bytes: Bytes,
    last: bool,
}

/// How long a stream may be silent; a comment then shows proxies that it lives, and us whether the client does.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

impl Frame {
    /// An event `name` with JSON data.
    pub fn new(name: &str, data: &impl Serialize) -> Self {
        let data = serde_json::to_string(data).unwrap_or_default();
        Self { bytes: format!("event: {name}\ndata: {data}\n\n").into(), last: false }
    }

    /// An event after which the stream ends.
    pub fn last(name: &str, data: &impl Serialize) -> Self {
        Self { last: true, ..Self::new(name, data) }
    }

    /// Bytes that no client takes for an event.
    pub fn comment(text: &str) -> Self {
        Self { bytes: format!(": {text}\n\n").into(), last: false }
    }
}

/// Answers with the frames that `next` gives, one after another, until the last.
pub fn response<Source: 'static>(
    mut head: HttpResponseBuilder,
    source: Source,
    next: impl AsyncFn(&mut Source) -> Frame + 'static,
) -> HttpResponse {
    let frames = stream::unfold(Some((source, next)), |state| async move {
        let (mut source, next) = state?;
        let frame = timeout(KEEP_ALIVE, next(&mut source)).await;
        let frame = frame.unwrap_or_else(|_| Frame::comment("keep-alive"));
        Some((Ok::<_, Infallible>(frame.bytes), (!frame.last).then_some((source, next))))
    });
    head.insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(frames)
}
