//! The writers of turns: a few connections on a thread of their own, each writing whatever turns wait at that moment
//! in one statement. What a statement does is not here.

mod link;
mod queue;
mod writer;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use tokio::runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::{Content, Part};
use crate::store::turns::{Closing, Opened, Opening};
use crate::store::{Config, Error, connection};

use link::{Link, Target};
use queue::{Item, LaneOf, Queue};

/// A handle to the writers, cheap to clone; when the last one is dropped they write what still waits, and end.
#[derive(Debug, Clone)]
pub struct Writers {
    crew: Arc<Crew>,
}

#[derive(Debug)]
struct Crew {
    queue: Arc<Queue>,
    patience: Duration,
    ended: CancellationToken,
}

impl Writers {
    /// Starts `database.writers` writers on one thread; connections are opened when turns first need them. Fails
    /// where the URL is none, or the system refuses a thread.
    pub fn start(url: &SecretString, config: &Config) -> Result<Self, Error> {
        let options = connection::options(url, "threadkeep writer")?;
        let queue = Arc::new(Queue::new(config.queue_max));
        let patience = Duration::from_millis(config.acquire_timeout_ms);
        let ended = CancellationToken::new();
        let crew = Crew { queue: queue.clone(), patience, ended: ended.clone() };
        spawn(options, config.writers, queue, ended).map_err(sqlx::Error::Io)?;
        Ok(Self { crew: Arc::new(crew) })
    }

    /// Opens a turn and answers after its commit; gives the opening back.
    ///
    /// [`Error::Crowded`] and [`Error::Waited`] mean that nothing was written. After [`Error::Unavailable`] the turn
    /// may have been opened or not. An opening whose caller goes away while it waits is not written.
    pub async fn open(&self, opening: Opening) -> Result<(Opening, Opened), Error> {
        let (bytes, in_order_of) = (text_bytes(&opening.content), Some(opening.thread_id.clone()));
        self.ask(|lanes| &mut lanes.openings, Item { turn: opening, bytes, in_order_of }).await
    }

    /// Closes a turn and answers after its commit; `false` when its attempt no longer holds the run.
    ///
    /// Errors are those of [`Writers::open`]. A closing is written even when its caller goes away.
    pub async fn close(&self, closing: Closing) -> Result<bool, Error> {
        let bytes = closing.answer.as_ref().map_or(0, |(_, content)| text_bytes(content));
        let item = Item { turn: closing, bytes, in_order_of: None };
        let (_, closed) = self.ask(|lanes| &mut lanes.closings, item).await?;
        Ok(closed)
    }

    /// Takes no more turns, and waits until what still waits is written and the connections are closed.
    pub async fn finish(&self) {
        self.crew.queue.close();
        self.crew.ended.cancelled().await;
    }

    async fn ask<T, O>(&self, lane: LaneOf<T, O>, item: Item<T>) -> Result<(T, O), Error> {
        let queue = &self.crew.queue;
        let (number, mut reply) = queue.push(lane, item)?;
        let answer = match timeout(self.crew.patience, &mut reply).await {
            Ok(answer) => answer,
            Err(_) if queue.withdraw(lane, number) => return Err(Error::Waited),
            Err(_) => reply.await,
        };
        answer.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn spawn(options: PgConnectOptions, count: u32, queue: Arc<Queue>, ended: CancellationToken) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let target = Arc::new(Target::new(options));
    thread::Builder::new().name("writers".to_owned()).spawn(move || {
        let _ended = ended.drop_guard();
        let tasks = TaskTracker::new();
        for _ in 0..count {
            tasks.spawn_on(writer::write(queue.clone(), Link::new(target.clone())), runtime.handle());
        }
        tasks.close();
        runtime.block_on(tasks.wait());
    })?;
    Ok(())
}

/// Roughly what a content weighs; parts other than text are small or references.
fn text_bytes(content: &Content) -> usize {
    let texts = content.0.iter().map(|part| match part {
        Part::Text { text } => text.value.len(),
        Part::Other(_) => 0,
    });
    texts.sum()
}
