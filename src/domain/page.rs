//! Long lists in pieces.

use serde::Serialize;

/// Which piece of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The id of the last entry of the piece before; none begins the list.
    pub after: Option<String>,
    /// How many entries, from 1 to [`PAGE_ENTRIES_MAX`].
    pub limit: u32,
}

/// A piece of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Piece<T> {
    /// The entries, newest first.
    pub data: Vec<T>,
    /// Whether the list goes on behind them.
    pub has_more: bool,
}

/// The most entries of one piece.
pub const PAGE_ENTRIES_MAX: u32 = 100;

impl Page {
    /// The page of a list that can have one entry only.
    pub const fn of_one() -> Self {
        Self { after: None, limit: 1 }
    }

    /// How many rows to ask for: one more than the entries, which tells whether the list goes on.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The piece that these rows make.
    pub fn piece<T>(&self, mut rows: Vec<T>) -> Piece<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Piece { data: rows, has_more }
    }
}
