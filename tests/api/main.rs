//! The service through its front door: HTTP, a real Postgres with a migrated database per test, a provider on the
//! network.
#![cfg(test)]

mod admin;
mod audit;
mod auth;
mod authorisation;
mod harness;
mod health;
mod hygiene;
mod idempotency;
mod inspect;
mod limits;
mod openai;
mod replicas;
mod secrets;
mod tls;
mod tokens;
mod upgrade;
mod writers;
