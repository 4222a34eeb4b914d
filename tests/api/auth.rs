//! Keys: who comes in, as whom, and how soon nobody does.

use std::time::Duration;

use serde_json::{Value, json};
use threadkeep::app::operator;
use threadkeep::domain::AccessRole;
use threadkeep::service::{keys, projects, users};
use time::OffsetDateTime;
use tokio::time::sleep;

use crate::harness::{Answer, App, bearer, label};

fn initialize() -> Value {
    json!({ "agent_id": "sample" })
}

async fn initialized(app: &App, headers: &[(&str, &str)]) -> Answer {
    app.post_with("/openai/initialize", headers, &initialize()).await
}

async fn owner(app: &App, thread: &Value) -> (Option<String>, String) {
    sqlx::query_as(
        "select users.external_id, threads.project_id
         from threads left join users on users.id = threads.user_id where threads.id = $1",
    )
    .bind(thread["thread_id"].as_str())
    .fetch_one(&app.database)
    .await
    .unwrap()
}

#[actix_rt::test]
async fn credentials_that_do_not_work_get_one_indistinguishable_answer() {
    let app = App::with_keys().await;
    let (caller, pool) = (operator("test").unwrap(), &app.database);
    let revoked = app.key_of("default", AccessRole::Service, None).await;
    keys::revoke(pool, &caller, &revoked.key_id).await.unwrap();
    let expired = app.key_of("default", AccessRole::Service, None).await;
    sqlx::query("update api_keys set expires_at = now() where id = $1")
        .bind(expired.key_id.as_str())
        .execute(pool)
        .await
        .unwrap();
    let unknown = format!("tk_{}", "A".repeat(43));
    let credentials = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Basic dXNlcjpwYXNz".to_owned()),
        Some("Bearer sk-something".to_owned()),
        Some(format!("Bearer {}", "x".repeat(10_000))),
        Some(format!("Bearer {unknown}")),
        Some(format!("Bearer {}", revoked.secret.expose())),
        Some(format!("Bearer {}", expired.secret.expose())),
    ];
    let mut bodies = Vec::new();
    for credential in &credentials {
        let headers: Vec<(&str, &str)> = credential.iter().map(|text| ("authorization", text.as_str())).collect();
        let answer = initialized(&app, &headers).await;
        answer.expect_error(401, "unauthenticated");
        assert_eq!(answer.headers.get("www-authenticate").unwrap(), "Bearer realm=\"threadkeep\"");
        bodies.push(answer.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(app.count("threads").await, 0);
}

#[actix_rt::test]
async fn a_key_given_twice_is_no_key() {
    let app = App::with_keys().await;
    let (name, value) = bearer(&app.key(AccessRole::Service, None).await);
    initialized(&app, &[(name, &value)]).await.expect(200);
    initialized(&app, &[(name, &value), (name, &value)]).await.expect_error(401, "unauthenticated");
}

#[actix_rt::test]
async fn a_service_acts_for_its_project_or_for_a_user_who_appears_on_first_use() {
    let app = App::with_keys().await;
    let (name, value) = bearer(&app.key(AccessRole::Service, None).await);
    let own = initialized(&app, &[(name, &value)]).await.expect(200);
    assert_eq!(owner(&app, &own).await, (None, "proj_default".into()));
    for _ in 0..2 {
        let theirs = initialized(&app, &[(name, &value), ("threadkeep-user", "Zoë")]).await.expect(200);
        assert_eq!(owner(&app, &theirs).await, (Some("Zoë".into()), "proj_default".into()));
    }
    assert_eq!(app.count("users").await, 1);
    assert_eq!(app.count("audit_events where action = 'user.created' and who ->> 'actor' like 'key:key\\_%'").await, 1);
}

#[actix_rt::test]
async fn a_user_sees_their_own_threads_only() {
    let app = App::with_keys().await;
    let (ann, bob) = (app.key(AccessRole::User, Some("ann")).await, app.key(AccessRole::User, Some("bob")).await);
    let (service, elsewhere) = (app.key(AccessRole::Service, None).await, app.project("elsewhere").await);
    let foreign = app.key_of(elsewhere.as_str(), AccessRole::Service, None).await;
    let (name, value) = bearer(&ann);
    let thread = initialized(&app, &[(name, &value)]).await.expect(200)["thread_id"].as_str().unwrap().to_owned();
    let body = json!({ "agent_id": "sample", "thread_id": thread, "user_input": "Hi" });
    let ask = async |key: &str, user: Option<&str>| {
        let (name, value) = bearer(key);
        let mut headers = vec![(name, value.as_str())];
        headers.extend(user.map(|user| ("threadkeep-user", user)));
        app.post_with("/openai/chat", &headers, &body).await
    };
    ask(&ann, None).await.expect(200);
    ask(&service, None).await.expect(200);
    ask(&service, Some("ann")).await.expect(200);
    ask(&bob, None).await.expect_error(400, "thread_not_found");
    ask(&service, Some("bob")).await.expect_error(400, "thread_not_found");
    ask(foreign.secret.expose(), None).await.expect_error(400, "thread_not_found");
    assert_eq!(app.count("messages").await, 6);
    let runs = "runs join users on users.id = runs.user_id join api_keys on api_keys.id = runs.key_id";
    assert_eq!(app.count(runs).await, 3, "each run says for whom and by which key");
}

#[actix_rt::test]
async fn an_odd_user_header_is_refused_and_a_users_own_key_takes_none() {
    let app = App::with_keys().await;
    let (name, value) = bearer(&app.key(AccessRole::Service, None).await);
    let long = "u".repeat(257);
    for user in ["", " ", &long, "a\tb"] {
        let answer = initialized(&app, &[(name, &value), ("threadkeep-user", user)]).await;
        assert!(answer.expect_error(400, "invalid_user_header").starts_with("Threadkeep-User: "), "{user:?}");
    }
    let twice = [(name, value.as_str()), ("threadkeep-user", "a"), ("threadkeep-user", "b")];
    initialized(&app, &twice).await.expect_error(400, "invalid_user_header");
    let (name, value) = bearer(&app.key(AccessRole::User, Some("ann")).await);
    for user in ["ann", "bob"] {
        let answer = initialized(&app, &[(name, &value), ("threadkeep-user", user)]).await;
        answer.expect_error(400, "invalid_user_header");
    }
    assert_eq!(app.count("threads").await, 0);
}

#[actix_rt::test]
async fn what_is_revoked_stops_working_on_every_replica_within_the_stated_time() {
    let (one, other) = App::two_with_keys("").await;
    let (caller, pool) = (operator("test").unwrap(), &one.database);
    let key = one.key_of("default", AccessRole::Service, None).await;
    let (name, value) = bearer(key.secret.expose());
    let works = async |app: &App, user: Option<&str>| {
        let mut headers = vec![(name, value.as_str())];
        headers.extend(user.map(|user| ("threadkeep-user", user)));
        initialized(app, &headers).await.status == 200
    };
    for app in [&one, &other] {
        assert!(works(app, None).await && works(app, Some("ann")).await);
    }
    let steps = [true, false];
    for is_revoked in steps {
        users::revoke(pool, &caller, "default", "ann", is_revoked).await.unwrap();
        sleep(Duration::from_millis(250)).await;
        for app in [&one, &other] {
            assert_eq!(works(app, Some("ann")).await, !is_revoked);
            assert!(works(app, None).await);
        }
    }
    for is_revoked in steps {
        projects::revoke(pool, &caller, "default", is_revoked).await.unwrap();
        sleep(Duration::from_millis(250)).await;
        assert_eq!((works(&one, None).await, works(&other, None).await), (!is_revoked, !is_revoked));
    }
    keys::revoke(pool, &caller, &key.key_id).await.unwrap();
    sleep(Duration::from_millis(250)).await;
    assert!(!works(&one, None).await && !works(&other, None).await);
}

#[actix_rt::test]
async fn a_key_ends_at_its_time_and_its_use_is_noted() {
    let app = App::with_keys().await;
    let order = keys::Order {
        project: "default".into(),
        role: AccessRole::Service,
        user: None,
        name: label("short"),
        expires_at: Some(OffsetDateTime::now_utc() + Duration::from_secs(1)),
    };
    let made = keys::create(&app.database, &operator("test").unwrap(), &order).await.unwrap();
    let (name, value) = bearer(made.secret.expose());
    initialized(&app, &[(name, &value)]).await.expect(200);
    assert_eq!(app.count("api_keys where last_used_at is not null").await, 1);
    sleep(Duration::from_millis(1300)).await;
    initialized(&app, &[(name, &value)]).await.expect_error(401, "unauthenticated");
}

#[actix_rt::test]
async fn a_user_cannot_delete_what_the_project_shares() {
    let app = App::with_keys().await;
    let (name, value) = bearer(&app.key(AccessRole::User, Some("ann")).await);
    let answer = app.post_with("/openai/delete_agent", &[(name, &value)], &initialize()).await;
    answer.expect_error(400, "forbidden");
    assert_eq!(app.count("agents where deleted_at is null").await, 1);
    let (name, value) = bearer(&app.key(AccessRole::Service, None).await);
    app.post_with("/openai/delete_agent", &[(name, &value)], &initialize()).await.expect(200);
}

#[actix_rt::test]
async fn open_routes_ask_for_nothing() {
    let app = App::with_keys().await;
    app.get("/healthz").await.expect(200);
    app.get("/readyz").await.expect(200);
    app.get("/openai/get_models").await.expect_error(401, "unauthenticated");
    let (name, value) = bearer(&app.key(AccessRole::Service, None).await);
    app.get_with("/openai/get_models", &[(name, &value)]).await.expect(200);
}
