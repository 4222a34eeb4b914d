//! What the database holds at the end, as the checker reads it.

use sqlx::PgPool;

/// The rows of one history, each list in order.
#[derive(Debug, Default)]
pub struct Rows {
    pub threads: Vec<Thread>,
    pub runs: Vec<Run>,
    /// By thread and position.
    pub messages: Vec<Message>,
    /// Those that name a run, oldest first.
    pub events: Vec<Event>,
    pub tickets: Vec<Ticket>,
}

#[derive(Debug, sqlx::FromRow)]
pub struct Thread {
    pub id: String,
    pub last_position: i64,
}

#[derive(Debug, sqlx::FromRow)]
pub struct Run {
    pub id: String,
    pub thread_id: String,
    pub status: String,
    pub attempt: i32,
    pub error_code: Option<String>,
    pub instructions: Option<String>,
    pub is_finished: bool,
}

#[derive(Debug, sqlx::FromRow)]
pub struct Message {
    pub id: String,
    pub thread_id: String,
    pub position: i64,
    pub role: String,
    pub text: String,
    pub run_id: String,
}

#[derive(Debug, sqlx::FromRow)]
pub struct Event {
    pub action: String,
    pub thread_id: String,
    pub run_id: String,
    pub outcome: String,
    pub code: Option<String>,
}

#[derive(Debug, sqlx::FromRow)]
pub struct Ticket {
    pub thread_id: String,
    #[sqlx(rename = "run_id")]
    pub run: String,
    #[sqlx(rename = "replica_id")]
    pub replica: String,
}

impl Rows {
    /// Reads everything in one snapshot.
    pub async fn read(database: &PgPool) -> Self {
        let mut snapshot = database.begin_with("begin isolation level repeatable read").await.unwrap();
        let threads = sqlx::query_as("select id, last_position from threads order by id");
        let threads = threads.fetch_all(&mut *snapshot).await.unwrap();
        let runs = sqlx::query_as(
            "select runs.id, runs.thread_id, runs.status, runs.attempt, runs.error_code, versions.instructions,
                    runs.finished_at is not null as is_finished
             from runs
             join agent_versions versions on versions.agent_id = runs.agent_id and versions.version = runs.agent_version
             order by runs.id",
        );
        let runs = runs.fetch_all(&mut *snapshot).await.unwrap();
        let messages = sqlx::query_as(
            "select id, thread_id, position, role, content->0->'text'->>'value' as text, run_id
             from messages order by thread_id, position",
        );
        let messages = messages.fetch_all(&mut *snapshot).await.unwrap();
        let events = sqlx::query_as(
            "select action, thread_id, run_id, outcome, code from audit_events
             where run_id is not null order by id",
        );
        let events = events.fetch_all(&mut *snapshot).await.unwrap();
        let tickets = sqlx::query_as("select thread_id, run_id, replica_id from turn_tickets order by ticket");
        let tickets = tickets.fetch_all(&mut *snapshot).await.unwrap();
        Self { threads, runs, messages, events, tickets }
    }

    /// The messages of a thread in their order.
    pub fn messages_of<'a>(&'a self, thread_id: &'a str) -> impl Iterator<Item = &'a Message> {
        self.messages.iter().filter(move |message| message.thread_id == thread_id)
    }
}
