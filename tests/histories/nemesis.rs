//! The faults: kills, pauses, orderly ends and a database that goes away; seeded, each thing by its own hand.

use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::record::Record;
use crate::world::{Cluster, Replica};

/// How long an orderly end may take beyond its drain.
const END_SLACK: Duration = Duration::from_secs(8);

/// What the nemesis must know of the settings.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub lease: Duration,
    pub drain: Duration,
}

/// Torments one replica until a moment, and leaves it running.
pub async fn torment(replica: &Replica, bounds: Bounds, record: &Record, seed: u64, until: Instant) {
    let mut random = Rng::with_seed(seed);
    loop {
        pause(&mut random, 1500..6000).await;
        if Instant::now() >= until {
            return;
        }
        match random.u8(..10) {
            0..4 => {
                replica.kill();
                pause(&mut random, 0..1500).await;
                replica.start().await;
            }
            4..6 => stop_for(replica, bounds.lease + Duration::from_millis(random.u64(500..2500))).await,
            6..8 => stop_for(replica, Duration::from_millis(random.u64(50..900))).await,
            _ => {
                replica.signal(Signal::SIGTERM);
                let code = replica.ended(bounds.drain + END_SLACK).await;
                if code != Some(0) {
                    record.seen.borrow_mut().push(format!("SIGTERM ended a replica with code {code:?}"));
                }
                replica.start().await;
            }
        }
    }
}

/// Restarts the database now and then until a moment: in order, at once, and by a kill.
pub async fn restart(cluster: &Cluster, seed: u64, until: Instant) {
    let mut random = Rng::with_seed(seed);
    loop {
        pause(&mut random, 6000..14_000).await;
        if Instant::now() >= until {
            return;
        }
        let signals = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL];
        cluster.end(signals[random.usize(..signals.len())]);
    }
}

async fn stop_for(replica: &Replica, time: Duration) {
    replica.signal(Signal::SIGSTOP);
    sleep(time).await;
    replica.signal(Signal::SIGCONT);
}

async fn pause(random: &mut Rng, ms: std::ops::Range<u64>) {
    sleep(Duration::from_millis(random.u64(ms))).await;
}
