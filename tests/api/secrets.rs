//! Secrets, planted wherever one can be, and looked for wherever one must not be: in the log of the real program at its
//! most talkative, in every answer, and in every table that is not the secret's own place.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use awc::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use threadkeep::app::operator;
use threadkeep::domain::AccessRole;
use threadkeep::service::keys::{self, Order};
use tokio::time::sleep;

use crate::harness::{Provider, fresh_database, label};

/// A part of every planted secret.
const PLANTED: &str = "PLANTED0x7f3a";

struct Program {
    child: Child,
    folder: PathBuf,
    base: String,
}

impl Program {
    async fn start(variables: &[(&str, String)]) -> Self {
        let folder = std::env::temp_dir().join(format!("threadkeep-test-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_threadkeep"))
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .env("RUST_LOG", "trace")
            .env("THREADKEEP__SERVER__LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("out")).unwrap())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut program = Self { child, folder, base: String::new() };
        for _ in 0..600 {
            let said = fs::read_to_string(program.folder.join("out")).unwrap();
            if let Some((_, rest)) = said.split_once("listens on ") {
                program.base = rest.split_whitespace().next().unwrap().to_owned();
                return program;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", fs::read_to_string(program.folder.join("log")).unwrap());
    }

    fn words(&self) -> String {
        ["out", "log"].map(|name| fs::read_to_string(self.folder.join(name)).unwrap()).concat()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn key(pool: &PgPool) -> String {
    let order = Order {
        project: "default".into(),
        role: AccessRole::Admin,
        user: None,
        name: label("planted"),
        expires_at: None,
    };
    keys::create(pool, &operator("test").unwrap(), &order).await.unwrap().secret.expose().to_owned()
}

/// Everything that the database holds, but for messages and queued questions, which are the content's own place.
async fn audit_and_the_rest(pool: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables
         where table_schema = 'public' and table_name not in ('messages', '_sqlx_migrations')",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table == "audit_events"));
    let mut all = String::new();
    for table in tables {
        let query = AssertSqlSafe(format!("select coalesce(string_agg(t::text, ' '), '') from {table} t"));
        all += &sqlx::query_scalar::<_, String>(query).fetch_one(pool).await.unwrap();
    }
    all
}

#[actix_rt::test]
async fn planted_secrets_are_found_nowhere() {
    let (url, provider) = (fresh_database().await, Provider::start());
    let pool = PgPool::connect(url.expose_secret()).await.unwrap();
    let ours = key(&pool).await;
    let program = Program::start(&[
        ("DATABASE_URL", url.expose_secret().to_owned()),
        ("OPENAI_BASE_URL", provider.base_url.clone()),
        ("OPENAI_API_KEY", format!("sk-{PLANTED}")),
        ("THREADKEEP__AUTH__MODE", "keys+jwt".into()),
        ("THREADKEEP__AUTH__JWT__ISSUER", "https://issuer.test".into()),
        ("THREADKEEP__AUTH__JWT__AUDIENCE", "threadkeep".into()),
        ("THREADKEEP__AUTH__JWT__ALGORITHMS", "HS256".into()),
        ("THREADKEEP__AUTH__JWT__HS256_SECRET", format!("{PLANTED}{PLANTED}{PLANTED}")),
    ])
    .await;
    let client = Client::builder().timeout(Duration::from_secs(30)).finish();
    let mut answers = String::new();
    let ask = async |path: &str, credential: &str, body: Value| {
        let request = client
            .post(format!("{}{path}?token={PLANTED}", program.base))
            .insert_header(("authorization", format!("Bearer {credential}")))
            .insert_header(("cookie", format!("session={PLANTED}")))
            .insert_header(("x-api-key", PLANTED))
            .insert_header(("x-request-id", format!("{PLANTED} {PLANTED}")));
        let mut answer = request.send_json(&body).await.unwrap();
        let head = format!("{:?}", answer.headers());
        (head, String::from_utf8(answer.body().await.unwrap().to_vec()).unwrap())
    };
    let (head, body) = ask("/openai/initialize", &ours, json!({ "agent_id": "sample" })).await;
    let thread: Value = serde_json::from_str(&body).unwrap();
    answers += &(head + &body);
    let chat = |words: &str| json!({ "agent_id": "sample", "thread_id": thread["thread_id"], "user_input": words });
    let asked = [
        ("/openai/chat", ours.as_str(), chat(&format!("My password is {PLANTED}."))),
        ("/openai/chat", &ours, chat(&format!("[[simulate: status=401]] {PLANTED}"))),
        ("/openai/chat", &ours, chat(&format!("[[simulate: failed=sk-{PLANTED}]]"))),
        ("/openai/chat", &ours, chat(&format!("[[simulate: garbage]] {PLANTED}"))),
        ("/openai/chat", &ours, json!({ "agent_id": "sample", "thread_id": 7, "user_input": PLANTED })),
        ("/openai/initialize", &format!("tk_{PLANTED}{}", "A".repeat(30)), json!({ "agent_id": "sample" })),
        ("/openai/initialize", &format!("e30.{PLANTED}.e30"), json!({ "agent_id": "sample" })),
        ("/openai/nowhere", &ours, json!({ "secret": PLANTED })),
    ];
    for (at, (path, credential, body)) in asked.into_iter().enumerate() {
        let (head, body) = ask(path, credential, body).await;
        // The first is answered, and an answer may repeat the question.
        answers += if at == 0 { &head } else { &body };
    }
    let (words, rows) = (program.words(), audit_and_the_rest(&pool).await);
    for (place, text) in [("an answer", &answers), ("the log", &words), ("a table", &rows)] {
        let line = text.lines().find(|line| line.contains(PLANTED) || line.contains(&ours));
        assert_eq!(line, None, "a secret is in {place}");
    }
    assert!(words.contains("path=/openai/chat status=200"), "the log is the real one");
    assert!(rows.contains("turn.closed"), "the tables are the real ones");
}
