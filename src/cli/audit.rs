//! `threadkeep audit tail | verify | checkpoint`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use anyhow::{Context, anyhow};
use clap::Subcommand;

use crate::app::Database;
use crate::cli::table::{row, when};
use crate::domain::{PAGE_ENTRIES_MAX, Page};
use crate::service::audit::{self, Head};
use crate::settings::Settings;

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the latest events of a project, the newest last.
    Tail {
        /// The project's id or name.
        #[arg(long, default_value = "default")]
        project: String,
        /// How many.
        #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE_ENTRIES_MAX)))]
        lines: u32,
    },
    /// Look through every event and message: whether any was removed, altered, inserted or moved. Exit code 1 if so.
    Verify {
        /// Checkpoints that were printed earlier; also finds a chain that was made anew as a whole.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Print the end of every chain, to be kept where nobody who can change the database can change it.
    Checkpoint,
}

/// Runs the command.
pub async fn run(settings: Settings, command: Command) -> anyhow::Result<ExitCode> {
    let database = Database::open(&settings).await?;
    let pool = database.pool();
    match command {
        Command::Tail { project, lines } => {
            let page = Page { after: None, limit: lines };
            for event in audit::list(pool, &project, &page).await?.data.into_iter().rev() {
                let (at, who) =
                    (when(Some(event.occurred_at)), event.who.get("actor").and_then(|actor| actor.as_str()));
                let outcome = event.code.as_deref().unwrap_or(&event.outcome);
                let who = who.unwrap_or("-");
                row([20, 40, 16, 40, 16], [&at, who, &event.action, &event.subject_id, outcome]);
            }
        }
        Command::Verify { checkpoint } => {
            let noted = checkpoint.map(|file| read(&file)).transpose()?.unwrap_or_default();
            let mut is_sound = true;
            for chain in audit::verify(pool, &noted).await? {
                println!("{}: {} events, {} faults", chain.project_id, chain.links, chain.faults.len());
                for fault in &chain.faults {
                    println!("  {fault}");
                }
                is_sound &= chain.faults.is_empty();
            }
            return Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Checkpoint => {
            for head in audit::checkpoint(pool).await? {
                println!("{}", audit::line(&head));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &PathBuf) -> anyhow::Result<Vec<Head>> {
    let text: io::Result<String> = fs::read_to_string(file);
    let text = text.with_context(|| format!("{} cannot be read", file.display()))?;
    audit::read_lines(&text).map_err(|reason| anyhow!("{}: {reason}", file.display()))
}
