//! A proxy before Postgres: counts the statements that a client executes (each `Execute` or simple `Query` is one) and
//! the round trips it makes (each `Sync` or simple `Query` is one), and can take the database away and bring it back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A way to the database that can be watched and cut.
pub struct Wire {
    /// The same database, through the proxy.
    pub url: SecretString,
    state: Arc<State>,
}

struct State {
    statements: AtomicUsize,
    round_trips: AtomicUsize,
    is_cut: AtomicBool,
    connections: Mutex<CancellationToken>,
}

impl Wire {
    /// Puts a proxy before a database that is reached over TCP.
    pub async fn before(url: &SecretString) -> Self {
        let options: PgConnectOptions = url.expose_secret().parse().unwrap();
        let target = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            statements: AtomicUsize::new(0),
            round_trips: AtomicUsize::new(0),
            is_cut: AtomicBool::new(false),
            connections: Mutex::new(CancellationToken::new()),
        });
        actix_rt::spawn(accept(listener, target, state.clone()));
        let options = options.host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable);
        Self { url: options.to_url_lossy().to_string().into(), state }
    }

    /// How many statements were executed so far.
    pub fn statements(&self) -> usize {
        self.state.statements.load(Ordering::Relaxed)
    }

    /// How often the client waited for the database so far.
    pub fn round_trips(&self) -> usize {
        self.state.round_trips.load(Ordering::Relaxed)
    }

    /// Cuts every connection, and each new one at once.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::Relaxed);
        self.state.connections.lock().unwrap().cancel();
    }

    /// Lets connections through again.
    pub fn restore(&self) {
        *self.state.connections.lock().unwrap() = CancellationToken::new();
        self.state.is_cut.store(false, Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, target: String, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.is_cut.load(Ordering::Relaxed) {
            continue;
        }
        let server = TcpStream::connect(&target).await.unwrap();
        server.set_nodelay(true).unwrap();
        client.set_nodelay(true).unwrap();
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        let cut = state.connections.lock().unwrap().clone();
        let counted = count(from_client, to_server, state.clone());
        actix_rt::spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                _ = counted => {}
                _ = copy(&mut from_server, &mut to_client) => {}
            }
        });
    }
}

/// How the connections of the pulse, which no turn waits for, call themselves.
const PULSE: &[u8] = b"threadkeep pulse";

/// Passes the start-up message (no type byte), then whole messages: type, length, body.
async fn count(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, state: Arc<State>) -> Option<()> {
    let mut message = Vec::new();
    let length = client.read_u32().await.ok()?;
    read(&mut client, &mut message, length).await?;
    let is_pulse = message.windows(PULSE.len()).any(|window| window == PULSE);
    server.write_all(&message).await.ok()?;
    loop {
        message.clear();
        let kind = client.read_u8().await.ok()?;
        message.push(kind);
        let length = client.read_u32().await.ok()?;
        read(&mut client, &mut message, length).await?;
        if !is_pulse && (kind == b'E' || kind == b'Q') {
            state.statements.fetch_add(1, Ordering::Relaxed);
        }
        if kind == b'S' || kind == b'Q' {
            state.round_trips.fetch_add(1, Ordering::Relaxed);
        }
        server.write_all(&message).await.ok()?;
    }
}

async fn read(client: &mut OwnedReadHalf, message: &mut Vec<u8>, length: u32) -> Option<()> {
    message.extend(length.to_be_bytes());
    let start = message.len();
    message.resize(start + length as usize - 4, 0);
    client.read_exact(&mut message[start..]).await.ok()?;
    Some(())
}
