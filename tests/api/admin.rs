//! The administrator's routes: what they show, what they change, and how they name what is wrong.

use serde_json::{Value, json};
use threadkeep::domain::AccessRole;

use crate::harness::{Answer, App, bearer};

struct Admin {
    app: App,
    key: String,
}

impl Admin {
    async fn new() -> Self {
        let app = App::with_keys().await;
        let key = app.key(AccessRole::Admin, None).await;
        Self { app, key }
    }

    async fn get(&self, path: &str) -> Answer {
        let (name, value) = bearer(&self.key);
        self.app.get_with(path, &[(name, &value)]).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let (name, value) = bearer(&self.key);
        self.app.post_with(path, &[(name, &value)], &body).await
    }

    /// A thread of a user, with so many turns.
    async fn talk(&self, user: &str, turns: usize) -> String {
        let key = self.app.key(AccessRole::User, Some(user)).await;
        let (name, value) = bearer(&key);
        let headers = [(name, value.as_str())];
        let thread = self.app.post_with("/openai/initialize", &headers, &json!({ "agent_id": "sample" })).await;
        let thread = thread.expect(200)["thread_id"].as_str().unwrap().to_owned();
        for at in 0..turns {
            let body = json!({ "agent_id": "sample", "thread_id": thread, "user_input": format!("number {at}") });
            self.app.post_with("/openai/chat", &headers, &body).await.expect(200);
        }
        thread
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[actix_rt::test]
async fn projects_users_and_keys_are_made_shown_and_shut() {
    let admin = Admin::new().await;
    let acme = admin.post("/admin/projects", json!({ "name": "acme" })).await.expect(200);
    assert!(acme["id"].as_str().unwrap().starts_with("proj_") && acme["revoked_at"].is_null(), "{acme}");
    admin.post("/admin/projects", json!({ "name": "acme" })).await.expect_error(400, "project_name_taken");
    assert_eq!(admin.get("/admin/projects/acme").await.expect(200), acme);
    let ann = admin.post("/admin/projects/acme/users", json!({ "external_id": "ann" })).await.expect(200);
    let again = admin.post("/admin/projects/acme/users", json!({ "external_id": "ann" })).await.expect(200);
    assert_eq!(ann, again);
    assert_eq!(admin.get("/admin/projects/acme/users/ann").await.expect(200), ann);
    let odd = json!({ "external_id": ann["id"] });
    let other = admin.post("/admin/projects/acme/users", odd).await.expect(200);
    assert_ne!(other["id"], ann["id"], "a name that looks like somebody else's id is a name");
    let wanted = json!({ "name": "phone", "project": "acme", "role": "user", "user": "ann" });
    let made = admin.post("/admin/keys", wanted).await;
    assert!(made.headers.get("cache-control").unwrap().to_str().unwrap().contains("no-store"));
    let made = made.expect(200);
    let (name, value) = bearer(made["key"].as_str().unwrap());
    let models = async || admin.app.get_with("/openai/get_models", &[(name, &value)]).await.status;
    assert_eq!(models().await, 200);
    let keys = admin.get("/admin/keys?project=acme").await;
    assert!(!String::from_utf8_lossy(&keys.body).contains(made["key"].as_str().unwrap()));
    let listed = &keys.expect(200)["data"][0];
    assert_eq!((&listed["id"], &listed["user_id"], &listed["role"]), (&made["id"], &ann["id"], &json!("user")));
    let revoke = format!("/admin/keys/{}/revoke", made["id"].as_str().unwrap());
    admin.post(&revoke, json!({})).await.expect(200);
    admin.post(&revoke, json!({})).await.expect(200);
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    assert_eq!(models().await, 401);
    admin.post("/admin/projects/default/revoke", json!({})).await.expect(200);
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    admin.post("/admin/projects/default/restore", json!({})).await.expect(200);
    for (path, act) in [("/admin/projects/acme", "project"), ("/admin/projects/acme/users/ann", "user")] {
        let shut = admin.post(&format!("{path}/revoke"), json!({})).await.expect(200);
        assert!(shut["revoked_at"].is_string(), "{act}");
        let open = admin.post(&format!("{path}/restore"), json!({})).await.expect(200);
        assert!(open["revoked_at"].is_null(), "{act}");
        let events = format!("audit_events where action in ('{act}.revoked', '{act}.restored')");
        let events = format!("{events} and project_id <> 'proj_default'");
        assert_eq!(admin.app.count(&events).await, 2);
    }
}

#[actix_rt::test]
async fn an_agent_is_applied_versioned_and_deleted() {
    let admin = Admin::new().await;
    let agents = "/admin/projects/default/agents";
    let wanted = |model: &str| json!({ "name": "guide", "config": { "model": model } });
    let first = admin.post(agents, wanted("one")).await.expect(200);
    let same = admin.post(agents, wanted("one")).await.expect(200);
    assert_eq!((&first, &first["version"]), (&same, &json!(1)));
    let second = admin.post(agents, wanted("two")).await.expect(200);
    assert_eq!((&second["id"], &second["version"]), (&first["id"], &json!(2)));
    let versions = admin.get(&format!("{agents}/guide/versions")).await.expect(200);
    let models: Vec<&Value> = versions["data"].as_array().unwrap().iter().map(|v| &v["config"]["model"]).collect();
    assert_eq!(models, ["two", "one"]);
    let private = json!({ "name": "guide", "user": "ann", "config": { "model": "three" } });
    let private = admin.post(agents, private).await.expect(200);
    assert_ne!(private["id"], first["id"], "a user's own agent may have the name of a shared one");
    assert!(private["user_id"].as_str().unwrap().starts_with("user_"));
    let key = admin.app.key(AccessRole::User, Some("ann")).await;
    let (name, value) = bearer(&key);
    let begun = admin.app.post_with("/openai/initialize", &[(name, &value)], &json!({ "agent_id": "guide" })).await;
    assert_eq!(begun.expect(200)["agent_id"], private["id"], "their own goes first");
    admin.post(&format!("{agents}/guide/delete"), json!({})).await.expect(200);
    admin.get(&format!("{agents}/guide")).await.expect_error(404, "agent_not_found");
    let private_path = format!("{agents}/{}", private["id"].as_str().unwrap());
    admin.get(&private_path).await.expect(200);
    let bad = json!({ "name": "guide", "config": { "model": "one", "temperature": 9 } });
    let sentence = admin.post(agents, bad).await.expect_error(400, "invalid_field");
    assert!(sentence.contains("config.temperature"), "{sentence}");
}

#[actix_rt::test]
async fn threads_runs_and_messages_are_read_in_pieces_and_reading_is_remembered() {
    let admin = Admin::new().await;
    let ann = admin.talk("ann", 2).await;
    let bob = admin.talk("bob", 1).await;
    let threads = "/admin/projects/default/threads";
    assert_eq!(ids(&admin.get(threads).await.expect(200)), [bob.as_str(), &ann]);
    let piece = admin.get(&format!("{threads}?limit=1")).await.expect(200);
    assert_eq!((ids(&piece), &piece["has_more"]), (vec![bob.as_str()], &json!(true)));
    let rest = admin.get(&format!("{threads}?limit=1&after={bob}")).await.expect(200);
    assert_eq!((ids(&rest), &rest["has_more"]), (vec![ann.as_str()], &json!(false)));
    assert_eq!(ids(&admin.get(&format!("{threads}?user=ann&agent=sample")).await.expect(200)), [ann.as_str()]);
    let shown = admin.get(&format!("{threads}/{ann}")).await.expect(200);
    assert_eq!(shown["messages"], 4);
    assert_eq!(admin.app.count("audit_events where action = 'messages.read'").await, 0);
    let messages = admin.get(&format!("{threads}/{ann}/messages?limit=3")).await.expect(200);
    let positions: Vec<&Value> = messages["data"].as_array().unwrap().iter().map(|m| &m["position"]).collect();
    assert_eq!((positions, &messages["has_more"]), (vec![&json!(4), &json!(3), &json!(2)], &json!(true)));
    assert_eq!(messages["data"][1]["content"][0]["text"]["value"], "number 1");
    let last = ids(&messages)[2];
    let rest = admin.get(&format!("{threads}/{ann}/messages?after={last}")).await.expect(200);
    assert_eq!(rest["data"][0]["position"], 1);
    let reads =
        format!("audit_events where action = 'messages.read' and thread_id = '{ann}' and who ->> 'actor' like 'key:%'");
    assert_eq!(admin.app.count(&reads).await, 2);
    let runs = "/admin/projects/default/runs";
    let all = admin.get(&format!("{runs}?status=completed")).await.expect(200);
    assert_eq!(all["data"].as_array().unwrap().len(), 3);
    let of_bob = admin.get(&format!("{runs}?thread={bob}")).await.expect(200);
    let run = admin.get(&format!("{runs}/{}", ids(&of_bob)[0])).await.expect(200);
    assert!(run["usage"]["total_tokens"].is_number() && run["finished_at"].is_string(), "{run}");
}

#[actix_rt::test]
async fn limits_are_set_listed_and_lifted() {
    let admin = Admin::new().await;
    let limits = "/admin/projects/default/limits";
    let set = admin.post(&format!("{limits}/each_user"), json!({ "requests_per_minute": 0 })).await.expect(200);
    assert_eq!(
        set,
        json!({ "subject": "each_user", "requests_per_minute": 0, "turns_concurrent": null,
                            "tokens_per_day": null, "tokens_per_month": null })
    );
    assert_eq!(admin.get(limits).await.expect(200)["data"], json!([set]));
    let sentence = admin.post(&format!("{limits}/each_user"), json!({ "rpm": 1 })).await;
    assert!(sentence.expect_error(400, "invalid_field").contains("rpm"));
    admin.post(&format!("{limits}/nobody"), json!({})).await.expect_error(400, "invalid_path");
    let huge = admin.post(&format!("{limits}/each_user"), json!({ "turns_concurrent": u32::MAX })).await;
    assert!(huge.expect_error(400, "invalid_field").contains("2147483647"));
    admin.post(&format!("{limits}/each_user"), json!({})).await.expect(200);
    assert_eq!(admin.get(limits).await.expect(200)["data"], json!([]));
}

#[actix_rt::test]
async fn what_is_wrong_or_missing_is_named() {
    let admin = Admin::new().await;
    for (path, status, code, part) in [
        ("/admin/projects/nope", 404, "project_not_found", "nope"),
        ("/admin/projects/nope/users", 404, "project_not_found", "nope"),
        ("/admin/projects/default/users/nope", 404, "user_not_found", "nope"),
        ("/admin/projects/default/threads/thread_1", 404, "thread_not_found", "thread_1"),
        ("/admin/projects/default/threads/thread_1/messages", 404, "thread_not_found", "thread_1"),
        ("/admin/projects/default/threads/run_1", 400, "invalid_path", "thread_"),
        ("/admin/projects/default/runs/run_1", 404, "run_not_found", "run_1"),
        ("/admin/projects/default/agents/nope/versions", 404, "agent_not_found", "nope"),
        ("/admin/projects/%00", 400, "invalid_path", "NUL"),
        ("/admin/projects/default/users/a%00b", 400, "invalid_path", "NUL"),
        ("/admin/projects?after=nothing", 400, "invalid_cursor", "after"),
        ("/admin/projects/default/threads?after=thread_1", 400, "invalid_cursor", "after"),
        ("/admin/keys?limit=0", 400, "invalid_query", "limit"),
        ("/admin/keys?limit=101", 400, "invalid_query", "100"),
        ("/admin/keys?limt=1", 400, "invalid_query", "limt"),
        ("/admin/projects/default/runs?status=odd", 400, "invalid_query", "odd"),
    ] {
        let sentence = admin.get(path).await.expect_error(status, code);
        assert!(sentence.contains(part), "{path}: {sentence}");
    }
    for (body, part) in [
        (json!({ "name": "k", "project": "default", "role": "user" }), "user"),
        (json!({ "name": "k", "project": "default", "role": "boss" }), "role"),
        (json!({ "name": "", "project": "default", "role": "service" }), "name"),
        (
            json!({ "name": "k", "project": "default", "role": "service", "expires_at": "2020-01-01T00:00:00Z" }),
            "expires_at",
        ),
        (json!({ "name": "k", "project": "default", "role": "service", "expires": "soon" }), "expires"),
        (
            json!({ "name": "k", "project": "default", "role": "service", "expires_at": "9999-12-31T23:59:59-12:00" }),
            "expires_at",
        ),
        (json!({ "name": "k", "project": "a\0b", "role": "service" }), "project"),
    ] {
        let sentence = admin.post("/admin/keys", body.clone()).await.expect_error(400, "invalid_field");
        assert!(sentence.contains(part), "{body}: {sentence}");
    }
    let (name, value) = bearer(&admin.key);
    let wanted = json!({ "name": "k", "project": "default", "role": "service" });
    let keyed = [(name, value.as_str()), ("idempotency-key", "once")];
    admin.app.post_with("/admin/keys", &keyed, &wanted).await.expect_error(400, "invalid_idempotency_key");
    assert_eq!(admin.app.count("api_keys").await, 1);
}

#[actix_rt::test]
async fn on_a_loopback_address_without_credentials_everybody_is_the_administrator() {
    let app = App::start().await;
    app.get("/admin/projects").await.expect(200);
}
