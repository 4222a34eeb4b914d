//! What every test of a driver needs: a configuration with small limits, an agent, a history, a call.

use serde_json::{Value, json};
use threadkeep::domain::{AgentConfig, Answer, Cause, Content, Failure, Message, ModelCall, Role, RunId};
use threadkeep::upstream::{Config, Provider, Upstream};

use crate::fake::{Fake, Script};

/// Limits small enough to be waited for and large enough for a busy machine.
pub fn config(base_url: &str) -> Config {
    serde_json::from_value(json!({
        "driver": "responses", "base_url": base_url, "api_key": "sk-test-0123456789",
        "connect_timeout_ms": 1000, "first_byte_timeout_ms": 5000, "idle_timeout_ms": 5000, "deadline_ms": 10000,
        "response_bytes_max": 200_000, "connections_max": 16, "retries_max": 2,
        "breaker_failures": 10, "breaker_open_ms": 5000, "calls_max": 100, "calls_queued_max": 100,
    }))
    .unwrap()
}

pub fn upstream(config: &Config) -> Upstream {
    Upstream::new(&Provider::new(config).unwrap())
}

/// An agent with the fields given over `{"model": "gpt-test"}`.
pub fn agent(fields: &Value) -> AgentConfig {
    let mut agent = json!({ "model": "gpt-test" });
    agent.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(agent).unwrap()
}

/// Messages by turns, beginning with the user.
pub fn history(texts: &[&str]) -> Vec<Message> {
    let roles = [Role::User, Role::Assistant].into_iter().cycle();
    let text = |(text, role): (&&str, Role)| Message { role, content: Content::text((*text).to_owned()) };
    texts.iter().zip(roles).map(text).collect()
}

/// Asks an agent; the outcome and the deltas that came before it.
pub async fn ask_as(
    config: &Config,
    agent: &AgentConfig,
    history: &[Message],
) -> (Result<Answer, Failure>, Vec<String>) {
    let run_id = RunId::parse("run_test").unwrap();
    let mut deltas = Vec::new();
    let call = ModelCall { run_id: &run_id, agent, history };
    let outcome = upstream(config).answer(&call, &mut |delta| deltas.push(delta.to_owned())).await;
    (outcome, deltas)
}

/// Asks "Hi" of a plain agent.
pub async fn ask(config: &Config) -> (Result<Answer, Failure>, Vec<String>) {
    ask_as(config, &agent(&json!({})), &history(&["Hi"])).await
}

/// Asserts that a call to a provider that plays this script fails for this cause, without a second request.
pub async fn assert_fails_once(script: Script, cause: Cause) -> Failure {
    let fake = Fake::play([script]);
    let failure = ask(&config(&fake.base_url())).await.0.unwrap_err();
    assert_eq!(failure.cause, cause, "{failure:?}");
    assert!(fake.connections() == 1 && fake.requests().len() <= 1, "{failure:?}: {:?}", fake.requests());
    failure
}
