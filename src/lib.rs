//! Threadkeep: a home of your own for agents and their threads, in your Postgres, answered by any OpenAI-compatible
//! server. Read a turn from `http::openai::chat` down through `service::chat` to `store::turns`.

pub mod app;
pub mod cli;
pub mod domain;
pub mod http;
pub mod postgres;
pub mod service;
pub mod settings;
pub mod simulator;
pub mod store;
pub mod upstream;
