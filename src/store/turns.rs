//! The atomic phases of a turn, each one statement; what lies between them is not here.

mod close;
mod follow;
mod open;

pub use close::{Closing, close};
pub use follow::{Cancelled, Outcome, cancel, leave_line, outcome, reopen};
pub use open::{Claim, Lease, Opened, Opening, Refusal, open};

use crate::domain::Content;
use crate::store::{Error, undecodable};

/// The attempt that opens a run.
pub const FIRST_ATTEMPT: i32 = 1;

fn column<'row, Row, Cell>(rows: &'row [Row], cell: impl Fn(&'row Row) -> Cell) -> Vec<Cell> {
    rows.iter().map(cell).collect()
}

fn contents<'row>(cells: impl Iterator<Item = Option<&'row Content>>) -> Result<Vec<Option<String>>, Error> {
    cells.map(|cell| cell.map(serde_json::to_string).transpose().map_err(undecodable)).collect()
}
