//! The rules of the house that no lint knows: here who may use whom and where SQL, HTTP and the
//! environment are touched, in `form` how files look. Each test first proves its rule on an example.
#![cfg(test)]

use source::{Source, catches, catches_in, holds, house, words};

#[path = "tidy/form.rs"]
mod form;
#[path = "tidy/source.rs"]
mod source;

/// A top-level module and the modules it may use; `lib.rs` only lists them.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["app", "settings", "service", "store", "upstream", "postgres", "simulator", "domain"]),
    ("app", &["settings", "http", "service", "store", "upstream", "postgres", "simulator", "domain"]),
    ("settings", &["http", "service", "store", "upstream", "postgres", "simulator", "domain"]),
    ("http", &["service", "domain"]),
    ("service", &["store", "upstream", "domain"]),
    ("store", &["domain"]),
    ("upstream", &["domain"]),
    ("domain", &[]),
    ("postgres", &[]),
    ("simulator", &[]),
];

#[test]
fn layers_use_only_what_the_table_allows() {
    let group = "\nuse crate::{domain::{Id, page}, store::{\n a}, upstream};";
    catches(arrows, "src/store/runs.rs", group, &[3]);
    catches(arrows, "src/http.rs", "// crate::store\n\nlet x = super::store::y();", &[3]);
    catches(arrows, "src/main.rs", "use threadkeep::{cli, domain};", &[1]);
    catches(arrows, "src/metrics/mod.rs", "", &[1]);
    catches(arrows, "src/service/chat.rs", "use crate::{store, upstream, domain};", &[]);
    holds(arrows);
}

fn arrows(files: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in house(files) {
        let Some(layer) = file.layer().filter(|layer| *layer != "lib") else {
            continue;
        };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            broken.push(file.broken(0, "give this module a place in the table of layers"));
            continue;
        };
        let used = ["crate", "super", "threadkeep"].into_iter().flat_map(|root| file.names_after(root));
        for (at, name) in used {
            let is_layer = LAYERS.iter().any(|(layer, _)| *layer == name);
            if is_layer && name != layer && !allowed.contains(&name) {
                let remedy =
                    format!("`{layer}` may use {allowed:?} only; move what needs `{name}` to a layer that may use it");
                broken.push(file.broken(at, &remedy));
            }
        }
    }
    broken
}

#[test]
fn the_library_root_only_lists_modules() {
    let root = "//! The map.\n\npub mod app;\nmod cli;\npub use app::run;";
    catches(root_lists_modules, "src/lib.rs", root, &[4, 5]);
    holds(root_lists_modules);
}

fn root_lists_modules(files: &[Source]) -> Vec<String> {
    let root = files.iter().filter(|file| file.path == "src/lib.rs");
    root.flat_map(|file| {
        file.broken_lines("keep only `pub mod name;` here", |line| {
            !(line.is_empty() || line.starts_with("pub mod ") && line.ends_with(';'))
        })
    })
    .collect()
}

#[test]
fn sql_is_written_in_the_store_only() {
    catches(sql, "src/app.rs", "\nuse sqlx::{PgPool, query_as};", &[2]);
    catches(sql, "src/cli/x.rs", "sqlx::query!(\"select 1\")", &[1]);
    catches(sql, "src/store/x.rs", "sqlx::query!(\"select 1\")", &[]);
    holds(sql);
}

fn sql(files: &[Source]) -> Vec<String> {
    names_outside(files, &["store"], "sqlx", "move the statement into src/store", |name| {
        name.starts_with("query") || ["raw_sql", "Executor", "QueryBuilder"].contains(&name)
    })
}

/// What belongs to a project, and the statements that name none of it from outside, with their reasons.
const OWNED: &[&str] = &[
    "agents",
    "agent_versions",
    "users",
    "threads",
    "messages",
    "runs",
    "api_keys",
    "idempotency_keys",
    "limits",
    "turn_tickets",
    "token_usage",
];
const UNBOUND: &[(&str, &str)] = &[
    ("src/store/turns/leave_line.sql", "a replica's own tickets"),
    ("src/store/replicas/beat.sql", "a replica's own leases"),
    ("src/store/replicas/watch.sql", "a replica's own runs and waiters"),
    ("src/store/replicas.rs", "a replica's own leases"),
];

#[test]
fn every_statement_on_what_projects_own_names_the_project() {
    catches(unbound, "src/store/x.sql", "select 1\nfrom threads where id = $1", &[2]);
    catches(unbound, "src/store/x.rs", "query!(\n\"update runs set x\")", &[2]);
    catches(unbound, "src/store/x.rs", "query!(\"select 1 from runs where project_id = $1\")", &[]);
    catches(unbound, "src/store/x.sql", "select 1 from projects", &[]);
    holds(unbound);
}

fn unbound(files: &[Source]) -> Vec<String> {
    let is_exempt = |path: &str| UNBOUND.iter().any(|(exempt, _)| *exempt == path);
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("src/store/") && !is_exempt(&file.path)) {
        let mut at = 0;
        let is_sql = file.extension() == "sql";
        let pieces: Vec<&str> = if is_sql { vec![&file.text] } else { file.text.split("query").collect() };
        for piece in pieces {
            let owned = OWNED.iter().find_map(|table| {
                let verbs = ["from", "join", "update", "into"];
                verbs.iter().find_map(|verb| words(piece, &format!("{verb} {table}")).next())
            });
            if let Some(offset) = owned.filter(|_| !piece.contains("project_id")) {
                let line = file.text[..at + offset].matches('\n').count() + 1;
                broken.push(format!("{}:{line}: bind this statement to the caller's project", file.path));
            }
            at += piece.len() + "query".len();
        }
    }
    broken
}

fn names_outside(
    files: &[Source],
    layers: &[&str],
    root: &str,
    remedy: &str,
    is_meant: fn(&str) -> bool,
) -> Vec<String> {
    let outside = house(files).filter(|file| file.is_outside(layers));
    outside
        .flat_map(|file| {
            let names = file.names_after(root).into_iter().filter(|(_, name)| is_meant(name));
            names.map(|(at, _)| file.broken(at, remedy)).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_environment_is_read_by_the_settings_and_the_launcher_only() {
    catches(environment, "src/cli/serve.rs", "std::env::var(\"X\")", &[1]);
    catches(environment, "src/app.rs", "use std::env::{args, var_os};", &[1]);
    catches_in(environment, &[("src/settings.rs", "env::var(\"X\")"), ("src/app.rs", "env::args()")], &[]);
    holds(environment);
}

fn environment(files: &[Source]) -> Vec<String> {
    names_outside(files, &["settings", "postgres"], "env", "make it a setting", |name| {
        ["var", "var_os", "vars", "vars_os"].contains(&name)
    })
}

#[test]
fn outbound_http_lives_in_the_upstream_and_is_built_by_its_client_only() {
    catches(outbound, "src/cli/health.rs", "\nuse awc;", &[2]);
    let built = "use awc::Client;\nlet client = Client::builder();";
    catches(outbound, "src/upstream/responses.rs", built, &[2]);
    let connector = "let connector = awc::Connector::new();";
    catches(outbound, "src/upstream/mod.rs", connector, &[1]);
    catches(outbound, "src/upstream/client.rs", built, &[]);
    holds(outbound);
}

fn outbound(files: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in house(files).filter(|file| file.path != "src/upstream/client.rs") {
        if file.is_outside(&["upstream"]) {
            let uses = words(&file.code, "awc");
            broken.extend(uses.map(|at| file.broken(at, "move outbound HTTP into src/upstream")));
            continue;
        }
        let knows_client = file.names_after("awc").iter().any(|(_, name)| *name == "Client");
        let builders =
            file.names_after("awc").into_iter().filter(|(_, name)| ["ClientBuilder", "Connector"].contains(name));
        let calls = file
            .names_after("Client")
            .into_iter()
            .filter(|(_, name)| knows_client && ["builder", "default", "new"].contains(name));
        broken.extend(
            builders.chain(calls).map(|(at, _)| file.broken(at, "take the client that src/upstream/client.rs builds")),
        );
    }
    broken
}
