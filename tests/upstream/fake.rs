//! A server over real TCP that plays scripted bytes and keeps a journal of the requests it received. It knows HTTP
//! just well enough to tell where a request ends; what it sends is the script's affair.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_rt::net::{TcpListener, TcpStream};
use actix_rt::time::sleep;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// What happens on one connection, step by step; after the last step the server closes it.
#[derive(Debug, Clone, Default)]
pub struct Script(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Expect,
    Send(Vec<u8>),
    Sleep(Duration),
    Reset,
    Again,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A running server; it ends when dropped.
pub struct Fake {
    address: SocketAddr,
    journal: Arc<Mutex<Journal>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Journal {
    connections: usize,
    requests: Vec<Request>,
    open: usize,
    open_max: usize,
}

/// A request that has arrived and whose script goes on.
struct Open(Arc<Mutex<Journal>>);

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one whole request into the journal.
    pub fn expect(self) -> Self {
        self.then(Step::Expect)
    }

    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Send(bytes.as_ref().to_vec()))
    }

    pub fn sleep_ms(self, ms: u64) -> Self {
        self.then(Step::Sleep(Duration::from_millis(ms)))
    }

    /// Ends the connection with RST instead of FIN.
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Starts over on the same connection, until the client closes it.
    pub fn again(self) -> Self {
        self.then(Step::Again)
    }

    fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}

impl Request {
    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the request's body is JSON")
    }
}

impl Fake {
    /// Plays the first script on the first connection and so on; the last one on every further connection.
    pub fn play(scripts: impl Into<Vec<Script>>) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, scripts) = (listener.local_addr().unwrap(), scripts.into());
        let (stop, stopped) = oneshot::channel();
        let journal = Arc::new(Mutex::new(Journal::default()));
        let shared = journal.clone();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                tokio::select! {
                    () = serve(TcpListener::from_std(listener).unwrap(), scripts, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, journal, stop: Some(stop), thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Every request so far, in the order in which they were complete.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.journal).requests.clone()
    }

    /// The only request there was.
    pub fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.into_iter().next().unwrap()
    }

    /// The most requests that were being served at the same time.
    pub fn simultaneous_max(&self) -> usize {
        lock(&self.journal).open_max
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        lock(&self.journal).connections
    }
}

impl Open {
    fn new(journal: &Arc<Mutex<Journal>>, request: Request) -> Self {
        let mut entries = lock(journal);
        entries.requests.push(request);
        entries.open += 1;
        entries.open_max = entries.open_max.max(entries.open);
        Self(journal.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.0).open -= 1;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the fake server panicked");
        }
    }
}

async fn serve(listener: TcpListener, scripts: Vec<Script>, journal: Arc<Mutex<Journal>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connection = lock(&journal).connections;
        lock(&journal).connections += 1;
        let script = scripts.get(connection).or(scripts.last()).cloned().unwrap_or_default();
        actix_rt::spawn(play(stream, script, journal.clone()));
    }
}

/// Ends early where the client has gone.
async fn play(mut stream: TcpStream, script: Script, journal: Arc<Mutex<Journal>>) {
    let (mut at, mut open) = (0, None::<Open>);
    while let Some(step) = script.0.get(at) {
        at += 1;
        match step {
            Step::Expect => {
                drop(open.take());
                let Some(request) = read_request(&mut stream).await else { return };
                open = Some(Open::new(&journal, request));
            }
            Step::Send(bytes) => {
                if stream.write_all(bytes).await.is_err() {
                    return;
                }
            }
            Step::Sleep(duration) => sleep(*duration).await,
            Step::Reset => return stream.set_zero_linger().unwrap(),
            Step::Again => at = 0,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).expect("the head is text");
    let mut lines = head.lines();
    let mut request_line = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (request_line.next()?, request_line.next()?);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut body = bytes.split_off(head_end);
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { method, path, headers, body })
}

fn lock(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap()
}
