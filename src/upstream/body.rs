//! A response after its head: its body in chunks, bounded in size and time, complete or an error.

use std::io;
use std::time::Duration;

use awc::ClientResponse;
use awc::error::PayloadError;
use awc::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use awc::http::{StatusCode, Version};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};

use super::deadline::{Deadline, Limit};
use super::failure::{cut, malformed, too_large};
use crate::domain::Failure;

/// A response whose body is still to be read.
pub struct Reply {
    /// The provider's id of the request (`x-request-id`).
    pub request_id: Option<String>,
    response: ClientResponse,
    deadline: Deadline,
    bytes_max: usize,
    bytes_read: usize,
}

/// How much of a body nobody needs is still read so that its connection can be used again.
const REST_BYTES_MAX: usize = 65_536;

/// How long reading that rest may take.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

impl Reply {
    /// A response that has just begun.
    pub fn new(response: ClientResponse, deadline: Deadline, bytes_max: usize) -> Self {
        let request_id = text(response.headers(), "x-request-id").map(str::to_owned);
        Self { request_id, response, deadline, bytes_max, bytes_read: 0 }
    }

    /// The response's status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The response's headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The media type as the provider states it, empty where it does not.
    pub fn media_type(&self) -> &str {
        text(self.response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default()
    }

    /// Refuses a body that cannot be read rightly: compressed, too large, or of unknown length, which the HTTP client
    /// takes for empty (RFC 9112, section 6.3, would have it read to the connection's end).
    pub fn check(self) -> Result<Self, Failure> {
        let headers = self.response.headers();
        let encoding = text(headers, CONTENT_ENCODING.as_str()).unwrap_or("identity");
        if !encoding.eq_ignore_ascii_case("identity") {
            return Err(malformed("the body is compressed, which was not asked for"));
        }
        let length = self.length();
        if length.is_some_and(|length| length > self.bytes_max as u64) {
            return Err(too_large(self.bytes_max));
        }
        let is_framed = length.is_some() || headers.contains_key(TRANSFER_ENCODING);
        if self.response.version() == Version::HTTP_11 && !is_framed {
            return Err(malformed("neither Content-Length nor Transfer-Encoding"));
        }
        Ok(self)
    }

    /// The next piece, or none at the end of a complete body; not to be called again after either none or an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let piece = self.deadline.bound(Limit::Idle, self.response.next()).await;
        match piece.map_err(|limit| self.deadline.passed(limit))? {
            Some(Ok(bytes)) => {
                self.bytes_read = self.bytes_read.saturating_add(bytes.len());
                if self.bytes_read > self.bytes_max { Err(too_large(self.bytes_max)) } else { Ok(Some(bytes)) }
            }
            Some(Err(error)) => Err(broken(&error)),
            None if self.length().is_some_and(|length| length != self.bytes_read as u64) => {
                Err(cut("fewer bytes than Content-Length"))
            }
            None => Ok(None),
        }
    }

    /// The whole body, of which `first` was already read.
    pub async fn bytes(&mut self, first: Bytes) -> Result<Bytes, Failure> {
        let mut whole = BytesMut::from(first);
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// What can be had of the body's first `bytes_max` bytes.
    pub async fn beginning(mut self, bytes_max: usize) -> Bytes {
        let mut beginning = BytesMut::new();
        while let Ok(Some(piece)) = self.next().await {
            beginning.extend_from_slice(&piece);
            if beginning.len() >= bytes_max {
                break;
            }
        }
        beginning.truncate(bytes_max);
        beginning.freeze()
    }

    /// Leaves the rest of the body, reading it aside where that frees the connection for another request.
    pub fn finish(mut self) {
        let mut rest = Box::pin(async move {
            let mut bytes_left = REST_BYTES_MAX;
            while let Some(Ok(piece)) = self.response.next().await {
                bytes_left = bytes_left.saturating_sub(piece.len());
                if bytes_left == 0 {
                    break;
                }
            }
        });
        if rest.as_mut().now_or_never().is_none() {
            actix_rt::spawn(tokio::time::timeout(REST_TIMEOUT, rest));
        }
    }

    fn length(&self) -> Option<u64> {
        text(self.response.headers(), CONTENT_LENGTH.as_str())?.trim().parse().ok()
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// What the HTTP client's error says: a wrong chunk is the provider's doing, anything else a lost connection.
fn broken(error: &PayloadError) -> Failure {
    match error {
        PayloadError::Incomplete(Some(error)) | PayloadError::Io(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) =>
        {
            malformed(error.to_string())
        }
        other => cut(other.to_string()),
    }
}
