//! `threadkeep simulate`.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;

use crate::settings::Settings;
use crate::simulator;

/// What overrides section `simulator` of the settings.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// How long each answer waits before its head, in milliseconds.
    #[arg(long, value_name = "MS")]
    delay_ms: Option<u64>,
    /// How long a stream waits between two deltas, in milliseconds.
    #[arg(long, value_name = "MS")]
    delta_delay_ms: Option<u64>,
    /// The share of calls that fail, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    fault_rate: Option<f64>,
    /// The seed that decides which calls fail, and how.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// Serves the simulator until a signal asks for the end.
pub async fn run(settings: Settings, arguments: Arguments) -> anyhow::Result<()> {
    let config = overridden(&settings.simulator, &arguments);
    let running = simulator::start(&config).with_context(|| format!("cannot listen on {}", config.listen))?;
    println!("Simulated provider; no model answers. OPENAI_BASE_URL={}", running.base_url());
    Ok(running.server.await?)
}

fn overridden(config: &simulator::Config, arguments: &Arguments) -> simulator::Config {
    simulator::Config {
        listen: arguments.listen.unwrap_or(config.listen),
        delay_ms: arguments.delay_ms.unwrap_or(config.delay_ms),
        delta_delay_ms: arguments.delta_delay_ms.unwrap_or(config.delta_delay_ms),
        fault_rate: arguments.fault_rate.unwrap_or(config.fault_rate),
        seed: arguments.seed.unwrap_or(config.seed),
        handle_signals: true,
        ..config.clone()
    }
}
