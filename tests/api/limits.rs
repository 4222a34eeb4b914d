//! Limits: exact across replicas, told in the headers that SDKs read, and nothing written of what they refuse.

use futures_util::future::join_all;
use serde_json::json;
use threadkeep::app::operator;
use threadkeep::domain::{AccessRole, Limits};
use threadkeep::service::limits::{self, Subject};

use crate::harness::{Answer, App, bearer};

const UNLIMITED: Limits =
    Limits { requests_per_minute: None, turns_concurrent: None, tokens_per_day: None, tokens_per_month: None };

async fn limit(app: &App, subject: Subject, wanted: Limits) {
    limits::set(&app.database, &operator("test").unwrap(), "default", &subject, &wanted).await.unwrap();
}

/// One turn each on `count` threads of their own, all at once and on both replicas by turns.
async fn crowd(one: &App, other: &App, key: &str, count: usize) -> Vec<Answer> {
    let (name, value) = bearer(key);
    let mut threads = Vec::new();
    for _ in 0..count {
        let body = json!({ "agent_id": "sample" });
        let answer = one.post_with("/openai/initialize", &[(name, &value)], &body).await.expect(200);
        threads.push(answer["thread_id"].as_str().unwrap().to_owned());
    }
    let turns = threads.iter().enumerate().map(|(at, thread)| {
        let app = if at % 2 == 0 { one } else { other };
        chat(app, key, thread, "[[simulate: slow_head=3000]]")
    });
    join_all(turns).await
}

async fn chat(app: &App, key: &str, thread: &str, user_input: &str) -> Answer {
    let (name, value) = bearer(key);
    let body = json!({ "agent_id": "sample", "thread_id": thread, "user_input": user_input });
    app.post_with("/openai/chat", &[(name, &value)], &body).await
}

async fn thread(app: &App, key: &str) -> String {
    let (name, value) = bearer(key);
    let answer = app.post_with("/openai/initialize", &[(name, &value)], &json!({ "agent_id": "sample" })).await;
    answer.expect(200)["thread_id"].as_str().unwrap().to_owned()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).unwrap().to_str().unwrap()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[actix_rt::test]
async fn a_hundred_turns_at_once_start_exactly_ten_where_ten_may_run() {
    let (one, other) = App::two_with_keys("").await;
    let key = one.key(AccessRole::Service, None).await;
    limit(&one, Subject::Project, Limits { turns_concurrent: Some(10), ..UNLIMITED }).await;
    let answers = crowd(&one, &other, &key, 100).await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (10, 90));
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    let sentence = refused.expect_error(429, "too_many_turns");
    assert!(sentence.contains("project") && sentence.contains("10"), "{sentence}");
    assert_eq!((header(refused, "retry-after"), header(refused, "retry-after-ms")), ("1", "1000"));
    assert_eq!((one.count("runs").await, one.count("messages").await), (10, 20));
    let again = thread(&one, &key).await;
    chat(&other, &key, &again, "a freed place is used at once").await.expect(200);
}

#[actix_rt::test]
async fn a_hundred_turns_at_once_start_exactly_ten_where_ten_may_begin_in_a_minute() {
    let (one, other) = App::two_with_keys("").await;
    let key = one.key(AccessRole::Service, None).await;
    limit(&one, Subject::EachKey, Limits { requests_per_minute: Some(10), ..UNLIMITED }).await;
    let answers = crowd(&one, &other, &key, 100).await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (10, 90));
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert!(refused.expect_error(429, "rate_limited").contains("This key's limit of 10 requests"));
    assert_eq!(header(refused, "x-ratelimit-limit-requests"), "10");
    assert_eq!(header(refused, "x-ratelimit-remaining-requests"), "0");
    let seconds: u64 = header(refused, "retry-after").parse().unwrap();
    assert!((50..=60).contains(&seconds), "{seconds}");
    assert!(header(refused, "x-ratelimit-reset-requests").ends_with('s'));
    let fresh = one.key(AccessRole::Service, None).await;
    let again = thread(&one, &fresh).await;
    chat(&one, &fresh, &again, "another key has its own minute").await.expect(200);
    sqlx::query("update runs set created_at = created_at - interval '1 minute'").execute(&one.database).await.unwrap();
    let again = thread(&one, &key).await;
    chat(&other, &key, &again, "the minute is over").await.expect(200);
}

#[actix_rt::test]
async fn a_users_own_limit_goes_before_that_of_each_user() {
    let app = App::with_keys().await;
    let (ann, bob) = (app.key(AccessRole::User, Some("ann")).await, app.key(AccessRole::User, Some("bob")).await);
    limit(&app, Subject::EachUser, Limits { requests_per_minute: Some(1), ..UNLIMITED }).await;
    limit(&app, Subject::User("bob".into()), Limits { requests_per_minute: Some(2), ..UNLIMITED }).await;
    for (key, allowed) in [(&ann, 1), (&bob, 2)] {
        let thread = thread(&app, key).await;
        for _ in 0..allowed {
            chat(&app, key, &thread, "Hi").await.expect(200);
        }
        let sentence = chat(&app, key, &thread, "Hi").await.expect_error(429, "rate_limited");
        assert!(sentence.starts_with("This user's limit"), "{sentence}");
    }
    limit(&app, Subject::User("bob".into()), UNLIMITED).await;
    limit(&app, Subject::EachUser, UNLIMITED).await;
    let thread = thread(&app, &bob).await;
    chat(&app, &bob, &thread, "Hi").await.expect(200);
    assert_eq!(app.count("audit_events where action = 'limits.changed'").await, 4);
}

#[actix_rt::test]
async fn spent_tokens_stop_the_next_turn_until_the_limit_is_raised() {
    let app = App::with_keys().await;
    let key = app.key(AccessRole::Service, None).await;
    let thread = thread(&app, &key).await;
    chat(&app, &key, &thread, "before there is a limit").await.expect(200);
    let spent = "token_usage where tokens = (select sum((usage ->> 'total_tokens')::bigint) from runs)";
    limit(&app, Subject::Project, Limits { tokens_per_month: Some(1_000_000), ..UNLIMITED }).await;
    assert_eq!(app.count(spent).await, 1, "what was spent before counts");
    limit(&app, Subject::Project, Limits { tokens_per_day: Some(1), ..UNLIMITED }).await;
    let refused = chat(&app, &key, &thread, "Hi").await;
    assert!(refused.expect_error(429, "quota_exceeded").contains("limit of 1 tokens per day"));
    assert_eq!(header(&refused, "x-ratelimit-remaining-tokens"), "0");
    let body = json!({ "agent_id": "sample", "thread_id": thread, "user_input": "Hi", "stream": true });
    let (name, value) = bearer(&key);
    let streamed = app.post_with("/openai/chat", &[(name, &value)], &body).await;
    streamed.expect_error(429, "quota_exceeded");
    for tokens_per_month in [Some(1_000_000), None, Some(2_000_000), Some(3_000_000)] {
        let limits = Limits { tokens_per_day: Some(1_000_000), tokens_per_month, ..UNLIMITED };
        limit(&app, Subject::Project, limits).await;
        chat(&app, &key, &thread, "Hi").await.expect(200);
    }
    let total: i64 = sqlx::query_scalar("select sum((usage ->> 'total_tokens')::bigint)::bigint from runs")
        .fetch_one(&app.database)
        .await
        .unwrap();
    for period in ["day", "month"] {
        let counted: i64 = sqlx::query_scalar(
            "select sum(tokens)::bigint from token_usage where period = $1 and subject like 'proj%'",
        )
        .bind(period)
        .fetch_one(&app.database)
        .await
        .unwrap();
        assert_eq!(counted, total, "{period}");
    }
}

#[actix_rt::test]
async fn a_question_that_was_accepted_for_good_waits_for_its_limit() {
    let app = App::with_keys().await;
    let key = app.key(AccessRole::Service, None).await;
    let thread = thread(&app, &key).await;
    limit(&app, Subject::Project, Limits { requests_per_minute: Some(1), ..UNLIMITED }).await;
    let (name, value) = bearer(&key);
    let queued = json!({ "agent_id": "sample", "thread_id": thread, "user_input": "Hi", "on_busy": "queue" });
    let first = chat(&app, &key, &thread, "[[simulate: slow_head=1000]]");
    let second = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        let headers = [(name, value.as_str())];
        let raised = async {
            app.wait_for("runs where status = 'completed'", 1).await;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            assert_eq!(app.count("turn_tickets where question is not null").await, 1);
            limit(&app, Subject::Project, UNLIMITED).await;
        };
        futures_util::join!(app.post_with("/openai/chat", &headers, &queued), raised).0
    };
    let (first, second) = futures_util::join!(first, second);
    first.expect(200);
    second.expect(200);
    assert_eq!((app.count("messages").await, app.count("turn_tickets").await), (4, 0));
}

#[actix_rt::test]
async fn a_refused_turn_leaves_nothing_behind_and_its_key_can_be_used_again() {
    let app = App::with_keys().await;
    let key = app.key(AccessRole::Service, None).await;
    let thread = thread(&app, &key).await;
    limit(&app, Subject::Project, Limits { requests_per_minute: Some(0), ..UNLIMITED }).await;
    let (name, value) = bearer(&key);
    let body = json!({ "agent_id": "sample", "thread_id": thread, "user_input": "Hi" });
    let headers = [(name, value.as_str()), ("idempotency-key", "once")];
    for _ in 0..2 {
        app.post_with("/openai/chat", &headers, &body).await.expect_error(429, "rate_limited");
    }
    for table in ["runs", "messages", "turn_tickets", "idempotency_keys", "audit_events where action = 'turn.opened'"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    limit(&app, Subject::Project, UNLIMITED).await;
    app.post_with("/openai/chat", &headers, &body).await.expect(200);
    let again = app.post_with("/openai/chat", &headers, &body).await;
    assert_eq!(header(&again, "idempotent-replayed"), "true");
    assert_eq!(app.count("messages").await, 2);
}

#[actix_rt::test]
async fn a_thread_that_is_freed_while_its_next_turn_opens_lets_nobody_past_a_limit() {
    let app = App::with_keys().await;
    let key = app.key(AccessRole::Service, None).await;
    let thread = thread(&app, &key).await;
    limit(&app, Subject::Project, Limits { requests_per_minute: Some(1), ..UNLIMITED }).await;
    let (name, value) = bearer(&key);
    let body = json!({ "agent_id": "sample", "thread_id": thread, "user_input": "Hi" });
    let second = async {
        app.wait_for("runs where status = 'in_progress'", 1).await;
        // Keeps the second opening between its look at the limits and its claim until the first turn has ended.
        let mut holder = app.database.begin().await.unwrap();
        let held = "insert into idempotency_keys (project_id, scope, key, route, fingerprint, run_id, expires_at)
                    select project_id, 'key:' || id, 'key:held', '', '', 'run_held', now() from api_keys";
        sqlx::query(held).execute(&mut *holder).await.unwrap();
        let release = async {
            app.wait_for("pg_locks where not granted and locktype = 'transactionid'", 1).await;
            app.wait_for("runs where status = 'completed'", 1).await;
            holder.rollback().await.unwrap();
        };
        let headers = [(name, value.as_str()), ("idempotency-key", "held")];
        futures_util::join!(app.post_with("/openai/chat", &headers, &body), release).0
    };
    let first = chat(&app, &key, &thread, "[[simulate: slow_head=1500]]");
    let (first, second) = futures_util::join!(first, second);
    first.expect(200);
    second.expect_error(429, "rate_limited");
    assert_eq!((app.count("runs").await, app.count("turn_tickets").await), (1, 0));
}

#[actix_rt::test]
async fn a_failed_turn_is_continued_within_the_limits_and_is_no_new_request() {
    let app = App::with_keys().await;
    let key = app.key(AccessRole::User, Some("ann")).await;
    let thread = thread(&app, &key).await;
    let (name, value) = bearer(&key);
    let body = json!({ "agent_id": "sample", "thread_id": thread, "user_input": "[[simulate: cut times=1]] Well?" });
    let headers = [(name, value.as_str()), ("idempotency-key", "once")];
    let ask = async || app.post_with("/openai/chat", &headers, &body).await;
    ask().await.expect_error(400, "response_cut");
    limit(&app, Subject::EachUser, Limits { turns_concurrent: Some(0), ..UNLIMITED }).await;
    assert!(ask().await.expect_error(429, "too_many_turns").starts_with("This user's"));
    limit(&app, Subject::EachUser, Limits { tokens_per_month: Some(0), ..UNLIMITED }).await;
    assert!(ask().await.expect_error(429, "quota_exceeded").contains("per month"));
    assert_eq!(app.count("runs where status = 'failed' and attempt = 1").await, 1);
    limit(&app, Subject::EachUser, Limits { requests_per_minute: Some(0), ..UNLIMITED }).await;
    ask().await.expect(200);
    assert_eq!(app.count("runs where status = 'completed' and attempt = 2").await, 1);
}
