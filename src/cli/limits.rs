//! `threadkeep limits set | list | clear`.

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::app::{Database, operator};
use crate::cli::table::row;
use crate::domain::{KeyId, Limits};
use crate::service::limits::{self, Limited, Subject};
use crate::settings::Settings;

/// What to do with limits.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set limits in place of those there are.
    Set {
        /// The project's id or name.
        #[arg(long, default_value = "default")]
        project: String,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        numbers: Numbers,
    },
    /// Lift all limits of one subject.
    Clear {
        /// The project's id or name.
        #[arg(long, default_value = "default")]
        project: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// List the limits of a project and of its users and keys.
    List {
        /// The project's id or name.
        #[arg(long, default_value = "default")]
        project: String,
    },
}

/// Whose limits; without any of these, the whole project's.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Whose {
    /// One user's, by id or by the project's own id.
    #[arg(long)]
    user: Option<String>,
    /// Every user's, each for itself.
    #[arg(long)]
    each_user: bool,
    /// One key's, by its id.
    #[arg(long)]
    key: Option<String>,
    /// Every key's, each for itself.
    #[arg(long)]
    each_key: bool,
}

/// The limits; what is not named is not limited.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Numbers {
    /// Turns that begin within any 60 seconds.
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,
    /// Turns that run at the same time.
    #[arg(long, value_name = "N")]
    turns_concurrent: Option<u32>,
    /// Tokens of a day (UTC).
    #[arg(long, value_name = "N")]
    tokens_per_day: Option<u64>,
    /// Tokens of a month (UTC).
    #[arg(long, value_name = "N")]
    tokens_per_month: Option<u64>,
}

/// Runs the command.
pub async fn run(settings: Settings, command: Command) -> anyhow::Result<()> {
    let database = Database::open(&settings).await?;
    let (pool, caller) = (database.pool(), operator("cli")?);
    let limited = match command {
        Command::Set { project, whose, numbers } => {
            vec![limits::set(pool, &caller, &project, &whose.subject()?, &numbers.limits()).await?]
        }
        Command::Clear { project, whose } => {
            limits::set(pool, &caller, &project, &whose.subject()?, &Limits::default()).await?;
            limits::list(pool, &project).await?
        }
        Command::List { project } => limits::list(pool, &project).await?,
    };
    let widths = [38, 15, 11, 14, 16];
    row(widths, ["OF", "REQUESTS/MINUTE", "TURNS", "TOKENS/DAY", "TOKENS/MONTH"]);
    limited.iter().map(cells).for_each(|cells| row(widths, cells.each_ref().map(String::as_str)));
    Ok(())
}

fn cells(limited: &Limited) -> [String; 5] {
    let Limits { requests_per_minute, turns_concurrent, tokens_per_day, tokens_per_month } = limited.limits;
    let shown = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
    [
        limited.subject.clone(),
        shown(requests_per_minute.map(u64::from)),
        shown(turns_concurrent.map(u64::from)),
        shown(tokens_per_day),
        shown(tokens_per_month),
    ]
}

impl Whose {
    fn subject(self) -> anyhow::Result<Subject> {
        Ok(match self {
            Self { user: Some(user), .. } => Subject::User(user),
            Self { key: Some(key), .. } => Subject::Key(KeyId::try_from(key).context("--key")?),
            Self { each_user: true, .. } => Subject::EachUser,
            Self { each_key: true, .. } => Subject::EachKey,
            Self { .. } => Subject::Project,
        })
    }
}

impl Numbers {
    const fn limits(&self) -> Limits {
        Limits {
            requests_per_minute: self.requests_per_minute,
            turns_concurrent: self.turns_concurrent,
            tokens_per_day: self.tokens_per_day,
            tokens_per_month: self.tokens_per_month,
        }
    }
}
