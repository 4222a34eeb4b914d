//! The simulator through HTTP, as a client of the provider meets it; what it is made of inside is not looked at.
#![cfg(test)]

mod chat_completions;
mod checks;
mod client;
mod fault_sources;
mod faults;
mod journal;
mod responses;
mod server;
