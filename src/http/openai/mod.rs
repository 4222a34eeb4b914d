//! The four routes of the contract and the cancelling of a turn, one file each.

pub mod cancel;
pub mod chat;
pub mod delete_agent;
pub mod initialize;
pub mod models;
