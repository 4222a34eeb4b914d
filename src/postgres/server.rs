//! One running postmaster, from launch to stop; what is in its cluster, and who may start it, is decided elsewhere.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::binaries::Binaries;
use super::error::Error;
use super::folder::Folder;
use super::leash::{Watchdog, tie};
use super::session;

/// Recovery after a crash counts as starting.
const START_MAX: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(2);

/// Fast shutdown, then immediate shutdown, then the end
/// (<https://www.postgresql.org/docs/current/server-shutdown.html>).
///
/// `SIGTERM`, the smart shutdown, waits for clients to leave and may wait for ever.
pub(super) const STOPS: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(10)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// What the server says while a backend of a postmaster that was killed is still at work.
const IN_USE: &str = "pre-existing shared memory block";
const IN_USE_MAX: Duration = Duration::from_secs(15);
const IN_USE_POLL: Duration = Duration::from_millis(200);

/// What the server says when its address is taken.
const ADDRESS_TAKEN: &str = "could not create any TCP/IP sockets";

/// Settings that a `postgresql.conf` must not take back: every commit is on disk before its reply.
const DURABLE: [&str; 3] = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];

/// Where a server listens besides its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listen {
    Loopback,
    SocketOnly,
}

/// What became of a launch.
pub(super) enum Launched {
    Ready(Server),
    PortTaken,
}

/// A postmaster that is ours; dropping it stops it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    watchdog: Option<Watchdog>,
}

impl Server {
    /// Starts the cluster and returns once it accepts connections.
    ///
    /// The calling thread must live as long as the server should: its end is the server's.
    pub(super) fn launch(folder: &Folder, binaries: &Binaries, port: u16, listen: Listen) -> Result<Launched, Error> {
        let deadline = Instant::now() + IN_USE_MAX;
        loop {
            match Self::launch_once(folder, binaries, port, listen) {
                Err(Error::Server { detail, .. }) if detail.contains(IN_USE) && Instant::now() < deadline => {
                    thread::sleep(IN_USE_POLL);
                }
                launched => return launched,
            }
        }
    }

    fn launch_once(folder: &Folder, binaries: &Binaries, port: u16, listen: Listen) -> Result<Launched, Error> {
        let log = folder.open_log()?;
        let log_start = log.metadata().map_or(0, |metadata| metadata.len());
        let mut server = Self::spawn(folder, binaries, port, listen, log)?;
        let mut end = None;
        let ready = wait_until(START_MAX, || {
            end = server.end();
            end.is_some() || session::accepts(folder.sockets(), port)
        });
        let detail = match end {
            None if ready => return Ok(Launched::Ready(server)),
            None => format!("it was not ready within {} s", START_MAX.as_secs()),
            Some(status) => {
                let said = log_since(&folder.log(), log_start);
                if said.contains(ADDRESS_TAKEN) {
                    return Ok(Launched::PortTaken);
                }
                failure_in(&said).unwrap_or_else(|| status.to_string())
            }
        };
        Err(Error::Server { detail, log: folder.log() })
    }

    fn spawn(folder: &Folder, binaries: &Binaries, port: u16, listen: Listen, log: fs::File) -> Result<Self, Error> {
        let program = binaries.program("postgres");
        let errors = log.try_clone().map_err(Error::file("open", &folder.log()))?;
        let addresses = match listen {
            Listen::Loopback => "listen_addresses=127.0.0.1",
            Listen::SocketOnly => "listen_addresses=",
        };
        let sockets = format!("unix_socket_directories={}", folder.sockets().display());
        let mut command = folder.account().command(&program, &folder.cluster());
        command.arg("-D").arg(folder.cluster()).arg("-p").arg(port.to_string());
        for setting in
            [addresses, &sockets, "logging_collector=off", "log_destination=stderr"].into_iter().chain(DURABLE)
        {
            command.args(["-c", setting]);
        }
        command.stdout(log).stderr(errors);
        // Fast shutdown: it cuts clients off and still writes a checkpoint, so that the next start needs no recovery.
        tie(&mut command, Signal::SIGINT);
        let child = command.spawn().map_err(Error::spawn(&program))?;
        let mut server = Self { child, watchdog: None };
        server.watchdog = Watchdog::where_needed(&server.child, folder.account())?;
        Ok(server)
    }

    /// The exit status, if the server ended by itself.
    pub(super) fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.watchdog = None;
        for (signal, patience) in STOPS {
            if self.end().is_some() {
                return;
            }
            // An unreaped child keeps its process id, so this cannot hit another process.
            if let Ok(pid) = i32::try_from(self.child.id()) {
                let _ = kill(Pid::from_raw(pid), signal);
            }
            if wait_until(patience, || self.end().is_some()) {
                return;
            }
        }
    }
}

/// Polls until the condition holds or the time is over, and says whether it held.
pub(super) fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
}

fn log_since(log: &Path, start: u64) -> String {
    let read = || -> io::Result<String> {
        let bytes = fs::read(log)?;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        Ok(String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned())
    };
    read().unwrap_or_default()
}

/// The last line that names a fatal error, without its time stamp, other than a refusal of our own probes; else the
/// last line.
fn failure_in(log: &str) -> Option<String> {
    let fatal = |line: &str| {
        let (_, words) = ["FATAL:", "PANIC:"].iter().find_map(|mark| line.split_once(mark))?;
        (!words.contains("the database system is")).then(|| words.trim().to_owned())
    };
    log.lines().rev().find_map(fatal).or_else(|| log.lines().last().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fatal_line_tells_why_a_server_ended() {
        let log = "2026-01-01 10:00:00.000 UTC [7] LOG:  starting\n\
                   2026-01-01 10:00:00.000 UTC [7] FATAL:  lock file \"postmaster.pid\" already exists\n\
                   2026-01-01 10:00:00.000 UTC [7] HINT:  Is another postmaster running?\n\
                   2026-01-01 10:00:00.000 UTC [8] FATAL:  the database system is starting up\n";
        assert_eq!(failure_in(log).unwrap(), "lock file \"postmaster.pid\" already exists");
        assert_eq!(failure_in("could not open\n").unwrap(), "could not open");
        assert_eq!(failure_in(""), None);
    }
}
