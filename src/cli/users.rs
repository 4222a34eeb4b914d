//! `threadkeep users create | list | revoke | restore`.

use anyhow::anyhow;
use clap::Subcommand;

use crate::app::{Database, operator};
use crate::cli::table::{pages, row, when};
use crate::domain::Label;
use crate::service::users;
use crate::settings::Settings;

/// What to do with a project's end users.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a user ahead of their first use.
    Create {
        /// The project's own id of the user.
        user: String,
        /// The project's id or name.
        #[arg(long, default_value = "default")]
        project: String,
    },
    /// List a project's users, newest first.
    List {
        /// The project's id or name.
        #[arg(long, default_value = "default")]
        project: String,
    },
    /// Shut a user out, whatever they show; their data stays.
    Revoke {
        /// The user's id, or the project's own id of the user.
        user: String,
        /// The project's id or name.
        #[arg(long, default_value = "default")]
        project: String,
    },
    /// Let a user in again.
    Restore {
        /// The user's id, or the project's own id of the user.
        user: String,
        /// The project's id or name.
        #[arg(long, default_value = "default")]
        project: String,
    },
}

const WIDTHS: [usize; 4] = [38, 32, 20, 20];

/// Runs the command.
pub async fn run(settings: Settings, command: Command) -> anyhow::Result<()> {
    let database = Database::open(&settings).await?;
    let (pool, caller) = (database.pool(), operator("cli")?);
    match command {
        Command::Create { user, project } => {
            let external_id = Label::try_from(user).map_err(|error| anyhow!("the user's id {error}"))?;
            println!("{}", users::create(pool, &caller, &project, &external_id).await?.id);
        }
        Command::List { project } => {
            row(WIDTHS, ["ID", "EXTERNAL ID", "MADE", "REVOKED"]);
            pages(async |page| {
                let piece = users::list(pool, &project, &page).await?;
                for user in &piece.data {
                    let (made, revoked) = (when(Some(user.created_at)), when(user.revoked_at));
                    row(WIDTHS, [user.id.as_str(), &user.external_id, &made, &revoked]);
                }
                Ok((piece.data.last().map(|user| user.id.to_string()), piece.has_more))
            })
            .await?;
        }
        Command::Revoke { user, project } => {
            let user = users::revoke(pool, &caller, &project, &user, true).await?;
            println!("{} is shut out.", user.external_id);
        }
        Command::Restore { user, project } => {
            let user = users::revoke(pool, &caller, &project, &user, false).await?;
            println!("{} may come in.", user.external_id);
        }
    }
    Ok(())
}
