//! The end of the process: what asks for it, and how running turns get their time.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{SignalKind, signal as listen};
use tokio::time::timeout;

use crate::service::Process;

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

/// Lets running turns end within `limit`, then stops the server; a second signal stops it at once.
pub async fn drain(process: Process, server: ServerHandle, limit: Duration) {
    let running = process.turns.len();
    log::info!("turns={running} drain_ms={} Stopping", limit.as_millis());
    process.turns.close();
    tokio::select! {
        ended = timeout(limit, process.turns.wait()) => {
            if ended.is_err() {
                log::warn!("turns={} Turns are still running and are given up", process.turns.len());
            }
            server.stop(ended.is_ok()).await;
        }
        () = signal() => server.stop(false).await,
    }
}
