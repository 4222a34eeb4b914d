//! The simulated models; any other name is accepted too, except an unknown one of the simulator's own.

use serde_json::{Value, json};

use super::rejection::Rejection;

/// A model that, like the real reasoning models, refuses `temperature` and `top_p`.
pub const REASONING: &str = "simulated-reasoning";

const IDS: [&str; 3] = ["simulated-1", "simulated-mini", REASONING];
const OWN_PREFIX: &str = "simulated-";
const CREATED: u64 = 1_767_225_600;

/// The body of `GET /v1/models`.
pub fn list() -> Value {
    let models: Vec<Value> = IDS.iter().map(|id| described(id)).collect();
    json!({"object": "list", "data": models})
}

/// The body of `GET /v1/models/{id}`.
pub fn one(id: &str) -> Result<Value, Rejection> {
    known(id, 404)?;
    Ok(described(id))
}

/// Fails for a model that cannot answer.
pub fn usable(id: &str) -> Result<(), Rejection> {
    if id.starts_with(OWN_PREFIX) {
        return known(id, 400);
    }
    Ok(())
}

fn known(id: &str, status: u16) -> Result<(), Rejection> {
    if IDS.contains(&id) {
        return Ok(());
    }
    let message = format!("The model '{id}' does not exist or you do not have access to it.");
    Err(Rejection { status, ..Rejection::invalid(Some("model_not_found"), "model", message) })
}

fn described(id: &str) -> Value {
    json!({
        "id": id,
        "object": "model",
        "created": CREATED,
        "owned_by": "threadkeep-simulator",
        "shutdown_date": null,
    })
}
