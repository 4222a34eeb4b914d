//! What is noted while a history happens: by the clients, by the provider, by somebody who watches the database.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use awc::Client;
use serde::Deserialize;
use sqlx::PgPool;
use tokio::time::sleep;

use crate::ask::Attempt;

/// The notes of one history.
#[derive(Default)]
pub struct Record {
    pub attempts: RefCell<Vec<Attempt>>,
    /// Runs that clients were told to have ended by a cancellation, with the state that they were told.
    pub cancels: RefCell<Vec<(String, String)>>,
    /// The keys under which threads were asked for.
    pub thread_keys: RefCell<BTreeSet<String>>,
    /// The provider's journal, by its request ids.
    pub calls: RefCell<BTreeMap<String, Call>>,
    /// Threads on which two runs were seen at once, and whatever else was seen to be wrong while it happened.
    pub seen: RefCell<Vec<String>>,
}

/// One request in the provider's journal.
#[derive(Debug, Clone, Deserialize)]
pub struct Call {
    pub request_id: String,
    pub at_ms: u64,
    pub path: String,
    pub metadata: serde_json::Value,
    pub outcome: String,
}

impl Call {
    pub fn run_id(&self) -> &str {
        self.metadata["threadkeep_run_id"].as_str().unwrap_or_default()
    }

    /// Whether a model may have worked for it: all that was not refused.
    pub fn is_execution(&self) -> bool {
        self.path == "/v1/responses" && !["status", "rejected"].contains(&self.outcome.as_str())
    }
}

impl Record {
    /// Copies the provider's journal, which keeps only its latest entries.
    pub async fn copy_journal(&self, client: &Client, provider: &str) {
        let mut response = client.get(format!("{provider}/simulator/journal")).send().await.unwrap();
        let body = response.body().limit(64 << 20).await.unwrap();
        let calls: Vec<Call> = serde_json::from_slice(&body).unwrap();
        self.calls.borrow_mut().extend(calls.into_iter().map(|call| (call.request_id.clone(), call)));
    }

    /// Copies it every few seconds, without end.
    pub async fn keep_journal(&self, client: &Client, provider: &str) {
        loop {
            sleep(Duration::from_secs(5)).await;
            self.copy_journal(client, provider).await;
        }
    }

    /// Looks for two unfinished runs on one thread all the time, without end; the database may be away.
    pub async fn watch(&self, database: &PgPool) {
        loop {
            let doubles: Result<Vec<(String, Vec<String>)>, _> = sqlx::query_as(
                "select thread_id, array_agg(id) from runs where finished_at is null group by 1 having count(*) > 1",
            )
            .fetch_all(database)
            .await;
            for (thread_id, runs) in doubles.unwrap_or_default() {
                self.seen.borrow_mut().push(format!("{thread_id}: several runs at once: {runs:?}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}
