//! Everything that runs: a Postgres, a provider, replicas; not what is done to them.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use threadkeep::postgres::{Config, Embedded};
use threadkeep::store::schema;
use tokio::time::sleep;

use crate::program::Program;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder of the test's own, gone at the end unless the test fails.
pub struct Folder(PathBuf);

/// A Postgres of the test's own, which may be killed.
pub struct Cluster {
    embedded: Embedded,
    data_dir: PathBuf,
    pub url: SecretString,
}

/// One replica's place: its process may come and go.
pub struct Replica {
    name: String,
    folder: PathBuf,
    variables: Vec<(String, String)>,
    running: RefCell<Option<Program>>,
    base: RefCell<String>,
}

/// A provider and replicas on one database.
pub struct World {
    pub replicas: Vec<Replica>,
    /// Such as `http://127.0.0.1:40123`.
    pub provider: String,
    pub database: PgPool,
    _simulator: Program,
    _folder: Folder,
}

impl World {
    /// Starts a simulator with these arguments, and replicas with these settings on a migrated database.
    pub async fn start(url: &SecretString, replicas: usize, simulate: &[&str], settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let arguments = [&["simulate", "--listen", "127.0.0.1:0"], simulate].concat();
        let mut simulator = Program::spawn(folder.path(), "simulator", &arguments, &[]);
        let base_url = simulator.hear("OPENAI_BASE_URL=").await.unwrap();
        let mut variables = vec![
            ("DATABASE_URL".to_owned(), url.expose_secret().to_owned()),
            ("OPENAI_BASE_URL".to_owned(), base_url.clone()),
        ];
        let common = [
            ("server.listen", "127.0.0.1:0"),
            ("server.workers", "2"),
            ("database.connections_max", "6"),
            ("database.acquire_timeout_ms", "1000"),
            ("upstream.deadline_ms", "5000"),
        ];
        for (key, value) in common.iter().chain(settings) {
            variables.push((format!("THREADKEEP__{}", key.replace('.', "__").to_uppercase()), (*value).to_owned()));
        }
        let replicas: Vec<Replica> = (0..replicas).map(|n| Replica::new(n, folder.path(), &variables)).collect();
        for replica in &replicas {
            replica.start().await;
        }
        let database = PgPool::connect(url.expose_secret()).await.unwrap();
        let provider = base_url.trim_end_matches("/v1").to_owned();
        Self { replicas, provider, database, _simulator: simulator, _folder: folder }
    }
}

impl Replica {
    fn new(number: usize, folder: &Path, variables: &[(String, String)]) -> Self {
        Self {
            name: format!("replica-{number}"),
            folder: folder.to_owned(),
            variables: variables.to_vec(),
            running: RefCell::default(),
            base: RefCell::default(),
        }
    }

    /// Where it listens, or did until it ended.
    pub fn base(&self) -> String {
        self.base.borrow().clone()
    }

    /// Starts its process, however often it takes while the database is away.
    pub async fn start(&self) {
        for _ in 0..100 {
            let mut program = Program::spawn(&self.folder, &self.name, &["serve"], &self.variables);
            if let Some(base) = program.hear("Threadkeep listens on ").await {
                *self.base.borrow_mut() = base;
                *self.running.borrow_mut() = Some(program);
                return;
            }
            sleep(Duration::from_millis(300)).await;
        }
        panic!("{} does not start; its log is in {}", self.name, self.folder.display());
    }

    /// Sends its process a signal.
    pub fn signal(&self, signal: Signal) {
        self.running.borrow().as_ref().unwrap().signal(signal);
    }

    /// `kill -9`.
    pub fn kill(&self) {
        drop(self.running.borrow_mut().take());
    }

    /// Waits until its process has ended by itself; its exit code.
    pub async fn ended(&self, patience: Duration) -> Option<i32> {
        let mut program = self.running.borrow_mut().take().unwrap();
        program.ended(patience).await
    }
}

impl Cluster {
    /// A new, migrated one.
    pub async fn start(folder: &Folder) -> Self {
        let data_dir = folder.path().join("postgres");
        let embedded =
            Embedded::start(&Config { data_dir: Some(data_dir.clone()), port: free_port(), ..Config::default() });
        let embedded = embedded.unwrap();
        let url = embedded.tcp_url();
        let pool = PgPool::connect(url.expose_secret()).await.unwrap();
        schema::migrate(&pool).await.unwrap();
        pool.close().await;
        Self { embedded, data_dir, url }
    }

    /// Ends the server by a signal; its keeper starts it again.
    pub fn end(&self, signal: Signal) {
        assert!(!self.embedded.joined(), "this server is somebody else's");
        let postmaster = fs::read_to_string(self.data_dir.join("cluster/postmaster.pid"));
        let Some(pid) = postmaster.ok().and_then(|lines| lines.lines().next()?.parse().ok()) else { return };
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// One that neither another embedded Postgres nor an outgoing connection takes while ours is being restarted.
fn free_port() -> u16 {
    let ports = std::iter::repeat_with(|| fastrand::u16(26_000..32_000)).take(100);
    let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().expect("a free port")
}

impl Folder {
    /// One that the server's account may enter.
    pub fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("threadkeep-histories-{}-{number}", process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the processes said is in {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
