//! Which configurations are refused, and that the refusal names the setting and no secret.

use serde_json::{Value, json};
use threadkeep::upstream::{Config, DriverKind, Provider};

use crate::scene::config;

fn refusal(config: &Config) -> String {
    let refusal = config.validate().unwrap_err().to_string();
    assert_eq!(Provider::new(config).err().map(|error| error.to_string()).as_ref(), Some(&refusal));
    refusal
}

#[test]
fn a_base_url_must_be_one() {
    for (url, reason) in [
        ("", "must be a URL"),
        ("not a url", "must be a URL"),
        ("api.openai.com/v1", "must be a URL"),
        ("ftp://host/v1", "must begin with http:// or https://"),
        ("https://", "must begin with http:// or https://"),
        ("https://user:hunter2@host/v1", "must not hold credentials"),
        ("https://host/v1?key=hunter2", "must not have a query"),
    ] {
        let refusal = refusal(&config(url));
        assert!(refusal.starts_with("upstream.base_url: ") && refusal.contains(reason), "{url}: {refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
    for url in ["http://127.0.0.1:1/v1", "https://host", "http://[::1]:8080/v1/", "https://host/openai/v1"] {
        assert!(config(url).validate().is_ok(), "{url}");
    }
}

#[test]
fn every_limit_has_a_range() {
    let good = config("http://127.0.0.1:1/v1");
    for (bad, setting) in [
        (Config { connect_timeout_ms: 0, ..good.clone() }, "upstream.connect_timeout_ms"),
        (Config { first_byte_timeout_ms: 0, ..good.clone() }, "upstream.first_byte_timeout_ms"),
        (Config { idle_timeout_ms: 0, ..good.clone() }, "upstream.idle_timeout_ms"),
        (Config { deadline_ms: u64::MAX, ..good.clone() }, "upstream.deadline_ms"),
        (Config { response_bytes_max: 0, ..good.clone() }, "upstream.response_bytes_max"),
        (Config { connections_max: 0, ..good.clone() }, "upstream.connections_max"),
        (Config { connections_max: usize::MAX, ..good.clone() }, "upstream.connections_max"),
        (Config { breaker_open_ms: 0, ..good.clone() }, "upstream.breaker_open_ms"),
        (Config { calls_max: 0, ..good.clone() }, "upstream.calls_max"),
        (Config { calls_max: usize::MAX, ..good.clone() }, "upstream.calls_max"),
        (Config { calls_queued_max: usize::MAX, ..good.clone() }, "upstream.calls_queued_max"),
    ] {
        assert!(refusal(&bad).starts_with(&format!("{setting}: must ")), "{setting}");
    }
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_without_being_shown() {
    for key in ["hunter2\n", "hunter2 x", "hünter2"] {
        let refusal = refusal(&Config { api_key: key.into(), ..config("http://127.0.0.1:1/v1") });
        assert!(refusal.starts_with("upstream.api_key: ") && !refusal.contains("nter2"), "{refusal}");
    }
}

#[test]
fn unknown_missing_and_wrong_settings_are_refused_by_name() {
    let good = json!({
        "driver": "responses", "base_url": "http://h/v1", "api_key": "", "connect_timeout_ms": 1,
        "first_byte_timeout_ms": 1, "idle_timeout_ms": 1, "deadline_ms": 1, "response_bytes_max": 1,
        "connections_max": 1, "retries_max": 0, "breaker_failures": 0, "breaker_open_ms": 1, "calls_max": 1,
        "calls_queued_max": 0,
    });
    let read = |value: Value| serde_json::from_value::<Config>(value).map_err(|error| error.to_string());
    assert_eq!(read(good.clone()).unwrap().driver, DriverKind::Responses);
    for name in good.as_object().unwrap().keys() {
        let mut lacking = good.clone();
        lacking.as_object_mut().unwrap().remove(name);
        assert!(read(lacking).unwrap_err().contains(name), "{name} has its default in config/default.toml only");
    }
    let mut unknown = good.clone();
    unknown["proxy"] = json!("x");
    assert!(read(unknown).unwrap_err().contains("proxy"));
    let mut wrong = good;
    wrong["driver"] = json!("telepathy");
    assert!(read(wrong).unwrap_err().contains("'telepathy' is not allowed, only \"responses\" is"));
}
