//! `threadkeep projects create | list | revoke | restore`.

use anyhow::anyhow;
use clap::Subcommand;

use crate::app::{Database, operator};
use crate::cli::table::{pages, row, when};
use crate::domain::Label;
use crate::service::projects;
use crate::settings::Settings;

/// What to do with projects.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a project.
    Create {
        /// Its unique name.
        name: String,
    },
    /// List the projects, newest first.
    List,
    /// Shut a project: no credential opens it any more; its data stays.
    Revoke {
        /// The project's id or name.
        project: String,
    },
    /// Open a project again.
    Restore {
        /// The project's id or name.
        project: String,
    },
}

const WIDTHS: [usize; 4] = [38, 24, 20, 20];

/// Runs the command.
pub async fn run(settings: Settings, command: Command) -> anyhow::Result<()> {
    let database = Database::open(&settings).await?;
    let (pool, caller) = (database.pool(), operator("cli")?);
    match command {
        Command::Create { name } => {
            let name = Label::try_from(name).map_err(|error| anyhow!("the name {error}"))?;
            let project = projects::create(pool, &caller, name).await?;
            println!("{}", project.id);
        }
        Command::List => {
            row(WIDTHS, ["ID", "NAME", "MADE", "REVOKED"]);
            pages(async |page| {
                let piece = projects::list(pool, &page).await?;
                for project in &piece.data {
                    let (made, revoked) = (when(Some(project.created_at)), when(project.revoked_at));
                    row(WIDTHS, [project.id.as_str(), &project.name, &made, &revoked]);
                }
                Ok((piece.data.last().map(|project| project.id.to_string()), piece.has_more))
            })
            .await?;
        }
        Command::Revoke { project } => {
            let project = projects::revoke(pool, &caller, &project, true).await?;
            println!("{} is shut.", project.name);
        }
        Command::Restore { project } => {
            let project = projects::revoke(pool, &caller, &project, false).await?;
            println!("{} is open.", project.name);
        }
    }
    Ok(())
}
