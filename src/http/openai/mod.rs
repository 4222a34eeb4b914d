//! The four routes of the contract, one file each.

pub mod chat;
pub mod delete_agent;
pub mod initialize;
pub mod models;
