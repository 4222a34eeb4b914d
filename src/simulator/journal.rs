//! What the simulator was asked and how it answered, in bounded memory; never a header's value beyond the request ids.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use actix_web::HttpRequest;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{answer, prompt::Prompt};

const ENTRIES_MAX: usize = 10_000;
const CALLER_TEXT_CHARS_MAX: usize = 200;

/// One request under `/v1`.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Milliseconds since 1970, UTC.
    pub at_ms: u64,
    pub method: String,
    pub path: String,
    pub request_id: String,
    pub client_request_id: Option<String>,
    pub model: Option<String>,
    pub stream: bool,
    pub metadata: Value,
    /// Input items as the simulator reads them, instructions not counted.
    pub items: usize,
    /// The context digest, as in the answer; absent when the request was not understood.
    pub digest: Option<String>,
    pub status: u16,
    /// `answered`, `rejected`, or the kind of the fault.
    pub outcome: &'static str,
    /// Whether the whole answer was handed to the connection.
    pub complete: Sent,
}

/// A mark that an answer's body sets when its last byte is on its way.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicBool>);

#[derive(Default)]
pub struct Journal {
    entries: Mutex<VecDeque<Entry>>,
}

impl Journal {
    pub fn record(&self, entry: Entry) {
        self.with(|entries| {
            if entries.len() == ENTRIES_MAX {
                entries.pop_front();
            }
            entries.push_back(entry);
        });
    }

    /// The last 10,000 entries, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.with(|entries| entries.iter().cloned().collect())
    }

    pub fn clear(&self) {
        self.with(VecDeque::clear);
    }

    fn with<T>(&self, act: impl FnOnce(&mut VecDeque<Entry>) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entry {
    pub fn new(request: &HttpRequest, request_id: String) -> Self {
        let client_request_id = request.headers().get("x-client-request-id").and_then(|value| value.to_str().ok());
        Self {
            at_ms: now().as_millis().try_into().unwrap_or(u64::MAX),
            method: request.method().to_string(),
            path: bounded(request.path()),
            request_id,
            client_request_id: client_request_id.map(bounded),
            model: None,
            stream: false,
            metadata: Value::Null,
            items: 0,
            digest: None,
            status: 200,
            outcome: "answered",
            complete: Sent::default(),
        }
    }

    pub fn note(&mut self, prompt: &Prompt, digest: &str) {
        self.model = Some(bounded(&prompt.model));
        self.stream = prompt.stream;
        self.metadata = prompt.fields.get("metadata").cloned().unwrap_or_default();
        self.items = prompt.history.len();
        self.digest = Some(digest.to_owned());
    }
}

impl Sent {
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Serialize for Sent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.0.load(Ordering::Acquire))
    }
}

/// The time since 1970, UTC.
pub fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn bounded(text: &str) -> String {
    answer::head(text, CALLER_TEXT_CHARS_MAX).to_owned()
}
