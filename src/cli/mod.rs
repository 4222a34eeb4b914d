//! The command line, one file per command.

mod agents;
mod audit;
mod health;
mod keys;
mod limits;
mod migrate;
mod postgres;
mod projects;
mod serve;
mod simulate;
mod table;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// A home of your own for agents and their threads.
///
/// Without a command, `serve` runs. Without settings, it starts a private Postgres, answers from a simulator, and
/// listens on this machine only.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// A settings file (TOML) over the defaults; the environment overrides it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the routes until SIGTERM or Ctrl-C.
    Serve,
    /// Bring the database's schema up to date.
    Migrate,
    /// Serve a simulated provider: OpenAI's wire, made-up answers, faults on demand.
    Simulate(simulate::Arguments),
    /// Agents as files.
    #[command(subcommand)]
    Agents(agents::Command),
    /// Projects, which own everything.
    #[command(subcommand)]
    Projects(projects::Command),
    /// A project's end users.
    #[command(subcommand)]
    Users(users::Command),
    /// API keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// The audit, and whether it is what was written.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Limits of projects, users and keys.
    #[command(subcommand)]
    Limits(limits::Command),
    /// The embedded Postgres.
    #[command(subcommand)]
    Postgres(postgres::Command),
    /// Ask a running server whether it is alive; for container health checks.
    Health,
    /// Print every setting with its default and what it means.
    Settings,
}

impl Cli {
    /// Runs the command; the code is the process's own.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(Command::Settings) = self.command {
            print!("{}", crate::settings::DEFAULTS);
            return Ok(ExitCode::SUCCESS);
        }
        let settings = Settings::read(self.config.as_deref())?;
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => in_system(serve::run(settings)),
            Command::Migrate => in_system(migrate::run(settings)),
            Command::Simulate(arguments) => in_system(simulate::run(settings, arguments)),
            Command::Agents(command) => in_system(agents::run(settings, command)),
            Command::Projects(command) => in_system(projects::run(settings, command)),
            Command::Users(command) => in_system(users::run(settings, command)),
            Command::Keys(command) => in_system(keys::run(settings, command)),
            Command::Audit(command) => return actix_rt::System::new().block_on(audit::run(settings, command)),
            Command::Limits(command) => in_system(limits::run(settings, command)),
            Command::Postgres(command) => return postgres::run(&settings, command),
            Command::Health => health::run(&settings),
            Command::Settings => Ok(()),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn in_system(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    actix_rt::System::new().block_on(command)
}
