//! The only place that builds an HTTP client and sends requests: one attempt from request to head. Repeating is
//! `retry`'s, reading on is `body`'s.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_tls::connect::{ConnectError as TcpError, ConnectInfo, Connector as TcpConnector};
use actix_web::dev::{Service, fn_service};
use awc::body::{BodySize, MessageBody};
use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use awc::http::{Method, Uri};
use awc::{ClientRequest, ClientResponse};
use bytes::Bytes;
use rustls::ClientConfig;

use super::body::Reply;
use super::deadline::{Deadline, Limit};
use super::failure::{cut, failure, malformed};
use super::provider::Provider;
use super::redact;
use super::refusal;
use super::retry::Setback;
use crate::domain::{Cause, Failure, RunId};

/// A pool of connections to the provider; bound to the thread that built it.
pub struct Client {
    http: awc::Client,
    provider: Provider,
}

/// What is sent, as often as it takes.
pub struct Request<'a> {
    /// Where to.
    pub uri: &'a Uri,
    /// JSON to `POST`; empty: a `GET`.
    pub body: Bytes,
    /// Sent as `X-Client-Request-Id`, under which the provider can find the request.
    pub run_id: Option<&'a RunId>,
    /// The model that is asked; tells an unknown model from an unknown route.
    pub model: Option<&'a str>,
}

/// A pooled connection that was idle for longer is closed rather than used.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// HTTP/2 sends no pings here, so no connection is trusted for longer.
const LIFETIME: Duration = Duration::from_secs(75);

/// HTTP/2's code for a stream that was not processed in any way, as are those that a GOAWAY leaves behind (RFC 9113,
/// section 8.7).
const REFUSED_STREAM: u32 = 7;

const PRODUCT: &str = concat!("threadkeep/", env!("CARGO_PKG_VERSION"));

/// A client for a few small documents; must be called within an actix runtime.
pub fn plain(tls: Option<ClientConfig>, connect_timeout: Duration) -> awc::Client {
    let connector = awc::Connector::new().timeout(connect_timeout).handshake_timeout(connect_timeout);
    let connector = match tls {
        Some(tls) => connector.rustls_0_23(Arc::new(tls)),
        None => connector,
    };
    awc::Client::builder().connector(connector).disable_redirects().add_default_header((USER_AGENT, PRODUCT)).finish()
}

impl Client {
    /// Builds the pool; must be called within an actix runtime.
    pub fn new(provider: &Provider) -> Self {
        let tcp = TcpConnector::default().service();
        let prompt = fn_service::<_, _, _, _, _, ()>(move |target: ConnectInfo<Uri>| {
            let connecting = tcp.call(target);
            async move {
                let connection = connecting.await?;
                connection.io_ref().set_nodelay(true).map_err(TcpError::Io)?;
                Ok(connection)
            }
        });
        let connect_timeout = provider.duration(Limit::Connect);
        let mut connector = awc::Connector::new()
            .connector(prompt)
            .timeout(connect_timeout)
            .handshake_timeout(connect_timeout)
            .limit(provider.connections_max())
            .conn_keep_alive(KEEP_ALIVE)
            .conn_lifetime(LIFETIME);
        if let Some(tls) = provider.tls() {
            connector = connector.rustls_0_23(tls.clone());
        }
        let http =
            awc::Client::builder().connector(connector).disable_timeout().disable_redirects().no_default_headers();
        Self { http: http.finish(), provider: provider.clone() }
    }

    /// The provider that is asked.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Sends the request once and waits for the head of a response that says 2xx; anything else is a setback that
    /// knows whether the request may be sent again.
    pub async fn send(&self, request: &Request<'_>, deadline: &Deadline) -> Result<Reply, Setback> {
        let sent = Rc::new(Cell::new(false));
        let body = Tracked { bytes: request.body.clone(), sent: sent.clone() };
        let is_get = request.body.is_empty();
        let outcome = match deadline.bound(Limit::FirstByte, self.prepare(request).send_body(body)).await {
            Ok(outcome) => outcome,
            Err(Limit::FirstByte) if !sent.get() && !is_get => return Err(Setback::last(self.no_connection())),
            Err(limit) => return Err(Setback::last(deadline.passed(limit))),
        };
        let response = outcome.map_err(|error| lost(&error, is_get || !sent.get(), deadline))?;
        self.judge(response, request, deadline).await
    }

    /// The same failure without the configured key in any of its texts, wherever a provider may have echoed it.
    pub fn without_key(&self, failure: Failure) -> Failure {
        let Some(key) = self.provider.key() else { return failure };
        let clean = |text: &str| text.replace(key, redact::REDACTED);
        Failure {
            sentence: clean(&failure.sentence).into(),
            detail: clean(&failure.detail).into(),
            response_id: failure.response_id.as_deref().map(clean),
            request_id: failure.request_id.as_deref().map(clean),
            ..failure
        }
    }

    fn prepare(&self, request: &Request<'_>) -> ClientRequest {
        let method = if request.body.is_empty() { Method::GET } else { Method::POST };
        let mut http = self.http.request(method, request.uri.clone()).insert_header((USER_AGENT, PRODUCT));
        if let Some(authorization) = self.provider.authorization() {
            http = http.insert_header((AUTHORIZATION, authorization.clone()));
        }
        if let Some(run_id) = request.run_id {
            http = http.insert_header(("x-client-request-id", run_id.as_str()));
        }
        if request.body.is_empty() {
            return http.insert_header((ACCEPT, "application/json"));
        }
        http.insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((ACCEPT, "text/event-stream, application/json"))
    }

    async fn judge(
        &self,
        response: ClientResponse,
        request: &Request<'_>,
        deadline: &Deadline,
    ) -> Result<Reply, Setback> {
        let status = response.status();
        let reply = Reply::new(response, deadline.clone(), self.provider.response_bytes_max());
        if status.is_success() {
            let request_id = reply.request_id.clone();
            return reply.check().map_err(|failure| Setback::last(Failure { request_id, ..failure }));
        }
        Err(refusal::setback(reply, request.model, &self.provider).await)
    }

    fn no_connection(&self) -> Failure {
        let sentence = format!(
            "No connection to the provider became free within {} ms (upstream.first_byte_timeout_ms, \
             upstream.connections_max).",
            self.provider.duration(Limit::FirstByte).as_millis()
        );
        failure(Cause::Overloaded, sentence, "no connection became free")
    }
}

/// An attempt that ended without a response; `repeatable` says that it certainly had no effect.
fn lost(error: &SendRequestError, repeatable: bool, deadline: &Deadline) -> Setback {
    let detail = error.to_string();
    let unreachable = || failure(Cause::Unreachable, "The provider cannot be reached.", detail.clone());
    match error {
        SendRequestError::Connect(ConnectError::Timeout) => Setback::first(deadline.passed(Limit::Connect)),
        SendRequestError::Connect(ConnectError::Disconnected) => {
            Setback::either(cut("closed before the response's head"), repeatable)
        }
        SendRequestError::Connect(_) => Setback::first(unreachable()),
        SendRequestError::H2(error)
            if error.is_remote() && (error.is_go_away() || error.reason().map(u32::from) == Some(REFUSED_STREAM)) =>
        {
            Setback::first(unreachable())
        }
        SendRequestError::Response(error) if !error.source().is_some_and(<dyn StdError>::is::<io::Error>) => {
            Setback::last(malformed(detail))
        }
        SendRequestError::Response(_) | SendRequestError::Send(_) | SendRequestError::H2(_) => {
            Setback::either(cut(detail), repeatable)
        }
        _ => Setback::last(unreachable()),
    }
}

/// A request's body that remembers whether the connection asked for it: before that, nothing of the request can have
/// been executed.
struct Tracked {
    bytes: Bytes,
    sent: Rc<Cell<bool>>,
}

impl MessageBody for Tracked {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        if self.bytes.is_empty() { BodySize::None } else { BodySize::Sized(self.bytes.len() as u64) }
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        this.sent.set(true);
        let bytes = mem::take(&mut this.bytes);
        Poll::Ready(Some(bytes).filter(|bytes| !bytes.is_empty()).map(Ok))
    }
}
