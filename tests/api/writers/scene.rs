//! A database with threads and its writers, and ways to make turns wait together.

use std::time::Duration;

use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use threadkeep::app::operator;
use threadkeep::domain::{AgentRef, Caller, Content, MessageId, OnBusy, RunId, RunStatus, ThreadId};
use threadkeep::service::agents;
use threadkeep::settings::{Settings, read_agent_files};
use threadkeep::store::turns::{Closing, FIRST_ATTEMPT, Lease, Opened, Opening};
use threadkeep::store::{Error, Writers, threads};
use tokio::time::sleep;

use crate::harness::{Wire, fresh_database};

/// Writers on a database of the test's own, behind a wire.
pub struct Scene {
    pub wire: Wire,
    pub database: PgPool,
    pub writers: Writers,
    caller: Caller,
}

impl Scene {
    pub async fn with(settings: &str) -> Self {
        let url = fresh_database().await;
        let wire = Wire::before(&url).await;
        let caller = operator("test").unwrap();
        let database = PgPool::connect(url.expose_secret()).await.unwrap();
        for definition in read_agent_files("config/agents".as_ref()).unwrap() {
            agents::apply(&database, &caller, &definition).await.unwrap();
        }
        let writers = writers(&wire.url, settings);
        Self { wire, database, writers, caller }
    }

    pub async fn threads(&self, count: usize) -> Vec<ThreadId> {
        let threads: Vec<ThreadId> = (0..count).map(|_| ThreadId::generate()).collect();
        for thread in &threads {
            let created = threads::create(&self.database, &self.caller, thread, &sample()).await.unwrap();
            assert!(created.is_some());
        }
        threads
    }

    pub fn opening(&self, thread_id: &ThreadId) -> Opening {
        Opening {
            caller: self.caller.clone(),
            thread_id: thread_id.clone(),
            agent: sample(),
            run_id: RunId::generate(),
            message_id: MessageId::generate(),
            content: Content::text("Hello!".to_owned()),
            lease: Lease { owner: "test".to_owned(), duration_ms: 60_000 },
            on_busy: None,
            on_busy_default: OnBusy::Reject,
            key: None,
        }
    }

    pub async fn open(&self, thread_id: &ThreadId) -> Opening {
        let (opening, opened) = self.writers.open(self.opening(thread_id)).await.unwrap();
        assert!(matches!(opened, Opened::Claimed(_)), "{opened:?}");
        opening
    }

    /// Starts turns while the only writer is stuck, so that all of them wait before it is free.
    pub async fn while_the_writer_is_stuck<T>(&self, turns: impl Future<Output = T>) -> T {
        let thread = self.threads(1).await.remove(0);
        let holder = self.hold(&thread).await;
        let turns = async {
            self.wait_for_a_blocked_statement().await;
            let release = async { holder.rollback().await.unwrap() };
            futures_util::join!(turns, release).0
        };
        futures_util::join!(self.open(&thread), turns).1
    }

    /// Lets nobody claim this thread until the transaction ends.
    pub async fn hold(&self, thread: &ThreadId) -> Transaction<'static, Postgres> {
        let mut holder = self.database.begin().await.unwrap();
        let lock = "select 1 from threads where id = $1 for update";
        sqlx::query(lock).bind(thread.as_str()).execute(&mut *holder).await.unwrap();
        holder
    }

    pub async fn wait_for_a_blocked_statement(&self) {
        let blocked = "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        for _ in 0..500 {
            if self.count(blocked).await > 0 {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("no statement waits for a lock");
    }

    pub async fn open_all(&self, threads: &[ThreadId]) -> Vec<Result<(Opening, Opened), Error>> {
        join_all(threads.iter().map(|thread| self.writers.open(self.opening(thread)))).await
    }

    pub async fn count(&self, from: &str) -> i64 {
        let query = AssertSqlSafe(format!("select count(*) from {from}"));
        sqlx::query_scalar(query).fetch_one(&self.database).await.unwrap()
    }
}

fn writers(url: &SecretString, settings: &str) -> Writers {
    Writers::start(url, &Settings::from_text(settings).unwrap().database).unwrap()
}

fn sample() -> AgentRef {
    serde_json::from_str("\"sample\"").unwrap()
}

/// The closing of an opened turn, with an answer.
pub fn closing(opening: &Opening) -> Closing {
    Closing {
        run_id: opening.run_id.clone(),
        attempt: FIRST_ATTEMPT,
        lease_owner: opening.lease.owner.clone(),
        who: opening.caller.who(),
        status: RunStatus::Completed,
        error: None,
        answer: Some((MessageId::generate(), Content::text("Hello to you!".to_owned()))),
        usage: None,
        provider_model: None,
        provider_request_id: None,
        provider_response_id: None,
    }
}
