//! The simulator's settings, its routes and its start; not what the routes do.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse, HttpServer,
    body::MessageBody,
    dev::{Server, ServerHandle, ServiceRequest, ServiceResponse},
    guard,
    http::header::{HeaderName, HeaderValue},
    middleware::{Next, from_fn},
    web,
};
use serde::Deserialize;

use super::{
    RequestId, State, connection::Connection, control, exchange, faults::Faults, issue, journal::Journal, models,
};

const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const SHUTDOWN_SECONDS: u64 = 1;

/// How to simulate.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How long every answer lets its head wait, in milliseconds.
    pub delay_ms: u64,
    /// The pause between the events of a stream, in milliseconds; an answer in one piece waits as long as its deltas
    /// would.
    pub delta_delay_ms: u64,
    /// The share of requests that fail by chance, from 0 to 1.
    pub fault_rate: f64,
    /// The seed of that chance: the same seed brings the same faults in the same order.
    pub seed: u64,
    /// How many threads answer, at least 1.
    pub workers: usize,
    /// Whether it stops by itself on SIGINT and SIGTERM; an embedding program wants to decide itself.
    pub handle_signals: bool,
}

/// A simulator that listens; it answers once `server` is awaited or spawned.
pub struct Running {
    /// Where it really listens.
    pub address: SocketAddr,
    /// Ends when the simulator has stopped.
    pub server: Server,
    /// Stops it from anywhere.
    pub handle: ServerHandle,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8090),
            delay_ms: 0,
            delta_delay_ms: 0,
            fault_rate: 0.0,
            seed: 0,
            workers: 1,
            handle_signals: false,
        }
    }
}

impl Running {
    /// What a client takes for the provider's base URL, such as `http://127.0.0.1:8090/v1`.
    pub fn base_url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("http://{address}/v1")
    }
}

/// Starts to listen.
///
/// # Errors
/// When the address cannot be bound, or a setting is out of its range.
pub fn start(config: &Config) -> io::Result<Running> {
    if !(0.0..=1.0).contains(&config.fault_rate) || config.workers == 0 {
        let sentence = "fault_rate goes from 0 to 1, and workers start at 1";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    let state = web::Data::new(State {
        delay_ms: config.delay_ms,
        delta_delay_ms: config.delta_delay_ms,
        faults: Faults::new(config.fault_rate, config.seed),
        journal: Journal::default(),
    });
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .wrap(from_fn(identify))
            .configure(routes)
    })
    .on_connect(Connection::keep)
    .tcp_nodelay(true)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .workers(config.workers)
    .bind(config.listen)?;
    if !config.handle_signals {
        server = server.disable_signals();
    }
    let address = server.addrs().first().copied().unwrap_or(config.listen);
    let server = server.run();
    log::info!("address={address} the simulator listens: its answers come from no model");
    Ok(Running { address, handle: server.handle(), server })
}

fn routes(app: &mut web::ServiceConfig) {
    app.service(answering("/v1/responses").route(web::post().to(exchange::respond)))
        .service(answering("/v1/chat/completions").route(web::post().to(exchange::complete)))
        .route("/v1/models", web::get().to(list_models))
        .route("/v1/models/{id}", web::get().to(one_model))
        .route("/healthz", web::get().to(control::health))
        .service(
            web::resource("/simulator/faults")
                .route(web::get().to(control::waiting))
                .route(web::post().to(control::enqueue))
                .route(web::delete().to(control::clear_faults)),
        )
        .service(
            web::resource("/simulator/journal")
                .route(web::get().to(control::journal))
                .route(web::delete().to(control::clear_journal)),
        )
        .default_service(web::to(control::unknown_url));
}

/// A resource that knows no other method, as if it were another URL.
fn answering(path: &str) -> actix_web::Resource {
    web::resource(path).guard(guard::Post())
}

async fn list_models(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    exchange::document(&request, &state, Ok(models::list())).await
}

async fn one_model(request: HttpRequest, state: web::Data<State>, id: web::Path<String>) -> HttpResponse {
    exchange::document(&request, &state, models::one(&id)).await
}

/// Gives every answer the headers that the provider's answers have.
async fn identify(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let began = Instant::now();
    let id = issue::id("req");
    let request_id = HeaderValue::from_str(&id);
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    if let Ok(value) = request_id {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    let milliseconds = HeaderValue::from_str(&began.elapsed().as_millis().to_string());
    if let Ok(value) = milliseconds {
        headers.insert(HeaderName::from_static("openai-processing-ms"), value);
    }
    headers.insert(HeaderName::from_static("openai-version"), HeaderValue::from_static("2020-10-01"));
    Ok(response)
}
