//! One random history from its start to its verdict.

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::PgPool;
use threadkeep::service::audit;
use tokio::time::sleep;

use crate::ask::Outcome;
use crate::check;
use crate::clients::{Clients, THREADS};
use crate::nemesis::{self, Bounds};
use crate::record::Record;
use crate::rows::Rows;
use crate::world::{Cluster, Folder, World};

const REPLICAS: usize = 3;
const CLIENTS: u64 = 16;
const LEASE: Duration = Duration::from_millis(1500);
const SWEEP: Duration = Duration::from_millis(300);
const WAIT: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(1);
/// What a busy machine and one whole model call may add.
const SLACK: Duration = Duration::from_secs(10);

#[actix_rt::test]
async fn no_promise_is_broken_by_kills_pauses_and_restarts() {
    let seed = number("HISTORY_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let seconds = number("HISTORY_SECONDS").unwrap_or(20);
    println!("HISTORY_SEED={seed} HISTORY_SECONDS={seconds}");
    let folder = Folder::new();
    let cluster = Cluster::start(&folder).await;
    let world = world(&cluster, seed).await;
    let record = Record::default();
    let clients = Clients::new(&world, &record).await;
    let until = Instant::now() + Duration::from_secs(seconds);
    let bounds = Bounds { lease: LEASE, drain: DRAIN };
    let torments = world.replicas.iter().zip(1..);
    let torments = torments.map(|(replica, number)| nemesis::torment(replica, bounds, &record, seed + number, until));
    let happen = async {
        futures_util::join!(
            clients.ask(CLIENTS, seed, until),
            join_all(torments),
            nemesis::restart(&cluster, seed, until),
        );
        come_to_rest(&world.database).await;
        clients.ask_each_thread().await;
    };
    tokio::select! {
        () = happen => {}
        () = record.watch(&world.database) => {}
        () = record.keep_journal(&clients.client, &world.provider) => {}
    }
    record.copy_journal(&clients.client, &world.provider).await;
    let rows = Rows::read(&world.database).await;
    println!("{}", summary(&record, &rows));
    let told = record.attempts.borrow().iter().filter(|attempt| attempt.outcome.run_id().is_some()).count();
    assert!(told > THREADS, "HISTORY_SEED={seed}: too little happened");
    let mut broken = check::broken(&record, &rows);
    for chain in audit::verify(&world.database, &[]).await.unwrap() {
        broken.extend(chain.faults.iter().map(|fault| format!("the audit: {fault}")));
    }
    assert!(broken.is_empty(), "HISTORY_SEED={seed} HISTORY_SECONDS={seconds}\n{}", broken.join("\n"));
}

async fn world(cluster: &Cluster, seed: u64) -> World {
    let simulate = ["--delay-ms", "30", "--fault-rate", "0.05", "--seed", &seed.to_string()];
    let milliseconds = |time: Duration| time.as_millis().to_string();
    let settings = [
        ("turns.lease_ms", &*milliseconds(LEASE)),
        ("turns.sweep_ms", &*milliseconds(SWEEP)),
        ("turns.wait_ms", &*milliseconds(WAIT)),
        ("turns.poll_ms", "100"),
        ("server.drain_ms", &*milliseconds(DRAIN)),
    ];
    World::start(&cluster.url, REPLICAS, &simulate, &settings).await
}

/// Waits until nothing runs and nobody stands in line; what is left after that is the checker's matter.
async fn come_to_rest(database: &PgPool) {
    let deadline = Instant::now() + LEASE + SWEEP + WAIT + SLACK;
    while Instant::now() < deadline {
        let left = sqlx::query_scalar::<_, i64>(
            "select (select count(*) from runs where finished_at is null) + (select count(*) from turn_tickets)",
        );
        if matches!(left.fetch_one(database).await, Ok(0)) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn summary(record: &Record, rows: &Rows) -> String {
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for attempt in record.attempts.borrow().iter() {
        let name = match (&attempt.outcome, attempt.outcome.code()) {
            (_, Some(code)) => code.to_owned(),
            (Outcome::Lost(reason), _) => format!("lost: {reason}"),
            _ => "answered".to_owned(),
        };
        *outcomes.entry(name).or_default() += 1;
    }
    let longest = record.attempts.borrow().iter().map(|attempt| attempt.took).max();
    let mut acts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &rows.events {
        *acts.entry(&event.action).or_default() += 1;
    }
    let (threads, runs, calls) = (rows.threads.len(), rows.runs.len(), record.calls.borrow().len());
    format!(
        "threads={threads} runs={runs} calls={calls}\nacts={acts:?}\nseen by clients, at most after {longest:?}: {outcomes:?}"
    )
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect(variable))
}
