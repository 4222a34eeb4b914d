//! What the tests share: a folder of their own, another process that starts the server, and SQL.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::statvfs;
use nix::unistd::Pid;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use threadkeep::postgres::{Config, Embedded, Error};

const DATA_DIR: &str = "THREADKEEP_TEST_DATA_DIR";
static SCENES: AtomicU32 = AtomicU32::new(0);
static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();

/// A folder that every account may enter, gone at the end.
pub struct Scene {
    folder: PathBuf,
}

impl Scene {
    pub fn new() -> Self {
        let number = SCENES.fetch_add(1, Ordering::Relaxed);
        let folder = place().join(format!("threadkeep-test-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// The same with a data folder that was started once, without its port; a copy is quicker than a first start.
    pub fn with_data() -> Self {
        let scene = Self::new();
        copy(TEMPLATE.get_or_init(make_template), &scene.data_dir());
        fs::remove_file(scene.data_dir().join("port")).unwrap();
        scene
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn config(&self) -> Config {
        Config { data_dir: Some(self.data_dir()), ..Config::default() }
    }

    pub fn start(&self) -> Embedded {
        self.try_start().unwrap()
    }

    pub fn try_start(&self) -> Result<Embedded, Error> {
        Embedded::start(&self.config())
    }

    /// The same in a process of its own.
    pub fn process(&self) -> Process {
        Process::start(&self.data_dir())
    }

    pub fn postmaster(&self) -> Pid {
        let contents = fs::read_to_string(self.data_dir().join("cluster/postmaster.pid")).unwrap();
        Pid::from_raw(contents.lines().next().unwrap().parse().unwrap())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// In memory where there is room: ext4 makes thousands of files slowly when thousands were deleted just before.
fn place() -> &'static Path {
    let memory = Path::new("/dev/shm");
    let room = statvfs(memory).is_ok_and(|volume| volume.blocks_available() * volume.fragment_size() > 1 << 30);
    if room { memory } else { Path::new("/tmp") }
}

/// Stays in the build folder until the next run replaces it.
fn make_template() -> PathBuf {
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres-template");
    let _ = fs::remove_dir_all(&template);
    let scene = Scene::new();
    scene.start().stop();
    copy(&scene.data_dir(), &template);
    template
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Another program that starts the embedded server and waits for orders; it ends with us.
pub struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    words: BufReader<ChildStdout>,
}

impl Process {
    /// Returns at once; see [`Process::until_ready`].
    pub fn spawn(data_dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "scene::serves_in_a_process_of_its_own", "--ignored", "--nocapture"])
            .env(DATA_DIR, data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take();
        let words = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, words }
    }

    fn start(data_dir: &Path) -> Self {
        let mut process = Self::spawn(data_dir);
        process.hear("ready");
        process
    }

    /// Reads what the process says up to a word.
    pub fn hear(&mut self, word: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(word) {
            line.clear();
            let bytes = self.words.read_line(&mut line).unwrap();
            assert!(bytes > 0, "the process ended before it said {word}");
        }
    }

    pub fn tell(&mut self, order: &str) {
        writeln!(self.orders.as_ref().unwrap(), "{order}").unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn serves_in_a_process_of_its_own() {
    let config = Config { data_dir: Some(std::env::var_os(DATA_DIR).unwrap().into()), ..Config::default() };
    let embedded = Embedded::start(&config).unwrap();
    println!("\nready");
    let mut order = String::new();
    std::io::stdin().read_line(&mut order).unwrap();
    match order.trim_end() {
        "exit" => std::process::exit(0),
        _ => embedded.stop(),
    }
    println!("\nstopped");
}

pub fn alive(pid: Pid) -> bool {
    let zombie = || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    kill(pid, None::<Signal>).is_ok() && !zombie()
}

/// Panics if the claim does not come true within ten seconds.
pub fn soon(claim: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten seconds: {claim}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs one statement; the first column of its rows, as text.
pub fn sql(url: &SecretString, statement: &str) -> Vec<String> {
    try_sql(url, statement).unwrap()
}

pub fn try_sql(url: &SecretString, statement: &str) -> Result<Vec<String>, sqlx::Error> {
    runtime().block_on(async {
        let mut connection = PgConnection::connect(url.expose_secret()).await?;
        let rows = sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(rows)
    })
}
