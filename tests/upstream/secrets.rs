//! The provider's key, planted wherever a provider can echo it, shows nowhere: not in a failure, not in a
//! configuration that is printed, not in the log.

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use serde_json::json;
use threadkeep::upstream::Config;

use crate::fake::{Fake, Script};
use crate::scene::{ask, config, upstream};
use crate::wire::{EVENT_STREAM, JSON, created, error, object, replying, response, stream};

const KEY: &str = "planted-key-0123456789-abcdef";

/// Everything that any part of this process logs.
struct Ear(Mutex<String>);

static EAR: Ear = Ear(Mutex::new(String::new()));

impl Log for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut heard = self.0.lock().unwrap();
        heard.push_str(&record.args().to_string());
        heard.push('\n');
    }

    fn flush(&self) {}
}

/// Answers with the key in every place that a caller or an operator might read.
fn echoes() -> Vec<Script> {
    let header = format!("x-request-id: req-{KEY}");
    let said = format!("Bad key {KEY} (Bearer {KEY}), {}{KEY}", "x".repeat(290 - KEY.len()));
    let mut echoes: Vec<Script> = [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503, 302, 699]
        .iter()
        .map(|status| replying(error(*status, Some(KEY), &said, &[&header, "retry-after-ms: 1"])))
        .collect();
    let mut failed = object("failed", &json!([]));
    failed["id"] = json!(KEY);
    failed["error"] = json!({ "code": KEY, "message": said });
    let mut incomplete = object("incomplete", &json!([]));
    incomplete["incomplete_details"] = json!({ "reason": KEY });
    for event in [
        json!({ "type": "response.failed", "response": failed }),
        json!({ "type": "response.incomplete", "response": incomplete }),
        json!({ "type": "error", "code": KEY, "message": said }),
    ] {
        echoes.push(replying(stream(&[created(), event])));
    }
    echoes.push(replying(response(200, &[JSON, &header], format!("{{\"{KEY}\""))));
    echoes.push(replying(response(200, &[EVENT_STREAM, &header], format!("data: {KEY}\n\n"))));
    echoes.push(replying(format!("{KEY}\r\n\r\n")));
    echoes.push(Script::new().expect().reset());
    echoes
}

#[actix_rt::test]
async fn a_planted_key_shows_nowhere() {
    let heard = log::set_logger(&EAR).map(|()| log::set_max_level(LevelFilter::Trace));
    assert!(heard.is_ok(), "nobody else in this binary listens to the log");
    for echo in echoes() {
        let fake = Fake::play([echo]);
        let config = Config { api_key: KEY.into(), ..config(&fake.base_url()) };
        assert!(!format!("{config:?}").contains(KEY));
        let failure = ask(&config).await.0.unwrap_err();
        assert!(!format!("{failure:?} {failure}").contains(KEY), "{failure:?}");
        assert_eq!(fake.requests()[0].header("authorization"), Some(&*format!("Bearer {KEY}")), "it was sent");
        let failure = upstream(&config).models().await.unwrap_err();
        assert!(!format!("{failure:?} {failure}").contains(KEY), "{failure:?}");
    }
    let heard = EAR.0.lock().unwrap();
    assert!(heard.contains("is repeated"), "the log was heard");
    assert!(!heard.contains(KEY), "{:?}", heard.lines().find(|line| line.contains(KEY)));
}
