//! A simulator of its own for each test, and a client that reads answers byte by byte; no claims.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use actix_web::dev::ServerHandle;
use awc::http::{Method, StatusCode, header::HeaderMap};
use bytes::Bytes;
use serde_json::{Value, json};
use threadkeep::simulator::{self, Config};

pub const RESPONSES: &str = "/v1/responses";
pub const CHAT: &str = "/v1/chat/completions";
const BODY_BYTES_MAX: usize = 80 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Simulator {
    pub address: SocketAddr,
    pub base_url: String,
    pub handle: ServerHandle,
    pub client: awc::Client,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// One server-sent event: the name of its `event:` line, and its data.
pub struct Event {
    pub name: Option<String>,
    pub data: String,
}

pub fn started(config: &Config) -> Simulator {
    let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let running = simulator::start(&Config { listen: free_port, ..config.clone() }).unwrap();
    let base_url = running.base_url();
    let (address, handle) = (running.address, running.handle);
    actix_rt::spawn(running.server);
    drop(rustls::crypto::ring::default_provider().install_default());
    let connector = awc::Connector::new().timeout(PATIENCE);
    let client = awc::Client::builder().connector(connector).timeout(PATIENCE).finish();
    Simulator { address, base_url, handle, client }
}

pub fn simulator() -> Simulator {
    started(&Config::default())
}

impl Simulator {
    pub async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Option<Answer> {
        let url = format!("http://{}{path}", self.address);
        let request = self.client.request(method, url).insert_header(("content-type", "application/json"));
        let mut response = request.send_body(body.into()).await.ok()?.timeout(PATIENCE);
        let body = response.body().limit(BODY_BYTES_MAX).await.unwrap_or_default();
        Some(Answer { status: response.status(), headers: response.headers().clone(), body })
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string()).await.expect("an answer with a head")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new()).await.expect("an answer with a head")
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, Bytes::new()).await.expect("an answer with a head")
    }

    /// A response to one user message; `more` adds or replaces fields of the request.
    pub async fn respond(&self, text: &str, more: &Value) -> Answer {
        self.post(RESPONSES, &merged(json!({"model": "simulated-1", "input": text}), more)).await
    }

    /// A completion of one user message; `more` adds or replaces fields of the request.
    pub async fn complete(&self, text: &str, more: &Value) -> Answer {
        let messages = json!([{"role": "user", "content": text}]);
        self.post(CHAT, &merged(json!({"model": "simulated-1", "messages": messages}), more)).await
    }

    pub async fn journal(&self) -> Vec<Value> {
        let journal = self.get("/simulator/journal").await.json();
        journal.as_array().unwrap().clone()
    }

    /// So many requests for the models on one connection, none waiting for the answer to the one before.
    pub async fn ask_for_models(&self, times: usize) {
        let request = "GET /v1/models HTTP/1.1\r\nhost: simulator\r\n\r\n".repeat(times - 1);
        let last = "GET /v1/models HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\n\r\n";
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let write = move || writer.write_all((request + last).as_bytes()).unwrap();
        let read = move || std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        let writing = actix_rt::task::spawn_blocking(write);
        actix_rt::task::spawn_blocking(read).await.unwrap();
        writing.await.unwrap();
    }

    /// All bytes of the answer until the connection ends, head included.
    pub async fn raw(&self, path: &str, body: &Value) -> Vec<u8> {
        let body = body.to_string();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let address = self.address;
        let talk = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            if let Err(error) = stream.read_to_end(&mut answer) {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            }
            answer
        };
        actix_rt::task::spawn_blocking(talk).await.unwrap()
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn events(&self) -> Vec<Event> {
        let blocks = self.text().split_terminator("\n\n");
        blocks.map(Event::read).collect()
    }

    /// The types of the events that have one.
    pub fn kinds(&self) -> Vec<String> {
        let events = self.events();
        events.iter().filter_map(|event| Some(event.json()?["type"].as_str()?.to_owned())).collect()
    }

    /// The last event with data that are JSON.
    pub fn last(&self) -> Value {
        self.events().iter().rev().find_map(Event::json).unwrap()
    }

    /// The output text of a response, or the content of a completion, that is not streamed.
    pub fn said(&self) -> String {
        let body = self.json();
        let response = body.pointer("/output/0/content/0/text");
        let said = response.or_else(|| body.pointer("/choices/0/message/content"));
        said.and_then(Value::as_str).unwrap().to_owned()
    }

    pub fn error(&self) -> Value {
        self.json()["error"].clone()
    }
}

impl Event {
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.data).ok()
    }

    fn read(block: &str) -> Self {
        let field = |name: &str| {
            let mut values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            values.next().map(str::to_owned)
        };
        Self { name: field("event"), data: field("data").unwrap_or_default() }
    }
}

pub fn merged(mut body: Value, more: &Value) -> Value {
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

/// A message of the Responses wire.
pub fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

/// A function tool of the Responses wire.
pub fn weather_tool() -> Value {
    json!({
        "type": "function",
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "fahrenheit"]},
                "days": {"type": ["integer", "null"]},
                "comment": {"type": "string"},
            },
            "required": ["city", "days", "unit"],
        },
        "strict": false,
    })
}
