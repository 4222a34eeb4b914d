//! The Responses wire: what it accepts, its object, its events; not the conversation itself.

pub mod events;
mod input;
pub mod object;
pub mod request;
mod tools;
