//! What an administrator may do, one file per kind of object; every handler asks for an [`AdminCaller`] first.
//!
//! [`AdminCaller`]: crate::http::extract::AdminCaller

pub mod agents;
pub mod keys;
pub mod limits;
pub mod projects;
pub mod query;
pub mod runs;
pub mod threads;
pub mod users;
