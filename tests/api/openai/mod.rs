//! The four routes of the contract and the cancelling of a turn.

mod cancel;
mod chat;
mod chat_busy;
mod chat_faults;
mod chat_turns;
mod delete_agent;
mod initialize;
mod models;
