//! `threadkeep postgres run`: the embedded Postgres for another program's sake.

use std::process::{Command as Process, ExitCode};

use anyhow::Context;
use clap::Subcommand;
use secrecy::ExposeSecret;

use crate::postgres::Embedded;
use crate::settings::Settings;

/// What to do with the embedded Postgres.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start it, run a program with `DATABASE_URL` set, stop it again; the program's exit code is answered.
    Run {
        /// The program and its arguments.
        #[arg(last = true, required = true, num_args = 1.., value_name = "PROGRAM")]
        program: Vec<String>,
    },
}

/// Runs the command.
pub fn run(settings: &Settings, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Run { program } = command;
    let (name, arguments) = program.split_first().context("no program is named")?;
    let embedded = Embedded::start(&settings.postgres)?;
    let status = Process::new(name)
        .args(arguments)
        .env("DATABASE_URL", embedded.tcp_url().expose_secret())
        .status()
        .with_context(|| format!("{name} cannot be run"))?;
    embedded.stop();
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
