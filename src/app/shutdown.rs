//! The end of the process: what asks for it, and how running turns get their time.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{SignalKind, signal as listen};
use tokio::time::timeout;

use crate::domain::causes;
use crate::service::Process;

/// How long clients may take to learn that their turn was interrupted.
const FAREWELL: Duration = Duration::from_millis(500);

/// The exit code when a second signal ends the process at once, as shells have it for Ctrl-C.
const SECOND_SIGNAL: i32 = 130;

/// How long the release of leases may take.
const RELEASE: Duration = Duration::from_secs(2);

/// Resolves on SIGTERM or SIGINT; never, where the system offers no signals.
pub async fn signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Takes no new turns, lets running ones end within `limit`, leaves the rest to other replicas, and stops the server; a
/// second signal ends the process at once.
pub async fn drain(process: Process, server: ServerHandle, limit: Duration) {
    log::info!("turns={} drain_ms={} Stopping", process.turns.len(), limit.as_millis());
    process.start_draining();
    process.turns.close();
    tokio::select! {
        ended = timeout(limit, process.turns.wait()) => {
            if ended.is_err() {
                log::warn!("turns={} Turns are still running and are left to others", process.turns.len());
            }
            release(&process).await;
            process.abandon();
            if timeout(FAREWELL, process.turns.wait()).await.is_err() {
                log::warn!("turns={} Clients are left without an answer", process.turns.len());
            }
            server.stop(true).await;
        }
        () = signal() => {
            release(&process).await;
            std::process::exit(SECOND_SIGNAL);
        }
    }
}

async fn release(process: &Process) {
    match timeout(RELEASE, process.release()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("cause={:?} Leases were not released and will run out", causes(&error)),
        Err(_) => log::warn!("Leases were not released in time and will run out"),
    }
}
