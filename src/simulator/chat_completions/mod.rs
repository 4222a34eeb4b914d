//! The Chat Completions wire: what it accepts, its object, its chunks; not the conversation itself.

pub mod chunks;
mod messages;
pub mod object;
pub mod request;
