//! Tokens of the customer's own issuer: which are believed, and as whom their bearer comes in.

use std::time::Duration;

use serde_json::{Value, json};
use threadkeep::settings::Settings;
use tokio::time::sleep;

use crate::harness::{Answer, App, Provider, bearer};
use crate::tokens::issuer::{Issuer, Pair, claims, encoded, hs256};

#[path = "tokens/issuer.rs"]
mod issuer;

async fn app(settings: &str) -> App {
    let common = "[auth]\nmode = 'keys+jwt'\nrecheck_ms = 200\n[auth.jwt]\nissuer = 'https://issuer.test'\n\
                  audience = 'threadkeep'\nclock_skew_ms = 2000\n";
    App::with(&Provider::start().base_url, &format!("{common}{settings}")).await
}

async fn app_of(issuer: &Issuer) -> App {
    app(&format!("jwks_url = '{}'\nrole_claim = 'role'\nproject_claim = 'https://issuer.test/project'", issuer.url))
        .await
}

async fn initialized(app: &App, token: &str) -> Answer {
    let (name, value) = bearer(token);
    app.post_with("/openai/initialize", &[(name, &value)], &json!({ "agent_id": "sample" })).await
}

async fn is_believed(app: &App, token: &str) -> bool {
    let answer = initialized(app, token).await;
    if answer.status != 200 {
        answer.expect_error(401, "unauthenticated");
    }
    answer.status == 200
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[actix_rt::test]
async fn every_accepted_algorithm_brings_its_user_in() {
    let pairs = [Pair::rs256("r"), Pair::es256("e"), Pair::eddsa("d")];
    let issuer = Issuer::start(&pairs);
    let app = app_of(&issuer).await;
    for pair in &pairs {
        assert!(is_believed(&app, &pair.sign(&claims())).await, "{}", pair.algorithm);
    }
    assert_eq!(app.count("users where external_id = 'ann'").await, 1);
    assert_eq!(app.count("threads join users on users.id = threads.user_id").await, 3);
    assert_eq!(app.count("audit_events where who ->> 'actor' = 'jwt:ann' and action = 'thread.created'").await, 3);
    let settings = "hs256_secret = '0123456789abcdef0123456789abcdef'\nalgorithms = ['HS256']";
    let shared = self::app(settings).await;
    assert!(is_believed(&shared, &hs256(b"0123456789abcdef0123456789abcdef", "HS256", &claims())).await);
    assert!(!is_believed(&shared, &hs256(b"0123456789abcdef0123456789abcdee", "HS256", &claims())).await);
}

#[actix_rt::test]
async fn claims_decide_on_project_user_and_role() {
    let pair = Pair::es256("e");
    let issuer = Issuer::start(std::slice::from_ref(&pair));
    let app = app_of(&issuer).await;
    let elsewhere = app.project("elsewhere").await;
    let service = pair.sign(&with("role", "service"));
    let thread = initialized(&app, &service).await.expect(200);
    assert_eq!(app.count("threads where user_id is null and project_id = 'proj_default'").await, 1);
    for project in ["elsewhere", elsewhere.as_str()] {
        let token = pair.sign(&with("https://issuer.test/project", project));
        initialized(&app, &token).await.expect_error(404, "agent_not_found");
    }
    let own = json!({ "agent_id": "sample", "thread_id": thread["thread_id"], "user_input": "Hi" });
    let (name, value) = bearer(&pair.sign(&claims()));
    app.post_with("/openai/chat", &[(name, &value)], &own).await.expect_error(400, "thread_not_found");
    app.post_with("/openai/delete_agent", &[(name, &value)], &own).await.expect_error(400, "forbidden");
    for wrong in [
        with("role", "root"),
        with("role", 7),
        with("https://issuer.test/project", "nowhere"),
        with("https://issuer.test/project", ""),
        with("https://issuer.test/project", "nul\0"),
        with("sub", ""),
        with("sub", "a\u{7}b"),
        with("sub", "u".repeat(257)),
        without("sub"),
    ] {
        assert!(!is_believed(&app, &pair.sign(&wrong)).await, "{wrong}");
    }
}

#[actix_rt::test]
async fn a_token_that_is_not_meant_for_us_now_is_not_believed() {
    let pair = Pair::eddsa("d");
    let issuer = Issuer::start(std::slice::from_ref(&pair));
    let app = app_of(&issuer).await;
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    assert!(is_believed(&app, &pair.sign(&with("exp", now - 1))).await, "within the skew");
    assert!(is_believed(&app, &pair.sign(&with("aud", json!(["other", "threadkeep"])))).await);
    for wrong in [
        with("exp", now - 10),
        without("exp"),
        with("nbf", now + 60),
        with("iat", now + 60),
        with("iss", "https://other.test"),
        without("iss"),
        with("aud", "other"),
        without("aud"),
    ] {
        assert!(!is_believed(&app, &pair.sign(&wrong)).await, "{wrong}");
    }
}

#[actix_rt::test]
async fn no_algorithm_but_the_keys_own_is_believed() {
    let pairs = [Pair::rs256("r"), Pair::es256("e")];
    let issuer = Issuer::start(&pairs);
    let [rsa, ec] = &pairs;
    let app = app_of(&issuer).await;
    let none = format!("{}.{}.", encoded(&json!({ "alg": "none" })), encoded(&claims()));
    let confused = hs256(rsa.public.as_slice(), "HS256", &claims());
    let crossed = ec.sign_as(&json!({ "alg": "ES256", "kid": "r" }), &claims());
    let critical = ec.sign_as(&json!({ "alg": "ES256", "kid": "e", "crit": ["x"], "x": 1 }), &claims());
    let lied = ec.sign_as(&json!({ "alg": "RS256", "kid": "e" }), &claims());
    let none_signed = rsa.sign_as(&json!({ "alg": "none", "kid": "r" }), &claims());
    for token in [none, confused, crossed, critical, lied, none_signed] {
        assert!(!is_believed(&app, &token).await, "{token}");
    }
    let nameless = ec.sign_as(&json!({ "alg": "ES256" }), &claims());
    assert!(is_believed(&app, &nameless).await, "the only key of its kind needs no name");
}

#[actix_rt::test]
async fn keys_come_and_go_with_the_issuer_and_stay_while_it_is_away() {
    let (old, new) = (Pair::es256("old"), Pair::es256("new"));
    let issuer = Issuer::start(std::slice::from_ref(&old));
    let app = app_of(&issuer).await;
    assert!(is_believed(&app, &old.sign(&claims())).await);
    issuer.go_away();
    sleep(Duration::from_millis(5200)).await;
    let forged = Pair::es256("forged");
    let reads = issuer.reads();
    assert!(!is_believed(&app, &forged.sign(&claims())).await);
    assert_eq!(issuer.reads(), reads + 1, "an unknown key has the keys read at once");
    for _ in 0..20 {
        assert!(!is_believed(&app, &forged.sign(&claims())).await);
    }
    assert!(issuer.reads() <= reads + 1, "a flood of unknown keys is no flood on the issuer");
    assert!(is_believed(&app, &old.sign(&claims())).await, "the issuer is away, its keys are not");
    issuer.publish(std::slice::from_ref(&new));
    sleep(Duration::from_millis(5200)).await;
    assert!(is_believed(&app, &new.sign(&claims())).await, "an unknown key has the keys read");
    assert!(!is_believed(&app, &old.sign(&claims())).await);
}

#[actix_rt::test]
async fn mutilated_tokens_are_refused_like_any_other() {
    let pair = Pair::es256("e");
    let issuer = Issuer::start(std::slice::from_ref(&pair));
    let app = app_of(&issuer).await;
    let whole = pair.sign(&claims());
    for at in (0..whole.len()).step_by(7) {
        let mut cut = whole.clone();
        cut.truncate(at);
        let mut bent = whole.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        assert!(!is_believed(&app, &cut).await, "cut at {at}");
        assert!(!is_believed(&app, &bent).await || at == whole.len() - 1, "bent at {at}");
    }
    for odd in ["..", "a.b.c", &"e30.".repeat(3), &format!("{whole}.{whole}"), &"x".repeat(9000)] {
        assert!(!is_believed(&app, odd).await, "{odd}");
    }
}

/// What is wrong with these settings of tokens.
fn refused(text: &str) -> String {
    let common = "[auth]\nmode = 'jwt'\n[auth.jwt]\n";
    format!("{:#}", Settings::from_text(&format!("{common}{text}")).unwrap_err())
}

#[test]
fn what_tokens_need_is_named() {
    let both = "issuer = 'i'\naudience = 'a'\n";
    let url = "jwks_url = 'https://issuer.test/jwks'\n";
    let secret = "hs256_secret = '0123456789abcdef0123456789abcdef'\n";
    for (text, part) in [
        (String::new(), "auth.jwt.issuer"),
        ("issuer = 'i'".into(), "auth.jwt.audience"),
        (both.into(), "auth.jwt.jwks_url"),
        (format!("{both}{url}{secret}"), "exactly one"),
        (format!("{both}{secret}"), "goes with hs256_secret"),
        (format!("{both}{url}algorithms = ['HS256']"), "goes with hs256_secret"),
        (format!("{both}{secret}algorithms = ['HS256', 'RS256']"), "alone"),
        (format!("{both}{url}algorithms = ['RS512']"), "RS512"),
        (format!("{both}hs256_secret = 'short'\nalgorithms = ['HS256']"), "32 bytes"),
        (format!("{both}jwks_url = 'http://issuer.test/jwks'"), "https://"),
        (format!("{both}{url}clock_skew_ms = 300001"), "clock_skew_ms"),
        (format!("{both}{url}jwks_refresh_ms = 1"), "jwks_refresh_ms"),
        (format!("{both}{url}user_claim = ''"), "user_claim"),
        (format!("{both}{url}project_default = ''"), "project_claim"),
    ] {
        assert!(refused(&text).contains(part), "{text} gave {}", refused(&text));
    }
}
