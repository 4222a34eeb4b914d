//! One request of one client, and what came of it as the client saw it.

use std::fmt;
use std::time::{Duration, Instant};

use awc::Client;
use serde_json::{Value, json};

/// A question as it is sent, the same at each attempt.
#[derive(Debug, Clone)]
pub struct Ask {
    pub thread_id: String,
    /// Unique in a history.
    pub text: String,
    pub key: Option<String>,
    pub on_busy: Option<&'static str>,
    pub stream: bool,
}

/// What the client learnt from one attempt.
#[derive(Debug, Clone)]
pub enum Outcome {
    Answered {
        run_id: String,
        message_id: String,
        response: String,
        replayed: bool,
    },
    Refused {
        status: u16,
        code: String,
    },
    /// No whole answer came; nobody knows what happened.
    Lost(String),
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub ask: Ask,
    pub replica: usize,
    pub took: Duration,
    pub outcome: Outcome,
}

impl Ask {
    /// A question with a key of its own.
    pub fn new(thread_id: &str, text: &str) -> Self {
        let (thread_id, key) = (thread_id.to_owned(), Some(format!("key-{}", text.replace(' ', "-"))));
        Self { thread_id, text: text.to_owned(), key, on_busy: None, stream: false }
    }

    /// Sends it once.
    pub async fn send(&self, client: &Client, base: &str, patience: Duration) -> Outcome {
        let mut request = client.post(format!("{base}/openai/chat")).timeout(patience);
        if let Some(key) = &self.key {
            request = request.insert_header(("idempotency-key", key.as_str()));
        }
        let mut body = json!({
            "agent_id": "sample", "thread_id": self.thread_id, "user_input": self.text, "stream": self.stream,
        });
        if let Some(policy) = self.on_busy {
            body["on_busy"] = policy.into();
        }
        let began = Instant::now();
        let mut response = match request.send_json(&body).await {
            Ok(response) => response,
            Err(error) => return Outcome::Lost(error.to_string()),
        };
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("idempotent-replayed");
        let rest = patience.saturating_sub(began.elapsed());
        let bytes = match tokio::time::timeout(rest, response.body().limit(1 << 20)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Outcome::Lost(error.to_string()),
            Err(_) => return Outcome::Lost("the answer did not end in time".to_owned()),
        };
        match last_object(&bytes) {
            Some(object) => Outcome::read(status, &object, replayed),
            None => Outcome::Lost("the answer has no end".to_owned()),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ask, replica, took, outcome } = self;
        write!(out, "{ask:?} to replica {replica} came after {took:?} to {outcome:?}")
    }
}

impl Outcome {
    fn read(status: u16, object: &Value, replayed: bool) -> Self {
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        if object.get("code").is_some() {
            return Self::Refused { status, code: text("code") };
        }
        let (run_id, message_id, response) = (text("run_id"), text("message_id"), text("response"));
        Self::Answered { run_id, message_id, response, replayed }
    }

    /// The run, where there is an answer.
    pub fn run_id(&self) -> Option<&str> {
        match self {
            Self::Answered { run_id, .. } => Some(run_id),
            Self::Refused { .. } | Self::Lost(_) => None,
        }
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Answered { .. } | Self::Lost(_) => None,
        }
    }
}

/// Any JSON answer, or the data of a stream's last event.
fn last_object(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    if !text.starts_with('{') {
        let last = text.trim_end().rsplit("\n\n").next()?;
        let (event, data) = last.split_once("\ndata: ")?;
        return ["event: completed", "event: error"].contains(&event).then(|| serde_json::from_str(data).ok())?;
    }
    serde_json::from_str(text).ok()
}

/// A new thread of the sample agent; nothing when it is not known whether there is one.
pub async fn thread(client: &Client, base: &str, key: &str) -> Option<String> {
    let object = post(client, base, "/openai/initialize", key, &json!({ "agent_id": "sample" })).await?;
    Some(object["thread_id"].as_str()?.to_owned())
}

/// Cancels what runs on a thread; the run, where there was one and it has ended.
pub async fn cancel(client: &Client, base: &str, key: &str, thread_id: &str) -> Option<(String, String)> {
    let object = post(client, base, "/openai/cancel", key, &json!({ "thread_id": thread_id })).await?;
    Some((object["run_id"].as_str()?.to_owned(), object["status"].as_str()?.to_owned()))
}

async fn post(client: &Client, base: &str, path: &str, key: &str, body: &Value) -> Option<Value> {
    let request = client.post(format!("{base}{path}")).timeout(Duration::from_secs(5));
    let mut response = request.insert_header(("idempotency-key", key)).send_json(body).await.ok()?;
    let body = tokio::time::timeout(Duration::from_secs(5), response.body()).await.ok()?.ok()?;
    serde_json::from_slice(&body).ok()
}
