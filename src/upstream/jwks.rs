//! Where an issuer's public keys come from: a URL, or a file. What they are good for is not known here.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use awc::http::Uri;
use bytes::Bytes;
use tokio::time::timeout;

use super::client;
use super::provider::tls;

/// A source of keys; bound to the thread that made it, and made within an actix runtime.
pub struct Jwks {
    source: Source,
}

enum Source {
    Url(awc::Client, Uri),
    File(PathBuf),
}

/// Why no keys came.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The address is none that is asked.
    #[error("auth.jwt.jwks_url must begin with https://, or with http:// on a loopback address")]
    Address,
    /// The system's root certificates cannot be used.
    #[error("TLS cannot be used")]
    Tls(#[source] super::Error),
    /// The issuer cannot be reached, or breaks off.
    #[error("the issuer does not answer: {0}")]
    Away(String),
    /// The issuer answers with an error, or with a redirect, which is not followed.
    #[error("the issuer answers with status {0}")]
    Status(u16),
    /// The file cannot be read.
    #[error("the file of keys cannot be read")]
    File(#[source] io::Error),
    /// What came is no document of keys.
    #[error("the keys are no JWKS document")]
    Document(#[source] serde_json::Error),
}

/// How long the issuer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest document of keys.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

impl Jwks {
    /// Keys at this address, or else in this file.
    pub fn new(url: &str, file: PathBuf) -> Result<Self, JwksError> {
        if url.is_empty() {
            read(&file).map_err(JwksError::File)?;
            return Ok(Self { source: Source::File(file) });
        }
        let uri = address(url)?;
        let tls = match uri.scheme_str() {
            Some("https") => Some(tls().map_err(JwksError::Tls)?),
            _ => None,
        };
        Ok(Self { source: Source::Url(client::plain(tls, TIMEOUT), uri) })
    }

    /// Reads the document.
    pub async fn read(&self) -> Result<Bytes, JwksError> {
        match &self.source {
            Source::Url(client, uri) => fetch(client, uri).await,
            Source::File(path) => read(path).map_err(JwksError::File),
        }
    }
}

/// Checks the address of keys: whoever could change them on the way could make tokens.
pub fn address(url: &str) -> Result<Uri, JwksError> {
    let uri: Uri = url.parse().map_err(|_| JwksError::Address)?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_local => Ok(uri),
        _ => Err(JwksError::Address),
    }
}

/// Reads a file that is one, and no longer than a document may be.
fn read(path: &Path) -> io::Result<Bytes> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut document = Vec::new();
    let limit = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX);
    fs::File::open(path)?.take(limit + 1).read_to_end(&mut document)?;
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(io::Error::other("it is too long"));
    }
    Ok(document.into())
}

async fn fetch(client: &awc::Client, uri: &Uri) -> Result<Bytes, JwksError> {
    let mut answer =
        client.get(uri.clone()).timeout(TIMEOUT).send().await.map_err(|error| JwksError::Away(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(JwksError::Status(answer.status().as_u16()));
    }
    let body = timeout(TIMEOUT, answer.body().limit(DOCUMENT_BYTES_MAX)).await;
    let body = body.map_err(|_| JwksError::Away("its answer does not end".to_owned()))?;
    body.map_err(|error| JwksError::Away(error.to_string()))
}
