//! The four routes of the contract, one file each.

mod chat;
mod chat_faults;
mod chat_turns;
mod delete_agent;
mod initialize;
mod models;
