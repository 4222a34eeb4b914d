//! The drivers against a scripted provider over real TCP; nothing here leaves 127.0.0.1.
#![cfg(test)]

mod answers;
mod breaker_and_slots;
mod broken;
mod fake;
mod models;
mod refusals;
mod requests;
mod retries;
mod scene;
mod secrets;
mod settings;
mod timeouts;
mod tls;
mod wire;
