//! `threadkeep keys create | list | revoke`.

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::{Database, operator};
use crate::cli::table::{pages, row, when};
use crate::domain::{AccessRole, KeyId, Label};
use crate::service::keys::{self, Order};
use crate::settings::Settings;

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key and print it; it is shown this once only.
    Create(Wanted),
    /// List the keys without their secrets, newest first.
    List {
        /// Only this project's, by id or name.
        #[arg(long)]
        project: Option<String>,
    },
    /// Revoke a key for good.
    Revoke {
        /// The key's id (`key_…`), never the key itself.
        key: String,
    },
}

/// The key that is wanted.
#[derive(Debug, Args)]
pub struct Wanted {
    /// What people shall call it.
    name: String,
    /// What it may do: "service" (a trusted backend), "user" (one user), "admin" (everything in the deployment).
    #[arg(long, default_value = "service")]
    role: String,
    /// The project's id or name.
    #[arg(long, default_value = "default")]
    project: String,
    /// The project's own id of the one user, for the role "user".
    #[arg(long)]
    user: Option<String>,
    /// When it shall stop working, such as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

/// Runs the command.
pub async fn run(settings: Settings, command: Command) -> anyhow::Result<()> {
    let database = Database::open(&settings).await?;
    let (pool, caller) = (database.pool(), operator("cli")?);
    match command {
        Command::Create(wanted) => {
            let made = keys::create(pool, &caller, &order(wanted)?).await?;
            eprintln!("{} is made; it is shown this once only:", made.key_id);
            println!("{}", made.secret.expose());
        }
        Command::List { project } => {
            let head = ["ID", "ROLE", "KEY", "NAME", "USER", "LAST USE", "EXPIRES", "REVOKED"];
            row(WIDTHS, head);
            pages(async |page| {
                let piece = keys::list(pool, project.as_deref(), &page).await?;
                piece.data.iter().for_each(print);
                Ok((piece.data.last().map(|key| key.id.to_string()), piece.has_more))
            })
            .await?;
        }
        Command::Revoke { key } => {
            let key_id = KeyId::try_from(key).context("the key's id")?;
            println!("{} is revoked.", keys::revoke(pool, &caller, &key_id).await?);
        }
    }
    Ok(())
}

const WIDTHS: [usize; 8] = [37, 8, 10, 20, 38, 20, 20, 20];

fn print(key: &keys::Key) {
    let (last_use, expires, revoked) = (when(key.last_used_at), when(key.expires_at), when(key.revoked_at));
    let user = key.user_id.as_ref().map_or("-", |user_id| user_id.as_str());
    let prefix = format!("{}…", key.prefix);
    row(WIDTHS, [key.id.as_str(), &key.role, &prefix, &key.name, user, &last_use, &expires, &revoked]);
}

fn order(wanted: Wanted) -> anyhow::Result<Order> {
    let label = |field: &'static str, text: String| Label::try_from(text).map_err(|error| anyhow!("{field} {error}"));
    let end = |text: String| {
        OffsetDateTime::parse(&text, &Rfc3339).context("--expires-at: a time such as 2027-01-31T00:00:00Z is needed")
    };
    Ok(Order {
        project: wanted.project,
        role: AccessRole::try_from(wanted.role).map_err(|reason| anyhow!("--role: {reason}"))?,
        user: wanted.user.map(|user| label("--user", user)).transpose()?,
        name: label("the name", wanted.name)?,
        expires_at: wanted.expires_at.map(end).transpose()?,
    })
}
