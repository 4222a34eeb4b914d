//! The embedded Postgres, started for real: its life, its owners and what it refuses; no HTTP.

mod life;
mod owners;
mod refusals;
#[cfg(test)]
mod scene;
