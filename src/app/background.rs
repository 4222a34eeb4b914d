//! The thread of the pulse: apart from the workers, so that no load delays a lease's renewal, and ended before the
//! runtime that its connections belong to.

use std::io;
use std::thread::{self, JoinHandle};

use tokio_util::sync::CancellationToken;

use crate::service::{Process, Service, audit, jwt, pulse};
use crate::upstream::{Provider, Upstream};

/// A running pulse; dropping it ends it.
pub struct Background {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the pulse of a process, and the reading of the issuer's keys where tokens are credentials.
    pub fn start(process: Process, provider: Provider, jwt: jwt::Config) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("pulse".to_owned()).spawn(move || {
            actix_rt::System::new().block_on(async move {
                let service = Service::new(process.clone(), Upstream::new(&provider));
                let tokens = process.authenticator.tokens().cloned();
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = jwt::keep_fresh(tokens, &jwt) => {}
                    () = audit::keep_sealed(process.clone()) => {}
                    () = pulse::run(service) => {}
                    () = pulse::listen(process) => {}
                }
            });
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.cancel();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("The pulse ended by a defect");
        }
    }
}
