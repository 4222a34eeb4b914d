//! What all workers of one process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::service::Config;
use crate::service::auth::Authenticator;
use crate::service::board::Board;
use crate::store::turns::Lease;
use crate::store::{self, PgPool, Writers, replicas};

/// One replica of the service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Process {
    /// The connections that requests use.
    pub pool: PgPool,
    /// Who may call.
    pub authenticator: Authenticator,
    /// The connections that open and close turns.
    pub writers: Writers,
    /// The connections of the pulse, so that no load on the others can stop it.
    pub pulse_pool: PgPool,
    /// How turns behave.
    pub config: Config,
    /// The name under which this process holds leases.
    pub replica_id: Arc<str>,
    /// Every turn that is being executed, whether or not its client still listens.
    pub turns: TaskTracker,
    pub(super) board: Arc<Board>,
    draining: Arc<AtomicBool>,
    released: Arc<AtomicBool>,
}

/// The connections that are not the writers'.
#[derive(Debug, Clone)]
pub struct Pools {
    /// For requests.
    pub pool: PgPool,
    /// For the pulse.
    pub pulse_pool: PgPool,
}

impl Process {
    /// A process of a new name.
    pub fn new(authenticator: Authenticator, writers: Writers, pools: Pools, config: Config) -> Self {
        let Pools { pool, pulse_pool } = pools;
        Self {
            pool,
            authenticator,
            writers,
            pulse_pool,
            config,
            replica_id: format!("replica_{}", Uuid::now_v7().simple()).into(),
            turns: TaskTracker::new(),
            board: Arc::default(),
            draining: Arc::default(),
            released: Arc::default(),
        }
    }

    /// Takes no new turns from now on; those that stand in line are sent away.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.board.wake_all();
    }

    /// Whether new turns are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Ends this replica's leases for good, so that others take over at once what it leaves.
    pub async fn release(&self) -> Result<(), store::Error> {
        self.released.store(true, Ordering::Relaxed);
        replicas::release(&self.pulse_pool, &self.replica_id).await
    }

    /// Tells everyone who waits for a running turn that it is interrupted here.
    pub fn abandon(&self) {
        self.board.stop_all();
    }

    /// Whether this replica has given its leases up.
    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::Relaxed)
    }

    pub(super) fn lease(&self) -> Lease {
        Lease { owner: self.replica_id.to_string(), duration_ms: self.config.lease_ms.into() }
    }

    /// When somebody who begins to wait now has waited long enough.
    pub(super) fn patience(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.config.wait_ms.into())
    }
}
