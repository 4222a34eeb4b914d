//! A database that an earlier version made: all that it holds stays, in the default project.

use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use threadkeep::domain::AccessRole;
use threadkeep::store::schema;

use crate::harness::{App, KEYS, Provider, bearer, fresh_database};

/// The last migration of the version without users, keys and lines.
const BEFORE_USERS: i64 = 5;

/// What that version wrote in one turn.
const A_TURN: &str = "
    begin;
    insert into agents (id, project_id, name, version) values ('asst_old', 'proj_default', 'old', 1);
    insert into agent_versions (agent_id, version, project_id, model) values ('asst_old', 1, 'proj_default', 'simulated-1');
    commit;
    insert into threads (id, project_id, agent_id, last_position) values ('thread_old', 'proj_default', 'asst_old', 2);
    insert into runs (id, project_id, thread_id, agent_id, agent_version, status, started_at, finished_at)
    values ('run_old', 'proj_default', 'thread_old', 'asst_old', 1, 'completed', now(), now());
    insert into messages (id, project_id, thread_id, position, role, content, run_id)
    values ('msg_1', 'proj_default', 'thread_old', 1, 'user',
            '[{\"type\": \"text\", \"text\": {\"value\": \"Hi\", \"annotations\": []}}]', 'run_old'),
           ('msg_2', 'proj_default', 'thread_old', 2, 'assistant',
            '[{\"type\": \"text\", \"text\": {\"value\": \"Hello\", \"annotations\": []}}]', 'run_old');
    insert into audit_events (project_id, actor, action, subject_id, thread_id, run_id, outcome)
    values ('proj_default', 'open', 'turn.closed', 'run_old', 'thread_old', 'run_old', 'ok')";

#[actix_rt::test]
async fn a_database_of_the_first_version_goes_on_in_the_default_project() {
    let url = fresh_database().await;
    let pool = PgPool::connect(url.expose_secret()).await.unwrap();
    sqlx::raw_sql("drop schema public cascade; drop schema inspect cascade; create schema public")
        .execute(&pool)
        .await
        .unwrap();
    let all = Migrator::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))).await.unwrap();
    let old = all.iter().filter(|migration| migration.version <= BEFORE_USERS).cloned().collect();
    Migrator::with_migrations(old).run(&pool).await.unwrap();
    sqlx::raw_sql(A_TURN).execute(&pool).await.unwrap();
    assert!(matches!(schema::state(&pool).await.unwrap(), schema::State::Behind { .. }));
    schema::migrate(&pool).await.unwrap();
    let app = App::on(&url, &Provider::start().base_url, KEYS).await;
    for (table, rows) in [("messages", 2), ("runs", 1), ("audit_events where run_id = 'run_old'", 1)] {
        assert_eq!(app.count(table).await, rows, "{table}");
    }
    let (name, value) = bearer(&app.key(AccessRole::Service, None).await);
    let body = json!({ "agent_id": "old", "thread_id": "thread_old", "user_input": "And now?" });
    app.post_with("/openai/chat", &[(name, &value)], &body).await.expect(200);
    assert_eq!(app.count("messages where thread_id = 'thread_old'").await, 4);
    let (name, value) = bearer(&app.key(AccessRole::User, Some("ann")).await);
    app.post_with("/openai/chat", &[(name, &value)], &body).await.expect_error(400, "thread_not_found");
}
