//! The composition root: settings become database, provider, service and server; no rule of the product is here.

mod announcement;
mod background;
mod database;
mod shutdown;
mod tls;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{Data, PayloadConfig, ThinData};
use actix_web::{App, HttpServer};
use anyhow::{Context, bail};
use rustls::ServerConfig;
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::{AccessRole, Caller, ProjectId};
use crate::http::Attempts;
use crate::service::agents::{self, Applied, Definition};
use crate::service::auth::{Authenticator, Mode, Open};
use crate::service::{Pools, Process, Service, pulse};
use crate::settings::{Settings, read_agent_files};
use crate::store::Writers;
use crate::upstream::{Jwks, Provider, Upstream};
use crate::{http, simulator};

use background::Background;
use tls::Certificate;

pub use database::Database;
pub use shutdown::signal;

/// A server that is bound and ready to be awaited.
pub struct Application {
    server: Server,
    process: Process,
    addresses: Vec<SocketAddr>,
    drain: Duration,
    announcement: String,
    background: Background,
    database: Database,
}

/// The id of the project that owns everything where no credentials are configured.
pub fn default_project() -> anyhow::Result<ProjectId> {
    Ok(ProjectId::parse("proj_default")?)
}

/// The party that commands and the start act as, within the default project.
pub fn operator(actor: &str) -> anyhow::Result<Caller> {
    Ok(Caller {
        project_id: default_project()?,
        user_id: None,
        role: AccessRole::Admin,
        key_id: None,
        address: None,
        actor: actor.to_owned(),
        request_id: format!("req_{}", Uuid::now_v7().simple()),
    })
}

impl Application {
    /// Opens the database, starts the simulator where nothing names a provider, applies the agents' folder, and
    /// binds the server; must be called within an actix system.
    pub async fn build(mut settings: Settings) -> anyhow::Result<Self> {
        let simulated = settings.is_simulated();
        if simulated {
            settings.upstream.base_url = simulate(&settings.simulator)?;
        } else if settings.upstream.base_url.is_empty() {
            bail!("no provider is configured: set OPENAI_API_KEY, or OPENAI_BASE_URL to an OpenAI-compatible server");
        }
        if !settings.upstream.base_url.trim_end_matches('/').ends_with("/v1") {
            log::warn!("upstream.base_url={:?} A provider's address ends in /v1 as a rule", settings.upstream.base_url);
        }
        let provider = Provider::new(&settings.upstream)?;
        let certificate = Certificate::read(&settings.server)?;
        let listener = bind(settings.server.listen)?;
        let database = Database::open(&settings).await?;
        let applied = apply_folder(&database, &settings).await?;
        let writers = database.writers(&settings.database)?;
        let process = process(&settings, &database, writers)?;
        pulse::begin(&process).await?;
        let background = Background::start(process.clone(), provider.clone(), settings.auth.jwt.clone())?;
        let tls = certificate.as_ref().map(Certificate::config).transpose()?;
        let (server, addresses) = serve(&settings, &process, provider, listener, tls)?;
        if let Some(certificate) = certificate {
            actix_rt::spawn(certificate.keep_fresh());
        }
        let announcement = announcement::text(&settings, simulated, &database, &addresses, &applied);
        let drain = Duration::from_millis(settings.server.drain_ms);
        Ok(Self { server, process, addresses, drain, announcement, background, database })
    }

    /// Where the server listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What a person at the terminal wants to know once the server is up.
    pub fn announcement(&self) -> &str {
        &self.announcement
    }

    /// Serves until `stop` resolves, then lets running turns end within `server.drain_ms`.
    pub async fn run_until(self, stop: impl Future<Output = ()> + 'static) -> anyhow::Result<()> {
        let writers = self.process.writers.clone();
        let drained = shutdown::drain(self.process, self.server.handle(), self.drain);
        actix_rt::spawn(async move {
            stop.await;
            drained.await;
        });
        self.server.await?;
        if timeout(self.drain, writers.finish()).await.is_err() {
            log::warn!("What turns still wrote is given up");
        }
        drop(self.background);
        drop(self.database);
        Ok(())
    }
}

fn process(settings: &Settings, database: &Database, writers: Writers) -> anyhow::Result<Process> {
    let pools = Pools { pool: database.pool().clone(), pulse_pool: database.pulse_pool().clone() };
    let is_local = settings.auth.mode == Mode::Auto && settings.server.listen.ip().is_loopback();
    let role = if is_local { AccessRole::Admin } else { AccessRole::Service };
    let open = Open { project_id: default_project()?, role };
    let jwt = &settings.auth.jwt;
    if settings.auth.mode.takes_tokens() && jwt.has_published_keys() {
        Jwks::new(&jwt.jwks_url, jwt.jwks_file.clone()).context("the issuer's keys cannot be read")?;
    }
    let authenticator = Authenticator::new(pools.pool.clone(), &settings.auth, open);
    Ok(Process::new(authenticator, writers, pools, settings.turns.clone()))
}

/// Starts the simulator inside this process and answers its base URL.
fn simulate(config: &simulator::Config) -> anyhow::Result<String> {
    let loopback = simulator::Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..config.clone() };
    let running = simulator::start(&loopback).context("the simulator cannot be started")?;
    let base_url = running.base_url();
    actix_rt::spawn(running.server);
    Ok(base_url)
}

async fn apply_folder(database: &Database, settings: &Settings) -> anyhow::Result<Vec<(Definition, Applied)>> {
    let folder = &settings.agents.dir;
    if !folder.exists() {
        log::warn!("agents.dir={:?} There is no such folder, so no agent files are applied", folder.display());
        return Ok(Vec::new());
    }
    let caller = operator("serve")?;
    let mut report = Vec::new();
    for definition in read_agent_files(folder)? {
        let applied = agents::apply(database.pool(), &caller, &definition).await?;
        report.push((definition, applied));
    }
    Ok(report)
}

/// Takes the address, before anything slow is begun.
fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen).with_context(|| {
        format!("cannot listen on {listen}; choose another address with server.listen (THREADKEEP__SERVER__LISTEN)")
    })
}

fn serve(
    settings: &Settings,
    process: &Process,
    provider: Provider,
    listener: TcpListener,
    tls: Option<ServerConfig>,
) -> anyhow::Result<(Server, Vec<SocketAddr>)> {
    let (config, process) = (Data::new(settings.server.clone()), process.clone());
    let attempts = Data::new(Attempts::new(settings.auth.failures_per_minute));
    let workers = settings.server.workers;
    let server = HttpServer::new(move || {
        let service = Service::new(process.clone(), Upstream::new(&provider));
        App::new()
            .app_data(ThinData(service))
            .app_data(config.clone())
            .app_data(attempts.clone())
            .app_data(PayloadConfig::new(config.body_bytes_max))
            .app_data(http::path_errors())
            .app_data(http::query_errors())
            .wrap(Condition::new(!config.cors_origins.is_empty(), config.cors()))
            .wrap(Condition::new(config.access_log, from_fn(http::write_access_log)))
            .wrap(from_fn(http::assign_request_id))
            .wrap(config.headers())
            .configure(http::configure)
    });
    let server = if workers == 0 { server } else { server.workers(workers) };
    let server = server
        .client_request_timeout(Duration::from_millis(settings.server.head_timeout_ms))
        .keep_alive(Duration::from_millis(settings.server.keep_alive_ms))
        .max_connections(settings.server.connections_max)
        .tcp_nodelay(true)
        .disable_signals()
        .shutdown_timeout(settings.server.drain_ms.div_ceil(1000));
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}
