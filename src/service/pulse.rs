//! The one task per process that tells the other replicas that this one lives, renews all its leases, looks whether
//! something changed that somebody here waits for, and sweeps.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::domain::causes;
use crate::service::{Process, Service, sweep};
use crate::store::{self, replicas};

/// How many times a lease is renewed before it would run out.
const BEATS_PER_LEASE: u32 = 3;

/// How long the pulse rests after a hint, so that many hints are one look.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// How many awaited runs a look for a hint looks at, too.
const RUNS_PER_HINT: usize = 64;

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
    let mut is_hinted = false;
    while !process.is_released() {
        if Instant::now() >= beat_due {
            beat_due = Instant::now() + lease / BEATS_PER_LEASE;
            health.note(within(lease, beat(&process)).await);
        }
        quietly(within(lease, watch(&process, is_hinted)).await);
        if Instant::now() >= sweep_due {
            sweep_due = Instant::now() + sweep_interval;
            quietly(within(lease, sweep::sweep(&service)).await);
        }
        let due = beat_due.min(sweep_due).saturating_duration_since(Instant::now());
        is_hinted = timeout(poll.min(due), process.board.hinted()).await.is_ok();
        if is_hinted {
            sleep(LOOK_PAUSE).await;
        }
    }
    std::future::pending::<()>().await;
}

/// No step may take so long that the next beat comes after the leases.
async fn within(lease: Duration, step: impl Future<Output = Result<(), store::Error>>) -> Result<(), store::Error> {
    timeout(lease / BEATS_PER_LEASE, step).await.unwrap_or(Err(store::Error::Waited))
}

/// Turns notifications of the database into hints; where none can be had (`PgBouncer` in transaction mode), the
/// pulse's own looks suffice.
pub async fn listen(process: Process) {
    loop {
        let board = &process.board;
        if let Err(error) = replicas::listen(&process.pulse_pool, || board.hint()).await {
            log::debug!("cause={:?} Notifications are not to be had for the moment", causes(&error));
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

/// Looks at everything that is awaited; a look for a hint leaves many runs to the next one, since what hints is a
/// thread that became free.
async fn watch(process: &Process, is_hinted: bool) -> Result<(), store::Error> {
    let (threads, mut runs) = process.board.awaited();
    if is_hinted && runs.len() > RUNS_PER_HINT {
        runs.clear();
    }
    if threads.is_empty() && process.board.running().is_empty() {
        return Ok(());
    }
    let changes = replicas::watch(&process.pulse_pool, &process.replica_id, &threads, &runs).await?;
    for change in &changes {
        process.board.tell(change);
    }
    Ok(())
}

/// The beat says whether the database is away; everything else is tried again without a word.
fn quietly(result: Result<(), store::Error>) {
    if let Err(error) = result {
        log::debug!("cause={:?} A look at the database failed", causes(&error));
    }
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
            Err(error) if !self.is_ill => {
                log::warn!("cause={:?} Leases cannot be renewed for the moment", causes(&error));
            }
            Ok(()) | Err(_) => return,
        }
        self.is_ill = !self.is_ill;
    }
}
