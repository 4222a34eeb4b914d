//! The load: clients that ask, lose patience, and ask again elsewhere; seeded.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use awc::Client;
use fastrand::Rng;
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::ask::{self, Ask, Attempt, Outcome};
use crate::record::Record;
use crate::world::World;

/// How many threads there are at any time, and how often each is asked before another takes its place: every call
/// carries its thread's whole history.
pub const THREADS: usize = 4;
const ASKS_PER_THREAD_MAX: usize = 60;
const ATTEMPTS_MAX: usize = 8;
const POLICIES: [Option<&str>; 6] = [None, Some("wait"), Some("wait"), Some("reject"), Some("queue"), Some("replace")];

/// All clients of one history.
pub struct Clients<'a> {
    pub world: &'a World,
    pub record: &'a Record,
    pub client: Client,
    threads: RefCell<Vec<(String, usize)>>,
}

impl<'a> Clients<'a> {
    /// Begins the first threads.
    pub async fn new(world: &'a World, record: &'a Record) -> Self {
        let client = Client::builder().no_default_headers().finish();
        let clients = Self { world, record, client, threads: RefCell::default() };
        for number in 0..THREADS {
            let thread = clients.begin_thread(&format!("first-{number}"), 0).await;
            clients.threads.borrow_mut().push((thread, 0));
        }
        clients
    }

    /// So many clients ask until a moment, and each ends what it has begun.
    pub async fn ask(&self, clients: u64, seed: u64, until: Instant) {
        join_all((0..clients).map(|number| self.one(number, Rng::with_seed(seed ^ (number << 32)), until))).await;
    }

    /// Every thread that is still in use answers one more question.
    pub async fn ask_each_thread(&self) {
        let threads: Vec<String> = self.threads.borrow().iter().map(|(thread, _)| thread.clone()).collect();
        join_all(threads.iter().map(async |thread| {
            let ask = Ask::new(thread, &format!("Are you there, {thread}?"));
            for attempt in 0..20 {
                let outcome = self.send(&ask, attempt % self.world.replicas.len(), Duration::from_secs(20)).await;
                if outcome.run_id().is_some() || outcome.code() == Some("response_incomplete") {
                    return;
                }
            }
            self.record.seen.borrow_mut().push(format!("{thread}: it cannot be used any more"));
        }))
        .await;
    }

    async fn one(&self, number: u64, mut random: Rng, until: Instant) {
        let mut asked = 0;
        while Instant::now() < until {
            asked += 1;
            let name = format!("{number}-{asked}");
            let thread_id = self.some_thread(&name, &mut random).await;
            if random.u8(..100) < 8 {
                self.cancel(&thread_id, &name, &mut random).await;
                continue;
            }
            let ask = Ask {
                key: (random.u8(..100) < 85).then(|| format!("key-{name}")),
                on_busy: POLICIES[random.usize(..POLICIES.len())],
                stream: random.u8(..100) < 25,
                ..Ask::new(&thread_id, &format!("Question {name}"))
            };
            self.persist(&ask, &mut random).await;
        }
    }

    /// Asks until there is an answer or no hope; without a key only once.
    async fn persist(&self, ask: &Ask, random: &mut Rng) {
        for _ in 0..ATTEMPTS_MAX {
            let replica = random.usize(..self.world.replicas.len());
            let outcome = self.send(ask, replica, Duration::from_millis(random.u64(300..8000))).await;
            let is_final = match &outcome {
                Outcome::Answered { .. } => random.u8(..100) < 90,
                Outcome::Lost(_) => false,
                Outcome::Refused { code, .. } => ["cancelled", "response_incomplete"].contains(&code.as_str()),
            };
            if is_final || ask.key.is_none() {
                return;
            }
            sleep(Duration::from_millis(random.u64(10..300))).await;
        }
    }

    async fn send(&self, ask: &Ask, replica: usize, patience: Duration) -> Outcome {
        let began = Instant::now();
        let outcome = ask.send(&self.client, &self.world.replicas[replica].base(), patience).await;
        let attempt = Attempt { ask: ask.clone(), replica, took: began.elapsed(), outcome: outcome.clone() };
        self.record.attempts.borrow_mut().push(attempt);
        outcome
    }

    async fn cancel(&self, thread_id: &str, name: &str, random: &mut Rng) {
        let base = self.world.replicas[random.usize(..self.world.replicas.len())].base();
        let ended = ask::cancel(&self.client, &base, &format!("cancel-{name}"), thread_id).await;
        self.record.cancels.borrow_mut().extend(ended);
    }

    async fn some_thread(&self, name: &str, random: &mut Rng) -> String {
        let slot = random.usize(..THREADS);
        let (thread, asks) = {
            let mut threads = self.threads.borrow_mut();
            threads[slot].1 += 1;
            threads[slot].clone()
        };
        if asks == ASKS_PER_THREAD_MAX {
            let next = self.begin_thread(name, random.usize(..self.world.replicas.len())).await;
            self.threads.borrow_mut()[slot] = (next.clone(), 0);
            return next;
        }
        thread
    }

    async fn begin_thread(&self, name: &str, first: usize) -> String {
        let key = format!("thread-{name}");
        self.record.thread_keys.borrow_mut().insert(key.clone());
        for attempt in 0..600 {
            let replica = &self.world.replicas[(first + attempt) % self.world.replicas.len()];
            if let Some(thread) = ask::thread(&self.client, &replica.base(), &key).await {
                return thread;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("no replica begins a thread");
    }
}
