//! The one task per process that tells the other replicas that this one lives, renews all its leases, looks whether
//! something changed that somebody here waits for, and sweeps.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::service::{Process, Service, sweep};
use crate::store::{self, replicas};

/// How many times a lease is renewed before it would run out.
const BEATS_PER_LEASE: u32 = 3;

/// How long the listener waits before it tries to listen again.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// Beats once; to be called before the first request is served.
pub async fn begin(process: &Process) -> Result<(), store::Error> {
    beat(process).await
}

/// Beats, watches and sweeps until the process ends.
pub async fn run(service: Service) {
    let process = Process::clone(&service.process);
    let lease = Duration::from_millis(process.config.lease_ms.into());
    let poll = Duration::from_millis(process.config.poll_ms.into());
    let sweep_interval = Duration::from_millis(process.config.sweep_ms.into());
    let (mut beat_due, mut sweep_due) = (Instant::now(), Instant::now());
    let mut health = Health::default();
    loop {
        if Instant::now() >= beat_due {
            beat_due = Instant::now() + lease / BEATS_PER_LEASE;
            health.note(beat(&process).await);
        }
        health.note(watch(&process).await);
        if Instant::now() >= sweep_due {
            sweep_due = Instant::now() + sweep_interval;
            health.note(sweep::sweep(&service).await);
        }
        let pause = poll.min(sweep_due.saturating_duration_since(Instant::now()));
        if timeout(pause, process.board.hinted()).await.is_err() {
            log::trace!("nothing was hinted at");
        }
    }
}

/// Turns notifications of the database into hints; where none can be had (`PgBouncer` in transaction mode), the
/// pulse's own looks suffice.
pub async fn listen(process: Process) {
    loop {
        let board = &process.board;
        if let Err(error) = replicas::listen(&process.pulse_pool, || board.hint()).await {
            log::debug!("cause={error:?} Notifications are not to be had for the moment");
        }
        sleep(LISTEN_PAUSE).await;
    }
}

async fn beat(process: &Process) -> Result<(), store::Error> {
    let running = process.board.running();
    let lease_ms = process.config.lease_ms.into();
    let held = replicas::beat(&process.pulse_pool, &process.replica_id, lease_ms, &running).await?;
    process.board.lose(&running, &held);
    Ok(())
}

async fn watch(process: &Process) -> Result<(), store::Error> {
    let (threads, runs) = process.board.awaited();
    if threads.is_empty() && process.board.running().is_empty() {
        return Ok(());
    }
    let changes = replicas::watch(&process.pulse_pool, &process.replica_id, &threads, &runs).await?;
    for change in &changes {
        process.board.tell(change);
    }
    Ok(())
}

/// Says once that the database went away, and once that it is back.
#[derive(Debug, Default)]
struct Health {
    is_ill: bool,
}

impl Health {
    fn note(&mut self, result: Result<(), store::Error>) {
        match result {
            Ok(()) if self.is_ill => log::info!("The database answers again"),
            Err(error) if !self.is_ill => log::warn!("cause={error:?} Leases cannot be renewed for the moment"),
            Ok(()) | Err(_) => return,
        }
        self.is_ill = !self.is_ill;
    }
}
