//! Typed, validated settings; the only reader of configuration files and the environment.

mod agent_files;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use config::builder::DefaultState;
use config::{Config, ConfigBuilder, Environment, File, FileFormat};
use secrecy::ExposeSecret;
use serde::Deserialize;

pub use agent_files::read as read_agent_files;

use crate::service::auth::Mode;
use crate::{http, postgres, service, simulator, store, upstream};

/// Every section of `config/default.toml`; each layer owns the shape of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server.
    pub server: http::Config,
    /// The database.
    pub database: store::Config,
    /// The embedded Postgres.
    pub postgres: postgres::Config,
    /// The provider.
    pub upstream: upstream::Config,
    /// Where the conversation lives.
    pub conversation: Conversation,
    /// How turns behave.
    pub turns: service::Config,
    /// Who may call.
    pub auth: service::auth::Config,
    /// Agents as files.
    pub agents: Agents,
    /// The simulator.
    pub simulator: simulator::Config,
}

/// Section `conversation`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// The home of a thread's history.
    pub state: ConversationState,
}

/// The home of a thread's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ConversationState {
    /// Postgres only; each call sends the whole history.
    Local,
}

impl TryFrom<String> for ConversationState {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "local" => Ok(Self::Local),
            other => Err(format!("'{other}' is not allowed, only \"local\" is")),
        }
    }
}

/// Section `agents`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// The folder of agent files that is applied at start.
    pub dir: PathBuf,
}

/// The settings as they are shipped, documented key by key.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// OpenAI's own address, used when only a key is set.
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// The customary variables that stand for settings of ours.
const CUSTOMARY: [(&str, &str); 3] = [
    ("DATABASE_URL", "database.url"),
    ("OPENAI_API_KEY", "upstream.api_key"),
    ("OPENAI_BASE_URL", "upstream.base_url"),
];

/// The variables whose values are texts, whatever they look like.
const VERBATIM: [(&str, &str); 3] = [
    ("THREADKEEP__DATABASE__URL", "database.url"),
    ("THREADKEEP__UPSTREAM__API_KEY", "upstream.api_key"),
    ("THREADKEEP__AUTH__JWT__HS256_SECRET", "auth.jwt.hs256_secret"),
];

/// Lists, which a variable gives with commas between their entries.
const LISTS: [&str; 3] = ["auth.jwt.algorithms", "server.cors_origins", "server.trusted_proxies"];

impl Settings {
    /// The defaults with `text` (TOML) over them; neither a file nor the environment is read.
    pub fn from_text(text: &str) -> anyhow::Result<Self> {
        Self::from_sources(defaults().add_source(File::from_str(text, FileFormat::Toml)))
    }

    /// Reads the defaults, then `file`, then the environment; the error names the key and what is allowed.
    pub fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        refuse_misspelt(env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()))?;
        let mut sources = defaults();
        if let Some(file) = file {
            sources = sources.add_source(File::from(file).format(FileFormat::Toml));
        }
        sources = sources.add_source(customary()?);
        let environment = Environment::with_prefix("THREADKEEP").prefix_separator("__").separator("__");
        let environment = LISTS.iter().fold(environment.try_parsing(true).list_separator(","), |environment, key| {
            environment.with_list_parse_key(key)
        });
        Self::from_sources(sources.add_source(environment).add_source(verbatim()?))
    }

    /// Whether the provider's part is played by the simulator: nothing names a provider, and the database is the
    /// embedded one.
    pub fn is_simulated(&self) -> bool {
        self.names_no_provider() && self.database.is_embedded()
    }

    fn from_sources(sources: ConfigBuilder<DefaultState>) -> anyhow::Result<Self> {
        let read = sources.build().context("the settings cannot be read")?;
        let mut settings: Self = serde_path_to_error::deserialize(read).map_err(|error| {
            let path = error.path().to_string();
            anyhow::anyhow!("setting '{path}': {}", error.into_inner())
        })?;
        if !settings.upstream.api_key.expose_secret().is_empty() && settings.upstream.base_url.is_empty() {
            OPENAI_BASE_URL.clone_into(&mut settings.upstream.base_url);
        }
        let named = |folder: &PathBuf| !folder.as_os_str().is_empty();
        settings.postgres.data_dir = settings.postgres.data_dir.filter(named);
        settings.postgres.bin_dir = settings.postgres.bin_dir.filter(named);
        settings.validate()?;
        Ok(settings)
    }

    fn validate(&self) -> anyhow::Result<()> {
        let listen = self.server.listen;
        if self.auth.mode == Mode::Auto && !listen.ip().is_loopback() {
            bail!(
                "server.listen is {listen}, which others can reach, but no credentials are asked for: set auth.mode = \
                 \"keys\" and make a key with `threadkeep keys create`, or listen on 127.0.0.1, or set auth.mode = \
                 \"open\" where something in front authenticates"
            );
        }
        self.server.validate().map_err(anyhow::Error::msg)?;
        self.database.validate().map_err(anyhow::Error::msg)?;
        self.auth.validate().map_err(anyhow::Error::msg)?;
        self.turns.validate().map_err(anyhow::Error::msg)?;
        Ok(())
    }

    fn names_no_provider(&self) -> bool {
        self.upstream.base_url.is_empty() && self.upstream.api_key.expose_secret().is_empty()
    }
}

/// A variable that names a section of ours and yet is no setting would be passed over in silence. Others that begin alike
/// are somebody else's: Kubernetes makes some for every service.
fn refuse_misspelt(names: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let sections: Vec<String> =
        DEFAULTS.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).map(str::to_uppercase).collect();
    let is_misspelt = |name: &String| {
        let Some(rest) = name.strip_prefix("THREADKEEP_") else { return false };
        let key = rest.trim_start_matches('_');
        let names_section =
            sections.iter().any(|section| key.strip_prefix(section).is_some_and(|key| key.starts_with('_')));
        names_section && !(rest.starts_with('_') && key.contains("__"))
    };
    match names.into_iter().find(is_misspelt) {
        Some(name) => {
            bail!("{name} is no setting: two underscores stand between its parts, as in THREADKEEP__SERVER__LISTEN")
        }
        None => Ok(()),
    }
}

fn defaults() -> ConfigBuilder<DefaultState> {
    Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml))
}

fn customary() -> anyhow::Result<Config> {
    variables(&CUSTOMARY)
}

/// Secrets that are digits only must not be read as numbers.
fn verbatim() -> anyhow::Result<Config> {
    variables(&VERBATIM)
}

fn variables(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
    let mut sources = Config::builder();
    for (variable, key) in variables {
        let value = env::var(variable).ok().filter(|value| !value.is_empty());
        sources = sources.set_override_option(key, value)?;
    }
    Ok(sources.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", Settings::from_text(text).unwrap_err())
    }

    #[test]
    fn the_defaults_are_valid_and_simulated() {
        let settings = Settings::from_text("").unwrap();
        assert!(settings.is_simulated());
        assert!(settings.server.listen.ip().is_loopback());
    }

    #[test]
    fn an_unknown_key_stops_the_start_with_its_name_and_the_allowed_ones() {
        let error = refused("[server]\nlisten_on = '127.0.0.1:1'");
        assert!(error.contains("listen_on") && error.contains("`listen`"), "{error}");
    }

    #[test]
    fn a_wrong_value_stops_the_start_with_its_key() {
        let error = refused("[turns]\nlease_ms = 'soon'");
        assert!(error.contains("turns.lease_ms"), "{error}");
        let error = refused("[turns]\nlease_ms = 0");
        assert!(error.contains("turns.lease_ms"), "{error}");
    }

    #[test]
    fn a_wrong_choice_stops_the_start_with_the_allowed_ones() {
        let error = refused("[conversation]\nstate = 'elsewhere'");
        assert!(error.contains("conversation.state") && error.contains("local"), "{error}");
    }

    #[test]
    fn a_key_alone_means_openai_and_never_the_simulator() {
        let settings = Settings::from_text("[upstream]\napi_key = 'sk-test'").unwrap();
        assert!(!settings.is_simulated());
        assert_eq!(settings.upstream.base_url, OPENAI_BASE_URL);
    }

    #[test]
    fn a_given_database_is_never_answered_by_the_simulator() {
        let settings = Settings::from_text("[database]\nurl = 'postgres://localhost/x'").unwrap();
        assert!(!settings.is_simulated());
    }

    #[test]
    fn an_address_that_others_can_reach_needs_a_word() {
        let error = refused("[server]\nlisten = '0.0.0.0:8080'");
        assert!(error.contains("auth.mode"), "{error}");
        assert!(Settings::from_text("[server]\nlisten = '0.0.0.0:8080'\n[auth]\nmode = 'open'").is_ok());
    }

    #[test]
    fn a_variable_that_is_nearly_a_setting_is_no_silence() {
        let refused = |name: &str| refuse_misspelt([name.to_owned()]).is_err();
        for name in ["THREADKEEP_SERVER__LISTEN", "THREADKEEP__SERVER_LISTEN", "THREADKEEP_SERVER_LISTEN"] {
            assert!(refused(name), "{name}");
        }
        for name in ["THREADKEEP__SERVER__LISTEN", "THREADKEEP__AUTH__JWT__ISSUER", "PATH", "THREADKEEP_SERVICE_HOST"] {
            assert!(!refused(name), "{name}");
        }
    }

    #[test]
    fn an_address_by_name_and_a_foreign_database_are_refused_with_the_remedy() {
        let error = refused("[server]\nlisten = 'localhost:8080'");
        assert!(error.contains("server.listen") && error.contains("127.0.0.1:8080"), "{error}");
        let error = refused("[database]\nurl = 'mysql://u:planted@h/d'");
        assert!(error.contains("postgres://") && !error.contains("planted"), "{error}");
    }

    #[test]
    fn secrets_do_not_show_when_settings_are_printed() {
        let text = "[upstream]\napi_key = 'sk-planted'\n[database]\nurl = 'postgres://u:planted@h/d'";
        let shown = format!("{:?}", Settings::from_text(text).unwrap());
        assert!(!shown.contains("planted"), "{shown}");
    }
}
