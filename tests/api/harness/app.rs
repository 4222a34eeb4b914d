//! The service itself, built as `serve` builds it, and a client for it.

use std::cell::RefCell;
use std::fmt::Write;
use std::time::Duration;

use awc::Client;
use awc::error::PayloadError;
use awc::http::StatusCode;
use awc::http::header::HeaderMap;
use bytes::Bytes;
use futures_util::Stream;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::PgPool;
use threadkeep::app::{Application, operator};
use threadkeep::domain::{AccessRole, Label, ProjectId};
use threadkeep::service::keys::{self, Made, Order};
use threadkeep::service::{agents, projects};
use threadkeep::settings::{Settings, read_agent_files};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Provider, fresh_database};

/// Many services share one Postgres.
const CONNECTIONS_MAX: u32 = 6;

/// Settings of a service that asks for keys, and forgets them soon.
pub const KEYS: &str = "auth.mode = 'keys'\nauth.recheck_ms = 200\nauth.failures_per_minute = 0\n";

/// A running service.
pub struct App {
    /// Such as `http://127.0.0.1:40123`.
    pub base: String,
    /// A second way into its database.
    pub database: PgPool,
    client: Client,
    stop: RefCell<Option<oneshot::Sender<()>>>,
    running: JoinHandle<anyhow::Result<()>>,
}

/// What a request was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl App {
    /// A service with a database and a simulator of its own.
    pub async fn start() -> Self {
        Self::against(&Provider::start().base_url).await
    }

    /// A service with a database of its own, and this provider.
    pub async fn against(base_url: &str) -> Self {
        Self::with(base_url, "").await
    }

    /// Two replicas on one database and one provider.
    pub async fn two() -> (Self, Self) {
        let (url, provider) = (fresh_database().await, Provider::start());
        (Self::on(&url, &provider.base_url, "").await, Self::on(&url, &provider.base_url, "").await)
    }

    /// The same with more settings (TOML).
    pub async fn with(base_url: &str, settings: &str) -> Self {
        Self::on(&fresh_database().await, base_url, settings).await
    }

    /// A service that asks for keys.
    pub async fn with_keys() -> Self {
        Self::with(&Provider::start().base_url, KEYS).await
    }

    /// Two replicas that ask for keys, on one database and one provider.
    pub async fn two_with_keys(settings: &str) -> (Self, Self) {
        let (url, provider) = (fresh_database().await, Provider::start());
        let settings = format!("{KEYS}{settings}");
        (Self::on(&url, &provider.base_url, &settings).await, Self::on(&url, &provider.base_url, &settings).await)
    }

    /// A service on a given database.
    pub async fn on(database_url: &SecretString, base_url: &str, settings: &str) -> Self {
        let mut text = String::new();
        writeln!(text, "server.listen = '127.0.0.1:0'\nserver.workers = 1\n").unwrap();
        writeln!(text, "database.acquire_timeout_ms = 2000\nupstream.base_url = '{base_url}'\n{settings}").unwrap();
        let mut settings = Settings::from_text(&text).unwrap();
        settings.database.url = database_url.clone();
        settings.database.connections_max = settings.database.connections_max.min(CONNECTIONS_MAX);
        let application = Application::build(settings).await.unwrap();
        let base = format!("http://{}", application.addresses()[0]);
        let (stop, stopped) = oneshot::channel::<()>();
        let running = actix_rt::spawn(application.run_until(async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        let database = PgPool::connect(database_url.expose_secret()).await.unwrap();
        let client = Client::builder().timeout(Duration::from_mins(1)).finish();
        Self { base, database, client, stop: RefCell::new(Some(stop)), running }
    }

    /// Ends the service as SIGTERM does, and waits for it.
    pub async fn stop(self) {
        self.ask_to_stop();
        self.running.await.unwrap().unwrap();
    }

    /// Does what SIGTERM does.
    pub fn ask_to_stop(&self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub async fn get(&self, path: &str) -> Answer {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        Answer::read(response).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_raw(path, "application/json", body.to_string()).await
    }

    pub async fn post_raw(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let request = self.client.post(format!("{}{path}", self.base)).content_type(content_type);
        Answer::read(request.send_body(body.into()).await.unwrap()).await
    }

    /// A new thread with the sample agent.
    pub async fn thread(&self) -> String {
        let answer = self.post("/openai/initialize", &json!({ "agent_id": "sample" })).await;
        answer.expect(200)["thread_id"].as_str().unwrap().to_owned()
    }

    /// One message to the sample agent.
    pub async fn chat(&self, thread_id: &str, user_input: &str) -> Answer {
        let body = json!({ "agent_id": "sample", "thread_id": thread_id, "user_input": user_input });
        self.post("/openai/chat", &body).await
    }

    /// Makes an agent be as this file's text says.
    pub async fn apply_agent(&self, text: &str) {
        let file = std::env::temp_dir().join(format!("threadkeep-test-{}.toml", uuid::Uuid::now_v7()));
        std::fs::write(&file, text).unwrap();
        for definition in read_agent_files(&file).unwrap() {
            agents::apply(&self.database, &operator("test").unwrap(), &definition).await.unwrap();
        }
        std::fs::remove_file(&file).unwrap();
    }

    /// Sends a request and closes the connection before the answer, once the turn is open.
    pub async fn send_and_hang_up(&self, path: &str, body: &Value) {
        self.send(path, body).await;
        self.wait_for("runs where status = 'in_progress'", 1).await;
    }

    /// Sends a request and reads no answer.
    pub async fn send(&self, path: &str, body: &Value) {
        let body = body.to_string();
        let mut connection = TcpStream::connect(self.base.trim_start_matches("http://")).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }

    /// A new key of the default project, for this one user if there is one.
    pub async fn key(&self, role: AccessRole, user: Option<&str>) -> String {
        self.key_of("default", role, user).await.secret.expose().to_owned()
    }

    /// A new key of a project.
    pub async fn key_of(&self, project: &str, role: AccessRole, user: Option<&str>) -> Made {
        let order =
            Order { project: project.to_owned(), role, user: user.map(label), name: label("test"), expires_at: None };
        keys::create(&self.database, &operator("test").unwrap(), &order).await.unwrap()
    }

    /// A new project.
    pub async fn project(&self, name: &str) -> ProjectId {
        projects::create(&self.database, &operator("test").unwrap(), label(name)).await.unwrap().id
    }

    /// Asks by any method with headers; the body goes with what may have one.
    pub async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method.parse().unwrap(), url);
        for header in headers {
            request = request.append_header(*header);
        }
        let has_body = method != "GET" && method != "HEAD";
        let sent = if has_body { request.send_json(body) } else { request.send() };
        Answer::read(sent.await.unwrap()).await
    }

    /// Asks with headers.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask_with("GET", path, headers, &Value::Null).await
    }

    /// Sends a body with headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.ask_with("POST", path, headers, body).await
    }

    /// The body of an answer, piece by piece.
    pub async fn open_stream(&self, path: &str, body: &Value) -> impl Stream<Item = Result<Bytes, PayloadError>> {
        self.client.post(format!("{}{path}", self.base)).send_json(body).await.unwrap()
    }

    /// Waits until a table has so many rows, for at most ten seconds.
    pub async fn wait_for(&self, table: &str, rows: i64) {
        for _ in 0..500 {
            if self.count(table).await == rows {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let found = self.count(table).await;
        assert_eq!(found, rows, "{table}");
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        let query = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(query).fetch_one(&self.database).await.unwrap()
    }
}

/// A label that is one.
pub fn label(text: &str) -> Label {
    Label::try_from(text.to_owned()).unwrap()
}

/// The header of a key.
pub fn bearer(key: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {key}"))
}

impl Answer {
    /// The JSON body of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The sentence of an error that must have this status and code, in the envelope and nothing else.
    #[track_caller]
    pub fn expect_error(&self, status: u16, code: &str) -> String {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        body["error"].as_str().unwrap().to_owned()
    }

    /// The events of a stream: name and data.
    pub fn events(&self) -> Vec<(String, Value)> {
        let text = std::str::from_utf8(&self.body).unwrap();
        let blocks = text.split("\n\n").filter(|block| block.starts_with("event: "));
        let events = blocks.map(|block| {
            let (event, data) = block.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            (event.strip_prefix("event: ").unwrap().to_owned(), serde_json::from_str(data).unwrap())
        });
        events.collect()
    }

    async fn read(mut response: awc::ClientResponse<impl Stream<Item = Result<Bytes, PayloadError>> + Unpin>) -> Self {
        let body = response.body().limit(64 << 20).await.unwrap();
        Self { status: response.status(), headers: response.headers().clone(), body }
    }
}
