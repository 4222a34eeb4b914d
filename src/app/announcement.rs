//! The start-up text: where everything is, who answers, and lines to try.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::app::Database;
use crate::service::agents::{Applied, Definition};
use crate::service::auth::Mode;
use crate::settings::Settings;

/// What to print once the server is bound.
pub fn text(
    settings: &Settings,
    simulated: bool,
    database: &Database,
    addresses: &[SocketAddr],
    agents: &[(Definition, Applied)],
) -> String {
    let scheme = if settings.server.speaks_tls() { "https" } else { "http" };
    let base = addresses.first().map(|address| format!("{scheme}://{address}")).unwrap_or_default();
    let reach =
        if settings.server.listen.ip().is_loopback() { "this machine only" } else { "everyone who can reach it" };
    let credentials = match settings.auth.mode {
        Mode::Auto | Mode::Open => "no credentials are asked for",
        Mode::Keys => "callers show a key: threadkeep keys create",
        Mode::Jwt => "callers show a token of your issuer",
        Mode::KeysAndJwt => "callers show a key or a token of your issuer",
    };
    let mut text = format!("\nThreadkeep listens on {base} (open to {reach}; {credentials})\n\n");
    line(&mut text, "answers", &answers(settings, simulated));
    for (definition, applied) in agents {
        line(&mut text, "agent", &format!("{} ({})", definition.name, outcome(*applied)));
    }
    if let Some(embedded) = database.embedded() {
        let how = if embedded.joined() { ", joined: another threadkeep started it" } else { "" };
        let version = embedded.version();
        line(&mut text, "data", &format!("{} (PostgreSQL {version}{how})", embedded.data_dir().display()));
        line(&mut text, "psql", &embedded.psql_line());
    }
    let agent = agents.first().map_or("<agent id or name>", |(definition, _)| definition.name.as_str());
    text.push_str(&examples(&base, agent, settings.auth.mode.is_open()));
    text
}

fn answers(settings: &Settings, simulated: bool) -> String {
    if simulated {
        "from the built-in simulator, which is no model; set OPENAI_API_KEY or OPENAI_BASE_URL for a real one".into()
    } else {
        format!("from {}", settings.upstream.base_url)
    }
}

const fn outcome(applied: Applied) -> &'static str {
    match applied {
        Applied::Created => "created",
        Applied::Changed(_) => "new version",
        Applied::Unchanged => "unchanged",
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "  {label:<9}{value}");
}

fn examples(base: &str, agent: &str, is_open: bool) -> String {
    let credential = if is_open { "" } else { " -H \"authorization: Bearer $KEY\"" };
    format!(
        r#"
Try it:

  curl -s {base}/openai/get_models{credential}
  curl -s {base}/openai/initialize{credential} -H 'content-type: application/json' -d '{{"agent_id": "{agent}"}}'

and with the thread_id that this answers:

  curl -s {base}/openai/chat{credential} -H 'content-type: application/json' \
    -d '{{"agent_id": "{agent}", "thread_id": "thread_…", "user_input": "Hello!"}}'

"#
    )
}
