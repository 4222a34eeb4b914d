//! The wire over TLS, HTTP/2 included. The system's root certificates are read once per process, so the client with a
//! root of its own runs in a process of its own: an ignored test that the others start.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use actix_rt::net::{TcpListener, TcpStream};
use actix_rt::time::{sleep, timeout};
use bytes::Bytes;
use h2::{Reason, server};
use http::Response;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use threadkeep::domain::{Cause, ModelCall, RunId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use crate::scene::{agent, ask, config, history, upstream};
use crate::wire::{answer, completed, event, text_item};

/// How the server treats its connections.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Http1,
    Http2,
    /// Refuses the first stream of all unprocessed.
    RefusesFirst,
    /// Says goodbye after the first answer of each connection.
    GoesAway,
    /// Closes each connection after its first answer without a word.
    Drops,
}

/// A TLS server with a certificate authority of its own, which nobody trusts by default.
struct Server {
    address: SocketAddr,
    authority_pem: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

const BASE_URL: &str = "TEST_BASE_URL";

/// How long a connection that will be dropped may still send its answer.
const LINGER: Duration = Duration::from_millis(100);

#[actix_rt::test]
#[ignore = "started by the other tests of this file"]
async fn two_turns_are_answered() {
    let upstream = upstream(&config(&env::var(BASE_URL).unwrap()));
    let (agent, history, run_id) = (agent(&json!({})), history(&["Hi"]), RunId::generate());
    for _ in 0..2 {
        let call = ModelCall { run_id: &run_id, agent: &agent, history: &history };
        assert_eq!(upstream.answer(&call, &mut |_| ()).await.unwrap().text, "Hello");
        sleep(LINGER * 3).await;
    }
}

#[test]
fn turns_are_answered_over_http_1() {
    let server = Server::start(Manner::Http1);
    server.serves_two_turns();
    assert_eq!(server.counts(), (1, 2));
}

#[test]
fn turns_share_a_connection_of_http_2() {
    let server = Server::start(Manner::Http2);
    server.serves_two_turns();
    assert_eq!(server.counts(), (1, 2));
}

#[test]
fn a_stream_that_was_refused_unprocessed_is_opened_again() {
    let server = Server::start(Manner::RefusesFirst);
    server.serves_two_turns();
    assert_eq!(server.counts(), (1, 3));
}

#[test]
fn a_connection_that_went_away_between_two_turns_costs_none() {
    for manner in [Manner::GoesAway, Manner::Drops] {
        let server = Server::start(manner);
        server.serves_two_turns();
        assert_eq!(server.counts(), (2, 2));
    }
}

#[actix_rt::test]
async fn an_untrusted_certificate_is_unreachable_and_sees_no_request() {
    let server = Server::start(Manner::Http1);
    let failure = ask(&config(&server.base_url())).await.0.unwrap_err();
    assert_eq!(failure.cause, Cause::Unreachable);
    assert!(failure.detail.contains("UnknownIssuer"), "{failure:?}");
    assert_eq!(server.counts().1, 0);
}

impl Server {
    fn start(manner: Manner) -> Self {
        let (acceptor, authority_pem) = acceptor(manner);
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (accepted, received) = (connections.clone(), requests.clone());
        thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let Ok(stream) = acceptor.accept(stream).await else { continue };
                    accepted.fetch_add(1, Ordering::SeqCst);
                    let received = received.clone();
                    match manner {
                        Manner::Http1 => actix_rt::spawn(speak_http_1(stream, received)),
                        _ => actix_rt::spawn(speak_http_2(stream, received, manner)),
                    };
                }
            });
        });
        Self { address, authority_pem, connections, requests }
    }

    fn base_url(&self) -> String {
        format!("https://localhost:{}/v1", self.address.port())
    }

    /// Connections with a finished handshake, and requests.
    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }

    fn serves_two_turns(&self) {
        let roots = env::temp_dir().join(format!("threadkeep-{}-{}.pem", std::process::id(), self.address.port()));
        fs::write(&roots, &self.authority_pem).unwrap();
        let mut client = Command::new(env::current_exe().unwrap());
        client.args(["--ignored", "--exact", "tls::two_turns_are_answered"]);
        let Output { status, stdout, .. } =
            client.env("SSL_CERT_FILE", &roots).env(BASE_URL, self.base_url()).output().unwrap();
        fs::remove_file(&roots).unwrap();
        let told = String::from_utf8_lossy(&stdout);
        assert!(status.success() && told.contains("1 passed"), "{told}");
    }
}

fn acceptor(manner: Manner) -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = match manner {
        Manner::Http1 => vec![b"http/1.1".to_vec()],
        _ => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

async fn speak_http_1(mut stream: TlsStream<TcpStream>, received: Arc<AtomicUsize>) {
    let mut seen = Vec::new();
    while stream.read_buf(&mut seen).await.is_ok_and(|bytes| bytes > 0) {
        if seen.ends_with(b"\"}}") {
            received.fetch_add(1, Ordering::SeqCst);
            seen.clear();
            stream.write_all(&answer("Hello")).await.unwrap();
        }
    }
}

async fn speak_http_2(stream: TlsStream<TcpStream>, received: Arc<AtomicUsize>, manner: Manner) {
    let mut connection = server::handshake(stream).await.unwrap();
    while let Some(Ok((mut request, mut respond))) = connection.accept().await {
        if received.fetch_add(1, Ordering::SeqCst) == 0 && manner == Manner::RefusesFirst {
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        }
        actix_rt::spawn(async move {
            let mut body = Vec::new();
            while let Some(Ok(bytes)) = request.body_mut().data().await {
                let _ = request.body_mut().flow_control().release_capacity(bytes.len());
                body.extend_from_slice(&bytes);
            }
            assert!(body.ends_with(b"\"}}"), "the body came whole");
            let head = Response::builder().header("content-type", "text/event-stream").body(()).unwrap();
            let mut sending = respond.send_response(head, false).unwrap();
            let last = event(&completed(&json!([text_item("Hello")])));
            sending.send_data(Bytes::from(last), true).unwrap();
        });
        match manner {
            Manner::GoesAway => connection.graceful_shutdown(),
            Manner::Drops => {
                let _ = timeout(LINGER, connection.accept()).await;
                return;
            }
            _ => {}
        }
    }
}
