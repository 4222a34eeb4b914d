//! The audit's chain: whole after any traffic, and broken by whoever rewrites history, with the event by name.

use serde_json::json;
use sqlx::AssertSqlSafe;
use threadkeep::service::audit::{self, Fault, Head};

use crate::harness::App;

/// What the owner of the tables can do and nobody else: the triggers do not see it.
async fn tamper(app: &App, statement: &str) {
    let switch =
        |to: &str| format!("alter table audit_events {to} trigger user; alter table audit_seals {to} trigger user");
    let statement = format!("{}; {statement}; {}", switch("disable"), switch("enable"));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&app.database).await.unwrap();
}

async fn faults(app: &App, noted: &[Head]) -> Vec<Fault> {
    let verified = audit::verify(&app.database, noted).await.unwrap();
    verified.into_iter().flat_map(|chain| chain.faults).collect()
}

/// A service in which something was said, all of it sealed.
async fn talked() -> App {
    let app = App::start().await;
    let thread = app.thread().await;
    for words in ["one", "two", "three"] {
        app.chat(&thread, words).await.expect(200);
    }
    audit::seal(&app.database).await.unwrap();
    assert_eq!(faults(&app, &[]).await, []);
    app
}

/// The id of the n-th event, from 1.
async fn event(app: &App, n: i64) -> i64 {
    sqlx::query_scalar("select event_id from audit_seals where number = $1")
        .bind(n)
        .fetch_one(&app.database)
        .await
        .unwrap()
}

#[actix_rt::test]
async fn every_event_is_sealed_once_and_in_order_whoever_seals() {
    let app = App::start().await;
    let threads = [app.thread().await, app.thread().await, app.thread().await, app.thread().await];
    let chats = threads.iter().map(|thread| app.chat(thread, "Hi"));
    let seals = (0..8).map(|_| audit::seal(&app.database));
    let (answers, sealed) = tokio::join!(futures_util::future::join_all(chats), futures_util::future::join_all(seals));
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(sealed.iter().all(Result::is_ok), "{sealed:?}");
    audit::seal(&app.database).await.unwrap();
    assert_eq!(app.count("audit_events").await, app.count("audit_seals").await);
    assert_eq!(faults(&app, &[]).await, []);
}

#[actix_rt::test]
async fn an_altered_event_is_named() {
    let app = talked().await;
    let (number, event_id) = (4, event(&app, 4).await);
    for change in ["outcome = 'ok', code = null, who = '{\"actor\": \"nobody\"}'", "subject_id = 'run_other'"] {
        tamper(&app, &format!("update audit_events set {change} where id = {event_id}")).await;
        assert_eq!(faults(&app, &[]).await.first(), Some(&Fault::Altered { number, event_id }));
    }
}

#[actix_rt::test]
async fn a_removed_event_is_named_with_or_without_its_link() {
    let app = talked().await;
    let (number, event_id) = (3, event(&app, 3).await);
    tamper(&app, &format!("delete from audit_events where id = {event_id}")).await;
    assert_eq!(faults(&app, &[]).await, [Fault::Removed { number, event_id }]);
    tamper(&app, &format!("delete from audit_seals where number = {number}")).await;
    let next = Fault::Altered { number: 4, event_id: event(&app, 4).await };
    assert_eq!(faults(&app, &[]).await, [Fault::Gap(3), next]);
}

#[actix_rt::test]
async fn swapped_events_are_named() {
    let app = talked().await;
    let (one, other) = (event(&app, 3).await, event(&app, 5).await);
    let swap = format!(
        "update audit_events set id = -1 where id = {one}; update audit_events set id = {one} where id = {other};
         update audit_events set id = {other} where id = -1"
    );
    tamper(&app, &format!("alter table audit_events alter column id drop identity; {swap}")).await;
    let expected = [Fault::Altered { number: 3, event_id: one }, Fault::Altered { number: 5, event_id: other }];
    assert_eq!(faults(&app, &[]).await, expected);
}

#[actix_rt::test]
async fn an_inserted_event_is_named() {
    let app = talked().await;
    let insert = "insert into audit_events (id, project_id, occurred_at, who, action, subject_id, outcome)
                  overriding system value
                  select -7, project_id, occurred_at - interval '1 hour', who, action, subject_id, outcome
                  from audit_events order by id limit 1";
    tamper(&app, insert).await;
    assert_eq!(faults(&app, &[]).await, [Fault::Inserted(-7)]);
}

#[actix_rt::test]
async fn a_chain_made_anew_or_cut_short_is_found_by_its_checkpoint() {
    let app = talked().await;
    let noted = audit::checkpoint(&app.database).await.unwrap();
    let text: Vec<String> = noted.iter().map(audit::line).collect();
    assert_eq!(audit::read_lines(&text.join("\n")).unwrap(), noted);
    let anew = "update audit_events set who = '{\"actor\": \"nobody\"}' where id = (select min(id) from audit_events);
                truncate audit_seals; truncate audit_heads; update audit_sealer set sealed_through = 0";
    tamper(&app, anew).await;
    audit::seal(&app.database).await.unwrap();
    assert_eq!(faults(&app, &[]).await, [], "whoever can do everything can make a whole chain");
    let number = noted[0].number;
    assert_eq!(faults(&app, &noted).await, [Fault::Checkpoint(number)]);
    let cut = format!("delete from audit_seals where number = {number}");
    tamper(&app, &cut).await;
    assert_eq!(faults(&app, &[]).await.first(), Some(&Fault::Short { found: number - 1, known: number }));
}

#[actix_rt::test]
async fn a_message_that_is_not_what_was_said_is_named() {
    let app = talked().await;
    let id: String =
        sqlx::query_scalar("select id from messages where position = 2").fetch_one(&app.database).await.unwrap();
    let words = json!([{ "type": "text", "text": { "value": "I never said that.", "annotations": [] } }]);
    sqlx::query("update messages set content = $1 where id = $2")
        .bind(words)
        .bind(&id)
        .execute(&app.database)
        .await
        .unwrap();
    assert_eq!(faults(&app, &[]).await, [Fault::Message(id)]);
}
