//! Every route against every kind of credential that must not open it; the routes are read from the URL map itself, so
//! that a new one without an entry here fails.

use serde_json::{Value, json};
use threadkeep::app::operator;
use threadkeep::domain::AccessRole;
use threadkeep::service::keys;

use crate::harness::{Answer, App};

/// The URL map.
const ROUTES: &str = include_str!("../../src/http/routes.rs");

/// Routes that everybody may ask.
const OPEN: &[&str] = &["GET /healthz", "HEAD /healthz", "GET /readyz", "HEAD /readyz"];

/// Routes that need a credential and take no id.
const WITHOUT_IDS: &[&str] = &["GET /openai/get_models"];

/// Routes that take ids of a thread and an agent, and how they are asked.
const WITH_IDS: &[(&str, BodyOf)] = &[
    ("POST /openai/initialize", |_, agent| json!({ "agent_id": agent })),
    ("POST /openai/chat", |thread, agent| json!({ "thread_id": thread, "agent_id": agent, "user_input": "Hi" })),
    ("POST /openai/cancel", |thread, _| json!({ "thread_id": thread })),
    ("POST /openai/delete_agent", |_, agent| json!({ "agent_id": agent })),
];

/// The body that asks about a thread and an agent.
type BodyOf = fn(thread: &str, agent: &str) -> Value;

/// Ids that nothing has.
const NO_THREAD: &str = "thread_019f0000000070008000000000000000";
const NO_AGENT: &str = "asst_019f0000000070008000000000000000";

/// Somebody's thread and private agent, and everybody else's credentials.
struct World {
    app: App,
    thread: String,
    agent: String,
    /// Credentials that are nobody's (any more).
    dead: Vec<Headers>,
    /// Credentials of others.
    foreign: Vec<Headers>,
    /// Credentials without the right to administer.
    narrow: Vec<Headers>,
}

type Headers = Vec<(&'static str, String)>;

impl World {
    async fn new() -> Self {
        let app = App::with_keys().await;
        let ann = app.key(AccessRole::User, Some("ann")).await;
        let elsewhere = app.project("elsewhere").await;
        let agent = private_agent(&app).await;
        let body = json!({ "agent_id": agent });
        let thread = ask(&app, "POST /openai/initialize", &shown(&ann), &body).await.expect(200);
        let thread = thread["thread_id"].as_str().unwrap().to_owned();
        let service = app.key(AccessRole::Service, None).await;
        let bob = app.key(AccessRole::User, Some("bob")).await;
        let mut for_bob = shown(&service);
        for_bob.push(("threadkeep-user", "bob".to_owned()));
        let backend = app.key_of(elsewhere.as_str(), AccessRole::Service, None).await;
        let their_ann = app.key_of(elsewhere.as_str(), AccessRole::User, Some("ann")).await;
        let foreign =
            vec![shown(&bob), for_bob.clone(), shown(backend.secret.expose()), shown(their_ann.secret.expose())];
        let narrow = vec![shown(&ann), shown(&service), for_bob];
        let dead = dead(&app).await;
        Self { app, thread, agent, dead, foreign, narrow }
    }
}

#[actix_rt::test]
async fn every_route_is_known_here() {
    let routes = routes();
    assert!(routes.len() >= 30, "{routes:?}");
    let unknown: Vec<&String> = routes.iter().filter(|route| !is_known(route)).collect();
    assert!(unknown.is_empty(), "give these routes an entry, so that wrong credentials are tried on them: {unknown:?}");
    let known = WITHOUT_IDS.iter().chain(WITH_IDS.iter().map(|(route, _)| route)).chain(OPEN);
    known.for_each(|route| assert!(routes.iter().any(|there| there == route), "{route} is gone"));
}

#[actix_rt::test]
async fn a_dead_credential_opens_no_route_and_every_one_is_answered_alike() {
    let world = World::new().await;
    let mut bodies = Vec::new();
    for route in routes().iter().filter(|route| !OPEN.contains(&route.as_str())) {
        for headers in &world.dead {
            let answer = ask(&world.app, route, headers, &body(route, &world.thread, &world.agent)).await;
            answer.expect_error(401, "unauthenticated");
            bodies.push(answer.body);
        }
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
}

#[actix_rt::test]
async fn somebody_elses_object_is_one_that_does_not_exist() {
    let world = World::new().await;
    for (route, body) in WITH_IDS {
        for headers in &world.foreign {
            let foreign = ask(&world.app, route, headers, &body(&world.thread, &world.agent)).await;
            let missing = ask(&world.app, route, headers, &body(NO_THREAD, NO_AGENT)).await;
            let expected = text(&missing).replace(NO_THREAD, &world.thread).replace(NO_AGENT, &world.agent);
            assert!(foreign.status == 400 || foreign.status == 404, "{route} {headers:?} {}", text(&foreign));
            assert_eq!((foreign.status, text(&foreign)), (missing.status, expected), "{route} {headers:?}");
        }
    }
    assert_eq!(world.app.count("threads").await, 1);
    assert_eq!(world.app.count("messages").await, 0);
    assert_eq!(world.app.count("agents where user_id is not null and deleted_at is null").await, 1);
}

#[actix_rt::test]
async fn only_an_administrator_opens_the_administrators_routes() {
    let world = World::new().await;
    for route in routes().iter().filter(|route| is_admins(route)) {
        for headers in world.narrow.iter().chain(&world.foreign) {
            let answer = ask(&world.app, route, headers, &body(route, &world.thread, &world.agent)).await;
            answer.expect_error(403, "forbidden");
        }
    }
}

/// Every method and path of the URL map, with the places of ids as they stand there.
fn routes() -> Vec<String> {
    let mut routes = Vec::new();
    let mut path = "";
    for line in ROUTES.lines() {
        path = line.split_once("(\"/").and_then(|(_, rest)| rest.split('"').next()).unwrap_or(path);
        for method in ["get", "head", "post", "put", "patch", "delete"] {
            if line.contains(&format!("{method}().to(")) {
                routes.push(format!("{} /{path}", method.to_uppercase()));
            }
        }
    }
    routes
}

fn is_known(route: &str) -> bool {
    let listed = WITH_IDS.iter().any(|(known, _)| *known == route);
    listed || OPEN.contains(&route) || WITHOUT_IDS.contains(&route) || is_admins(route)
}

fn is_admins(route: &str) -> bool {
    route.split(' ').nth(1).is_some_and(|path| path.starts_with("/admin"))
}

fn body(route: &str, thread: &str, agent: &str) -> Value {
    WITH_IDS.iter().find(|(known, _)| *known == route).map_or_else(|| json!({}), |(_, body)| body(thread, agent))
}

async fn ask(app: &App, route: &str, headers: &Headers, body: &Value) -> Answer {
    let (method, path) = route.split_once(' ').unwrap();
    let path = path.replace("{project}", "default").replace(['{', '}'], "");
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    app.ask_with(method, &path, &headers, body).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn shown(key: &str) -> Headers {
    vec![("authorization", format!("Bearer {key}"))]
}

async fn dead(app: &App) -> Vec<Headers> {
    let revoked = app.key_of("default", AccessRole::Admin, None).await;
    keys::revoke(&app.database, &operator("test").unwrap(), &revoked.key_id).await.unwrap();
    let expired = app.key_of("default", AccessRole::Admin, None).await;
    let expire = sqlx::query("update api_keys set expires_at = now() where id = $1").bind(expired.key_id.as_str());
    expire.execute(&app.database).await.unwrap();
    let unknown = format!("tk_{}", "A".repeat(43));
    vec![Vec::new(), shown(&unknown), shown(revoked.secret.expose()), shown(expired.secret.expose())]
}

/// An agent of the user `ann` alone.
async fn private_agent(app: &App) -> String {
    sqlx::query_scalar(
        "with agent as (
             insert into agents (id, project_id, user_id, name, version)
             select 'asst_019e0000000070008000000000000000', project_id, id, 'mine', 1 from users
             where external_id = 'ann' and project_id = 'proj_default'
             returning *
         ), version as (
             insert into agent_versions (agent_id, project_id, version, model)
             select id, project_id, 1, 'simulated-1' from agent
         )
         select id from agent",
    )
    .fetch_one(&app.database)
    .await
    .unwrap()
}
