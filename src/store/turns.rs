//! The atomic phases of a turn, each one statement; what lies between them is not here.

mod close;
mod follow;
mod open;

pub use close::{Closing, close};
pub use follow::{Cancelled, Outcome, Reopened, cancel, leave_line, outcome, reopen};
pub use open::{Claim, Lease, Opened, Opening, Refusal, open};

use crate::domain::{Content, LimitKind, LimitOwner, OverLimit};
use crate::store::{Error, undecodable};

/// The attempt that opens a run.
pub const FIRST_ATTEMPT: i32 = 1;

fn column<'row, Row, Cell>(rows: &'row [Row], cell: impl Fn(&'row Row) -> Cell) -> Vec<Cell> {
    rows.iter().map(cell).collect()
}

fn contents<'row>(cells: impl Iterator<Item = Option<&'row Content>>) -> Result<Vec<Option<String>>, Error> {
    cells.map(|cell| cell.map(serde_json::to_string).transpose().map_err(undecodable)).collect()
}

/// What `admit_turns` says of a turn that it refuses.
struct LimitColumns<'row> {
    of: Option<&'row str>,
    reached: Option<&'row str>,
    allowed: Option<i64>,
    retry_ms: Option<i64>,
}

impl LimitColumns<'_> {
    fn over_limit(&self) -> Option<OverLimit> {
        Some(OverLimit {
            kind: LimitKind::of_name(self.reached?)?,
            owner: LimitOwner::of_name(self.of?)?,
            allowed: u64::try_from(self.allowed?).ok()?,
            retry_ms: u64::try_from(self.retry_ms?).ok()?,
        })
    }
}
