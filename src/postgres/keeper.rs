//! The thread that owns the server, or waits to: the lock, the first start, restarts and takeovers; not how any of
//! these is done.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::binaries::Binaries;
use super::error::Error;
use super::folder::Folder;
use super::server::{Launched, Listen, Server};
use super::{cluster, orphan, session};

/// How often the owner looks after the server, and a waiting program after the owner.
const WATCH: Duration = Duration::from_millis(100);
const JOIN_POLL: Duration = Duration::from_millis(5);
const JOIN_MAX: Duration = Duration::from_mins(1);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A server that ran this long did not fail at its start.
const STEADY: Duration = Duration::from_secs(10);
/// The first choice of a port; the others are above it and below the ports that systems give to outgoing connections.
const PORT_PREFERRED: u16 = 15_432;
const PORT_MAX: u16 = 25_431;
const PORTS_TRIED_MAX: usize = 50;

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) folder: Folder,
    pub(super) binaries: Binaries,
    /// The configured port; 0 leaves the choice to us.
    pub(super) port: u16,
}

/// How to reach the cluster once it is up.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) port: u16,
    pub(super) password: SecretString,
}

/// The thread's handle; dropping it stops the server if it is ours.
#[derive(Debug)]
pub(super) struct Keeper {
    owner: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread, and returns once the cluster accepts connections.
    pub(super) fn start(site: Arc<Site>) -> Result<(Self, Opened), Error> {
        let lock = site.folder.lock_file()?;
        let owner = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let watch = Watch { site, lock, owner: Arc::clone(&owner), stopped };
        let thread = thread::Builder::new()
            .name("postgres-keeper".to_owned())
            .spawn(move || watch.run(&open))
            .map_err(|_| Error::KeeperLost)?;
        let keeper = Self { owner, stop: Some(stop), thread: Some(thread) };
        let opened = opened.recv().map_err(|_| Error::KeeperLost)??;
        Ok((keeper, opened))
    }

    /// Whether the server runs under this program.
    pub(super) fn is_owner(&self) -> bool {
        self.owner.load(Ordering::Relaxed)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watch {
    site: Arc<Site>,
    lock: File,
    owner: Arc<AtomicBool>,
    stopped: Receiver<()>,
}

impl Watch {
    /// The lock is released, and the server stopped, at the end of this function or of the process.
    fn run(self, open: &Sender<Result<Opened, Error>>) {
        let (server, opened) = match self.enter() {
            Ok(entered) => entered,
            Err(error) => {
                let _ = open.send(Err(error));
                return;
            }
        };
        let port = opened.port;
        self.owner.store(server.is_some(), Ordering::Relaxed);
        let _ = open.send(Ok(opened));
        let Some(server) = server.or_else(|| self.wait_for_lock(port)) else {
            return;
        };
        self.guard(server, port);
    }

    /// Becomes the owner, or joins the owner's server.
    fn enter(&self) -> Result<(Option<Server>, Opened), Error> {
        let deadline = Instant::now() + JOIN_MAX;
        while Instant::now() < deadline {
            if self.locks()? {
                let (server, opened) = self.site.open()?;
                return Ok((Some(server), opened));
            }
            if let Some(opened) = self.site.opened_by_owner() {
                return Ok((None, opened));
            }
            thread::sleep(JOIN_POLL);
        }
        Err(Error::OwnerSilent { folder: self.site.folder.path().to_owned(), waited_s: JOIN_MAX.as_secs() })
    }

    fn locks(&self) -> Result<bool, Error> {
        match self.lock.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(Error::file("lock", self.site.folder.path())(source)),
        }
    }

    /// Waits until the owner is gone and starts its server again at the same address; nothing if we are stopped first.
    fn wait_for_lock(&self, port: u16) -> Option<Server> {
        while self.lives_on(WATCH) {
            if matches!(self.locks(), Ok(true)) {
                log::warn!("port={port}: the owner of the embedded Postgres is gone, this program takes over");
                return self.revive(port, Duration::ZERO);
            }
        }
        None
    }

    /// Keeps the server running until we are stopped.
    fn guard(&self, mut server: Server, port: u16) {
        self.owner.store(true, Ordering::Relaxed);
        let mut started = Instant::now();
        let mut pause = Duration::ZERO;
        while self.lives_on(WATCH) {
            let Some(status) = server.end() else { continue };
            log::warn!("port={port} status=\"{status}\": the embedded Postgres ended, it is started again");
            if started.elapsed() > STEADY {
                pause = Duration::ZERO;
            }
            match self.revive(port, pause) {
                Some(next) => server = next,
                None => return,
            }
            pause = longer(pause);
            started = Instant::now();
        }
    }

    /// Starts the server, however often it takes, with longer and longer pauses; nothing if we are stopped first.
    fn revive(&self, port: u16, mut pause: Duration) -> Option<Server> {
        while self.lives_on(pause) {
            match self.site.reopen(port) {
                Ok(server) => return Some(server),
                Err(error) => log::warn!("port={port}: the embedded Postgres does not start: {}", error.with_cause()),
            }
            pause = longer(pause);
        }
        None
    }

    /// Waits, and says whether we are still wanted.
    fn lives_on(&self, wait: Duration) -> bool {
        matches!(self.stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
    }
}

impl Site {
    /// The owner's start: make what is missing, launch, and only then leave what others join by.
    fn open(&self) -> Result<(Server, Opened), Error> {
        orphan::clear(&self.folder)?;
        cluster::ensure(&self.folder, &self.binaries)?;
        let (password, new) = self.folder.ensure_password()?;
        let (server, port) = self.launch()?;
        cluster::ensure_role(&self.folder, port, &password, new)?;
        self.folder.remember_port(port)?;
        Ok((server, Opened { port, password }))
    }

    /// Tries the configured port alone, else the remembered one before any other.
    fn launch(&self) -> Result<(Server, u16), Error> {
        if self.port != 0 {
            return match self.launch_at(self.port)? {
                Launched::Ready(server) => Ok((server, self.port)),
                Launched::PortTaken => Err(Error::PortTaken { port: self.port }),
            };
        }
        let remembered = self.folder.remembered_port();
        let others = std::iter::repeat_with(|| fastrand::u16(PORT_PREFERRED..=PORT_MAX)).take(PORTS_TRIED_MAX);
        for port in remembered.into_iter().chain([PORT_PREFERRED]).chain(others) {
            if let Launched::Ready(server) = self.launch_at(port)? {
                return Ok((server, port));
            }
            if remembered == Some(port) {
                log::warn!("port={port}: another program took the embedded Postgres's port, it moves to another");
            }
        }
        Err(Error::PortTaken { port: PORT_PREFERRED })
    }

    /// The server's own word is the one that counts; asking first saves a start that must fail.
    fn launch_at(&self, port: u16) -> Result<Launched, Error> {
        if !is_free(port) {
            return Ok(Launched::PortTaken);
        }
        Server::launch(&self.folder, &self.binaries, port, Listen::Loopback)
    }

    /// The same socket again, since pools hold its address; without TCP if the port is another's by now.
    fn reopen(&self, port: u16) -> Result<Server, Error> {
        orphan::clear(&self.folder)?;
        cluster::check_major(&self.folder, &self.binaries)?;
        if let Launched::Ready(server) = self.launch_at(port)? {
            return Ok(server);
        }
        log::warn!("port={port}: another program took the embedded Postgres's port, only its socket is open");
        match Server::launch(&self.folder, &self.binaries, port, Listen::SocketOnly)? {
            Launched::Ready(server) => Ok(server),
            Launched::PortTaken => Err(Error::PortTaken { port }),
        }
    }

    /// What the owner left, if its server accepts connections by now.
    fn opened_by_owner(&self) -> Option<Opened> {
        let port = self.folder.remembered_port()?;
        let password = self.folder.password()?;
        session::accepts(self.folder.sockets(), port).then_some(Opened { port, password })
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
