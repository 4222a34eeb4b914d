//! What every request and answer is held to, whatever the route.

use std::time::{Duration, Instant};

use serde_json::json;
use threadkeep::app::operator;
use threadkeep::domain::AccessRole;
use threadkeep::service::users;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, App, Provider, bearer};

async fn with(settings: &str) -> App {
    App::with(&Provider::start().base_url, settings).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

/// Sends bytes and reads what comes until the end, for at most ten seconds.
async fn raw(app: &App, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), connection.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[actix_rt::test]
async fn every_answer_says_how_it_may_be_shown_and_stored() {
    let app = App::start().await;
    let thread = app.thread().await;
    let stream = json!({ "agent_id": "sample", "thread_id": thread, "user_input": "Hi", "stream": true });
    let answers = [
        app.get("/healthz").await,
        app.get("/nowhere").await,
        app.get("/openai/chat").await,
        app.post("/openai/chat", &json!({})).await,
        app.post("/openai/chat", &stream).await,
    ];
    for answer in &answers {
        assert_eq!(header(answer, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(answer, "referrer-policy"), Some("no-referrer"));
        assert!(header(answer, "content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(header(answer, "cache-control").unwrap().contains("no-"), "{answer:?}");
        assert_eq!(header(answer, "strict-transport-security"), None, "there is no TLS here");
        assert!(header(answer, "x-request-id").is_some());
    }
    answers[2].expect_error(405, "method_not_allowed");
    assert_eq!(header(&answers[2], "allow"), Some("POST"));
}

#[actix_rt::test]
async fn pages_from_elsewhere_may_call_only_where_the_settings_name_them() {
    let preflight = [
        ("origin", "https://app.test"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,idempotency-key"),
    ];
    let closed = App::start().await;
    let answer = closed.ask_with("OPTIONS", "/openai/chat", &preflight, &json!({})).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
    let open = with("server.cors_origins = ['https://app.test']").await;
    let answer = open.ask_with("OPTIONS", "/openai/chat", &preflight, &json!({})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("https://app.test"));
    assert_eq!(header(&answer, "access-control-allow-credentials"), None);
    let answer = open.get_with("/openai/get_models", &preflight[..1]).await;
    answer.expect(200);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("https://app.test"));
    assert!(header(&answer, "access-control-expose-headers").unwrap().contains("x-request-id"));
    let answer = open.get_with("/openai/get_models", &[("origin", "https://evil.test")]).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
}

#[actix_rt::test]
async fn a_page_whose_name_is_pointed_here_cannot_call_where_nobody_shows_credentials() {
    let app = App::start().await;
    let named = app.get_with("/admin/projects", &[("host", "evil.test")]).await;
    named.expect_error(403, "foreign_host");
    let forged = [("host", "evil.test"), ("x-forwarded-host", "localhost"), ("forwarded", "host=localhost")];
    app.get_with("/admin/projects", &forged).await.expect_error(403, "foreign_host");
    app.get_with("/admin/projects", &[("host", "localhost:8080")]).await.expect(200);
    let page = [("origin", "https://evil.test"), ("content-type", "text/plain")];
    let pages: [&[(&str, &str)]; 3] = [&page, &[("sec-fetch-site", "cross-site")], &[("origin", "null")]];
    for headers in pages {
        let deletion = app.ask_with("POST", "/admin/projects/default/agents/sample/delete", headers, &json!({})).await;
        deletion.expect_error(403, "foreign_origin");
    }
    app.get_with("/admin/projects", &[("origin", app.base.as_str())]).await.expect(200);
    let open = with("auth.mode = 'open'").await;
    open.get("/admin/projects").await.expect_error(403, "forbidden");
    open.get_with("/openai/get_models", &[("host", "threads.example.com")]).await.expect(200);
}

#[actix_rt::test]
async fn a_head_that_trickles_in_ends_with_its_time() {
    let app = with("server.head_timeout_ms = 400").await;
    let begun = Instant::now();
    let answer = raw(&app, b"POST /openai/chat HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[actix_rt::test]
async fn a_head_beyond_measure_is_refused() {
    let app = App::start().await;
    let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(300_000));
    let many = (0..300).map(|at| format!("x-many-{at}: 1\r\n")).collect::<Vec<_>>().concat();
    let many = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    let path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(300_000));
    for head in [long, many, path] {
        let answer = raw(&app, head.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    app.get("/healthz").await.expect(200);
}

#[actix_rt::test]
async fn a_body_in_another_coding_is_refused_by_the_name_of_its_header() {
    let app = App::start().await;
    let body = json!({ "agent_id": "sample" });
    let zipped = app.post_with("/openai/initialize", &[("content-encoding", "gzip")], &body).await;
    assert!(zipped.expect_error(400, "invalid_content_encoding").contains("Content-Encoding"));
    app.post_with("/openai/initialize", &[("content-encoding", "identity")], &body).await.expect(200);
    let latin = app.post_raw("/openai/initialize", "application/json; charset=latin1", body.to_string()).await;
    assert!(latin.expect_error(400, "invalid_content_type").contains("charset"));
    app.post_raw("/openai/initialize", "application/json; charset=\"UTF-8\"", body.to_string()).await.expect(200);
}

#[actix_rt::test]
async fn an_address_that_guesses_is_stopped_and_those_beside_it_are_not() {
    let settings = "auth.mode = 'keys'\nauth.failures_per_minute = 3\nserver.trusted_proxies = ['127.0.0.0/8']";
    let app = with(settings).await;
    let (name, value) = bearer(&app.key(AccessRole::Service, None).await);
    let from = |address: &'static str| ("x-forwarded-for", address);
    let (guesser, neighbour) = (from("203.0.113.9"), from("203.0.113.10"));
    app.get_with("/openai/get_models", &[(name, &value), guesser]).await.expect(200);
    let guess = |at: usize| format!("Bearer tk_{}", format!("{at}").repeat(43));
    for at in 0..3 {
        let guessed = app.get_with("/openai/get_models", &[(name, &guess(at)), guesser]).await;
        guessed.expect_error(401, "unauthenticated");
    }
    let stopped = app.get_with("/openai/get_models", &[(name, &guess(4)), guesser]).await;
    stopped.expect_error(429, "too_many_failures");
    let wait: u64 = header(&stopped, "retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    app.get_with("/openai/get_models", &[(name, &value), guesser]).await.expect(200);
    app.get_with("/openai/get_models", &[(name, &guess(5)), neighbour]).await.expect_error(401, "unauthenticated");
}

#[actix_rt::test]
async fn a_burst_of_guesses_does_not_outrun_the_count_and_a_shut_user_is_no_guess() {
    let app = with("auth.mode = 'keys'\nauth.failures_per_minute = 20\nauth.recheck_ms = 100").await;
    let (name, value) = bearer(&app.key(AccessRole::Service, None).await);
    app.get_with("/openai/get_models", &[(name, &value), ("threadkeep-user", "bob")]).await.expect(200);
    users::revoke(&app.database, &operator("test").unwrap(), "default", "bob", true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    for _ in 0..30 {
        let shut = app.get_with("/openai/get_models", &[(name, &value), ("threadkeep-user", "bob")]).await;
        shut.expect_error(401, "unauthenticated");
    }
    let (name, fresh) = bearer(&app.key(AccessRole::Service, None).await);
    app.get_with("/openai/get_models", &[(name, &fresh)]).await.expect(200);
    let guesses: Vec<String> = (100..200).map(|at| format!("Bearer tk_{at}{}", "x".repeat(40))).collect();
    let asked = guesses.iter().map(async |guess| app.get_with("/openai/get_models", &[(name, guess)]).await);
    let answers = futures_util::future::join_all(asked).await;
    let looked_up = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_up, 20, "the others are refused unread");
    for at in 0..20 {
        let known = app.get_with("/openai/get_models", &[(name, &value)]).await;
        assert_eq!(known.status, 200, "{at}: a key that worked before is spared, also while it is asked about anew");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_rt::test]
async fn a_proxy_that_is_not_trusted_speaks_for_nobody() {
    let app = with("auth.mode = 'keys'\nauth.failures_per_minute = 2").await;
    for (at, address) in ["203.0.113.1", "203.0.113.2", "203.0.113.3"].into_iter().enumerate() {
        let headers = [("authorization", "Bearer tk_no"), ("x-forwarded-for", address)];
        let expected = if at < 2 { (401, "unauthenticated") } else { (429, "too_many_failures") };
        app.get_with("/openai/get_models", &headers).await.expect_error(expected.0, expected.1);
    }
}
