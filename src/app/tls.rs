//! The server's certificate: read from two PEM files, and read again when they change or SIGHUP asks for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::http;

/// The pair that new connections are greeted with.
#[derive(Debug)]
pub struct Certificate {
    files: (PathBuf, PathBuf),
    current: RwLock<Arc<CertifiedKey>>,
}

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Certificate {
    /// Reads the pair that the settings name, if they name one.
    pub fn read(config: &http::Config) -> anyhow::Result<Option<Arc<Self>>> {
        let (certificate, key) = (&config.tls_certificate, &config.tls_key);
        match (certificate.as_os_str().is_empty(), key.as_os_str().is_empty()) {
            (true, true) => return Ok(None),
            (false, false) => {}
            _ => bail!("server.tls_certificate and server.tls_key go together"),
        }
        let current = RwLock::new(Arc::new(pair(certificate, key)?));
        Ok(Some(Arc::new(Self { files: (certificate.clone(), key.clone()), current })))
    }

    /// What the server needs to speak TLS with it.
    pub fn config(self: &Arc<Self>) -> anyhow::Result<ServerConfig> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        Ok(config)
    }

    /// Takes a new pair over as soon as it is there and whole; never ends.
    pub async fn keep_fresh(self: Arc<Self>) {
        let mut asked = signal(SignalKind::hangup()).ok();
        let mut seen = self.changed_at();
        loop {
            let is_asked = tokio::select! {
                () = sleep(LOOK_EVERY) => false,
                Some(()) = async { asked.as_mut()?.recv().await } => true,
            };
            let changed_at = self.changed_at();
            if changed_at == seen && !is_asked {
                continue;
            }
            seen = changed_at;
            match pair(&self.files.0, &self.files.1) {
                Ok(pair) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                    log::info!("A new certificate is in use");
                }
                Err(error) => log::warn!("cause={error:#?} The new certificate is not used; the old one is kept"),
            }
        }
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        let at = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        [at(&self.files.0), at(&self.files.1)]
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Reads a chain and its key, and makes sure that they belong together.
fn pair(certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{} cannot be read (server.tls_certificate)", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{} cannot be read (server.tls_key)", key.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate (server.tls_certificate)", certificate.display());
    }
    CertifiedKey::from_der(chain, key, &ring::default_provider()).context("server.tls_certificate and server.tls_key")
}
