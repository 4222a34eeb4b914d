//! A running service of one test's own.

mod app;
mod database;
mod provider;
mod wire;

pub use app::{Answer, App, KEYS, bearer, label};
pub use database::fresh as fresh_database;
pub use provider::Provider;
pub use wire::Wire;
