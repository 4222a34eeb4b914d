//! The server's own TLS: a certificate from the settings, and a new one without a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::harness::{App, Provider};

struct Files {
    folder: PathBuf,
}

impl Files {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("threadkeep-test-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    /// Puts a new pair in place; the certificate is answered.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(self.path("key.pem"), signing_key.serialize_pem()).unwrap();
        fs::write(self.path("chain.pem"), cert.pem()).unwrap();
        cert.der().clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn settings(certificate: &Path, key: &Path) -> String {
    format!("server.tls_certificate = '{}'\nserver.tls_key = '{}'", certificate.display(), key.display())
}

/// Asks whether the service is alive, trusting this certificate only; nothing when its own is another one.
async fn asked(app: &App, trusted: &CertificateDer<'static>) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = TlsConnector::from(Arc::new(config)).connect(name, connection).await.ok()?;
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.ok();
    Some(answer)
}

#[actix_rt::test]
async fn a_new_certificate_is_taken_over_and_a_broken_one_is_not() {
    let files = Files::new();
    let first = files.renew();
    let app = App::with(&Provider::start().base_url, &settings(&files.path("chain.pem"), &files.path("key.pem"))).await;
    let answer = asked(&app, &first).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    let second = files.renew();
    sleep(Duration::from_millis(2500)).await;
    assert!(asked(&app, &second).await.is_some());
    assert!(asked(&app, &first).await.is_none());
    fs::write(files.path("key.pem"), "no key").unwrap();
    sleep(Duration::from_millis(2500)).await;
    assert!(asked(&app, &second).await.is_some());
}
