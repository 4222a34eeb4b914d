//! The ids and the time that an answer carries; random, since two answers never share an id.

use super::journal;

pub struct Issue {
    pub response_id: String,
    pub item_id: String,
    pub call_id: String,
    /// Seconds since 1970, UTC.
    pub created_at: u64,
}

impl Issue {
    /// The prefixes are the wire's: of the whole answer, and of its item.
    pub fn new(response: &str, item: &str) -> Self {
        Self { response_id: id(response), item_id: id(item), call_id: id("call"), created_at: journal::now().as_secs() }
    }
}

pub fn id(prefix: &str) -> String {
    format!("{prefix}_{:032x}", fastrand::u128(..))
}
