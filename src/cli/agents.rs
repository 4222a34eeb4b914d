//! `threadkeep agents apply | list | show`.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Subcommand;
use time::format_description::well_known::Rfc3339;

use crate::app::{Database, operator};
use crate::domain::AgentRef;
use crate::service::agents::{self, Agent, Applied};
use crate::settings::{Settings, read_agent_files};

/// What to do with agents.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the database match a file or a folder of files; never deletes an agent.
    Apply {
        /// A TOML file, or a folder of them.
        path: PathBuf,
    },
    /// List the agents.
    List,
    /// Show one agent's current configuration.
    Show {
        /// The agent's id or name.
        agent: String,
    },
}

/// Runs the command.
pub async fn run(settings: Settings, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Apply { path } => apply(&settings, &path).await,
        Command::List => list(&settings).await,
        Command::Show { agent } => show(&settings, agent).await,
    }
}

async fn apply(settings: &Settings, path: &std::path::Path) -> anyhow::Result<()> {
    let definitions = read_agent_files(path)?;
    if definitions.is_empty() {
        bail!("{} holds no *.toml file", path.display());
    }
    let database = Database::open(settings).await?;
    let caller = operator("cli")?;
    for definition in definitions {
        let outcome = match agents::apply(database.pool(), &caller, &definition).await? {
            Applied::Created => "created".to_owned(),
            Applied::Changed(version) => format!("changed, now version {version}"),
            Applied::Unchanged => "unchanged".to_owned(),
        };
        println!("{}: {outcome}", definition.name);
    }
    Ok(())
}

async fn list(settings: &Settings) -> anyhow::Result<()> {
    let database = Database::open(settings).await?;
    let agents = agents::list(database.pool(), &operator("cli")?).await?;
    println!("{:<24} {:<38} {:>7}  MODEL", "NAME", "ID", "VERSION");
    for agent in agents {
        let name = agent.name.as_deref().unwrap_or("-");
        println!("{name:<24} {:<38} {:>7}  {}", agent.id.as_str(), agent.version, agent.config.model);
    }
    Ok(())
}

async fn show(settings: &Settings, agent: String) -> anyhow::Result<()> {
    let agent = AgentRef::try_from(agent).map_err(|error| anyhow!("the agent's id or name {error}"))?;
    let database = Database::open(settings).await?;
    let Some(found) = agents::find(database.pool(), &operator("cli")?, &agent).await? else {
        bail!("there is no agent '{agent}'; `threadkeep agents list` shows those there are");
    };
    print(&found)
}

fn print(agent: &Agent) -> anyhow::Result<()> {
    println!("id         {}", agent.id);
    println!("name       {}", agent.name.as_deref().unwrap_or("-"));
    println!("version    {} of {}", agent.version, agent.changed_at.format(&Rfc3339)?);
    println!("{}", serde_json::to_string_pretty(&agent.config)?);
    Ok(())
}
