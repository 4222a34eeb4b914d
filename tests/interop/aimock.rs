//! An aimock of one test's own, from `npm ci --prefix tests/interop`; what it answers stands in `fixtures`.

use std::io::{BufRead, BufReader, Write, stderr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Once;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use awc::Client;
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");
const START_MAX: Duration = Duration::from_secs(30);
static SAID: Once = Once::new();

/// A running server, killed when this goes.
pub struct Aimock {
    /// Such as `http://127.0.0.1:40123`.
    address: String,
    process: Child,
}

impl Aimock {
    /// Starts it on any free port. `None` where it is not installed, after one line that says so; with `CI=true` that
    /// fails.
    pub fn start() -> Option<Self> {
        let Some(missing) = missing() else {
            return Some(Self::launch());
        };
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "{missing}; run npm ci --prefix tests/interop");
        // Not `eprintln!`, whose lines the harness keeps to itself when a test passes.
        SAID.call_once(|| writeln!(stderr(), "skipped: {missing}; run npm ci --prefix tests/interop").unwrap());
        None
    }

    fn launch() -> Self {
        let mut process = Command::new("node")
            .args(["node_modules/.bin/llmock", "--host", "127.0.0.1", "--port", "0", "--fixtures", "fixtures"])
            .args(["--validate-on-load", "--log-level", "info"])
            .envs([("AIMOCK_STRICT_TURN_INDEX", "1"), ("NODE_NO_WARNINGS", "1")])
            .current_dir(FOLDER)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let mut aimock = Self { address: String::new(), process };
        let (announce, announced) = channel();
        thread::spawn(move || follow(output, &announce));
        aimock.address = announced.recv_timeout(START_MAX).expect("aimock did not say where it listens");
        aimock
    }

    /// Where its OpenAI routes begin; ends in `/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.address)
    }

    /// What it was sent and answered since its start, oldest first.
    pub async fn journal(&self) -> Vec<Value> {
        let url = format!("{}/__aimock/journal", self.address);
        Client::default().get(url).send().await.unwrap().json().await.unwrap()
    }
}

impl Drop for Aimock {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended {
            eprintln!("aimock did not end: {error}");
        }
    }
}

fn missing() -> Option<&'static str> {
    let has_node = Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    let has_package = std::path::Path::new(FOLDER).join("node_modules/.bin/llmock").exists();
    match (has_node, has_package) {
        (false, _) => Some("Node.js 20.15 or newer is not installed"),
        (true, false) => Some("aimock is not installed"),
        (true, true) => None,
    }
}

/// Tells the address once it is printed, and reads on so that the pipe never fills.
fn follow(output: ChildStdout, announce: &Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if let Some((_, address)) = line.split_once("listening on ") {
            announce.send(address.to_owned()).unwrap();
        }
    }
}
