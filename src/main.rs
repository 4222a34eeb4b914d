//! Reads the command line, starts logging, runs the command.

use std::process::ExitCode;

use clap::Parser;
use threadkeep::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info,actix_server=warn,sqlx=warn"))
        .init();
    match cli.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("threadkeep: {error:#}");
            ExitCode::FAILURE
        }
    }
}
