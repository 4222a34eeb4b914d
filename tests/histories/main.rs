//! Real replicas, a real Postgres and a real provider process under kills, pauses and restarts, and a check of
//! everything that was promised meanwhile. `HISTORY_SEED` and `HISTORY_SECONDS` choose another or a longer history.
#![cfg(test)]

mod ask;
mod check;
mod clients;
#[path = "../api/harness/database.rs"]
mod database;
mod failover;
mod guards;
mod history;
mod nemesis;
mod program;
mod record;
mod rows;
mod world;
