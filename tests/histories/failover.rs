//! One fault at a time, in the middle of a turn; each also measures what the settings promise.

use std::time::{Duration, Instant};

use awc::Client;
use nix::sys::signal::Signal;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres};
use tokio::time::sleep;

use crate::ask::{self, Ask, Attempt, Outcome};
use crate::check;
use crate::database;
use crate::record::Record;
use crate::rows::Rows;
use crate::world::World;

const LEASE_MS: u64 = 1500;
const SWEEP_MS: u64 = 300;
const SHORT: [(&str, &str); 3] = [("turns.lease_ms", "1500"), ("turns.sweep_ms", "300"), ("turns.poll_ms", "100")];
/// What a busy machine may add to a bound.
const SLACK: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_mins(1);

/// Two replicas, one thread, and what happened to it.
pub struct Scene {
    pub world: World,
    pub thread_id: String,
    pub record: Record,
    client: Client,
}

impl Scene {
    pub async fn new(settings: &[(&str, &str)]) -> Self {
        let world = World::start(&database::fresh().await, 2, &[], settings).await;
        let client = Client::builder().timeout(PATIENCE).finish();
        let thread_id = ask::thread(&client, &world.replicas[0].base(), "thread").await.unwrap();
        Self { world, thread_id, record: Record::default(), client }
    }

    /// A connection on which phases of a turn can be executed by hand.
    pub async fn connection(&self) -> PoolConnection<Postgres> {
        self.world.database.acquire().await.unwrap()
    }

    pub fn question(&self, text: &str) -> Ask {
        Ask::new(&self.thread_id, text)
    }

    /// Asks one replica.
    pub async fn ask(&self, ask: &Ask, replica: usize) -> Outcome {
        let began = Instant::now();
        let outcome = ask.send(&self.client, &self.world.replicas[replica].base(), PATIENCE).await;
        let attempt = Attempt { ask: ask.clone(), replica, took: began.elapsed(), outcome: outcome.clone() };
        self.record.attempts.borrow_mut().push(attempt);
        outcome
    }

    /// Asks until there is an answer; how long it took.
    async fn ask_until_answered(&self, ask: &Ask, replica: usize) -> Duration {
        let began = Instant::now();
        while self.ask(ask, replica).await.run_id().is_none() {
            assert!(began.elapsed() < PATIENCE, "the thread is locked");
            sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    /// Waits until the thread's only run is in this state.
    pub async fn until(&self, status: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found: Option<String> = sqlx::query_scalar("select status from runs where thread_id = $1")
                .bind(&self.thread_id)
                .fetch_optional(&self.world.database)
                .await
                .unwrap();
            if found.as_deref() == Some(status) {
                return;
            }
            assert!(Instant::now() < deadline, "the run is {found:?} and not {status}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the checker says.
    pub async fn broken(&self) -> Vec<String> {
        self.record.copy_journal(&self.client, &self.world.provider).await;
        check::broken(&self.record, &Rows::read(&self.world.database).await)
    }
}

#[actix_rt::test]
async fn a_thread_is_usable_soon_after_its_replica_was_killed() {
    let scene = Scene::new(&SHORT).await;
    let killed = scene.question("[[simulate: slow_head=60000]] One");
    let next = Ask { on_busy: Some("reject"), ..scene.question("Two") };
    let happen = async {
        scene.until("in_progress").await;
        scene.world.replicas[0].kill();
        scene.ask_until_answered(&next, 1).await
    };
    let (lost, took) = futures_util::join!(scene.ask(&killed, 0), happen);
    println!("from kill -9 to a usable thread: {took:?} (lease {LEASE_MS} ms, sweep {SWEEP_MS} ms)");
    assert!(matches!(lost, Outcome::Lost(_)), "{lost:?}");
    assert!(took <= Duration::from_millis(LEASE_MS + SWEEP_MS) + SLACK, "{took:?}");
    assert_eq!(scene.broken().await, [""; 0]);
}

#[actix_rt::test]
async fn a_replica_that_slept_past_its_lease_writes_nothing_over_its_successor() {
    let scene = Scene::new(&SHORT).await;
    let ask = scene.question("[[simulate: slow_head=3000 times=1]] Sleep well.");
    let began = Instant::now();
    let happen = async {
        scene.until("in_progress").await;
        scene.world.replicas[0].signal(Signal::SIGSTOP);
        scene.until("failed").await;
        scene.ask_until_answered(&ask, 1).await;
        // By then the late answer waits in the sleeper's socket.
        sleep(Duration::from_secs(4).saturating_sub(began.elapsed())).await;
        scene.world.replicas[0].signal(Signal::SIGCONT);
    };
    let (late, ()) = futures_util::join!(scene.ask(&ask, 0), happen);
    assert_eq!(late.code(), Some("interrupted"), "{late:?}");
    let replayed = scene.ask(&ask, 0).await;
    assert!(matches!(replayed, Outcome::Answered { replayed: true, .. }), "{replayed:?}");
    assert_eq!(scene.broken().await, [""; 0]);
}

#[actix_rt::test]
async fn a_durable_question_of_a_sleeping_replica_is_asked_once_and_holds_nobody_up() {
    let scene = Scene::new(&SHORT).await;
    let first = scene.question("[[simulate: slow_head=3000]] Take your time.");
    let durable = Ask { key: None, on_busy: Some("queue"), ..scene.question("When you are ready") };
    let rows = async |rows: &str| {
        let count = format!("select count(*) from {rows}");
        let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).fetch_one(&scene.world.database);
        count.await.unwrap()
    };
    let happen = async {
        while rows("turn_tickets").await == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        scene.world.replicas[0].signal(Signal::SIGSTOP);
        while rows("runs where status = 'completed'").await < 2 {
            sleep(Duration::from_millis(10)).await;
        }
        scene.world.replicas[0].signal(Signal::SIGCONT);
    };
    let late = async {
        scene.until("in_progress").await;
        scene.ask(&durable, 0).await
    };
    let (_, late, ()) = futures_util::join!(scene.ask(&first, 1), late, happen);
    assert!(matches!(late, Outcome::Answered { replayed: true, .. }), "{late:?}");
    scene.ask_until_answered(&scene.question("And now?"), 1).await;
    assert_eq!(scene.broken().await, [""; 0]);
}

#[actix_rt::test]
async fn a_turn_ends_within_the_drain_and_no_other_begins() {
    let scene = Scene::new(&[("server.drain_ms", "20000")]).await;
    let ask = scene.question("[[simulate: slow_head=1500]] The last one");
    let happen = async {
        scene.until("in_progress").await;
        scene.world.replicas[0].signal(Signal::SIGTERM);
        sleep(Duration::from_millis(300)).await;
        scene.ask(&scene.question("One more"), 0).await
    };
    let (answered, refused) = futures_util::join!(scene.ask(&ask, 0), happen);
    assert!(answered.run_id().is_some(), "{answered:?}");
    assert!(matches!(&refused, Outcome::Refused { status: 503, code } if code == "draining"), "{refused:?}");
    assert_eq!(scene.world.replicas[0].ended(PATIENCE).await, Some(0));
    assert_eq!(scene.broken().await, [""; 0]);
}

#[actix_rt::test]
async fn a_turn_that_outlasts_the_drain_is_swept_at_once_and_continues_elsewhere() {
    let settings = [("server.drain_ms", "500"), ("turns.lease_ms", "120000"), ("turns.sweep_ms", "300")];
    let scene = Scene::new(&[&settings[..], &[("upstream.deadline_ms", "60000")]].concat()).await;
    let ask = scene.question("[[simulate: slow_head=60000 times=1]] Too long");
    let happen = async {
        scene.until("in_progress").await;
        scene.world.replicas[0].signal(Signal::SIGTERM);
        let began = Instant::now();
        scene.until("failed").await;
        let took = began.elapsed();
        (took, scene.world.replicas[0].ended(PATIENCE).await)
    };
    let (_, (took, code)) = futures_util::join!(scene.ask(&ask, 0), happen);
    println!("from SIGTERM to a usable thread: {took:?} (drain 500 ms, sweep 300 ms, lease 120 s)");
    assert!(took <= Duration::from_millis(800) + SLACK, "{took:?}");
    assert_eq!(code, Some(0));
    let continued = scene.ask(&ask, 1).await;
    assert!(continued.run_id().is_some(), "{continued:?}");
    assert_eq!(scene.broken().await, [""; 0]);
}
