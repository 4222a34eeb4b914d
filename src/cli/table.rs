//! Lists as people read them at a terminal.

use std::io::{self, Write};
use std::process;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::{PAGE_ENTRIES_MAX, Page};

/// Prints one row, each text in its column. Whoever reads may go away at any time, which ends the program.
pub fn row<const COLUMNS: usize>(widths: [usize; COLUMNS], cells: [&str; COLUMNS]) {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(text, width)| format!("{text:<width$}")).collect();
    if writeln!(io::stdout(), "{}", padded.join(" ").trim_end()).is_err() {
        process::exit(0);
    }
}

/// A time to the second, or a dash.
pub fn when(time: Option<OffsetDateTime>) -> String {
    let whole = time.and_then(|time| time.replace_nanosecond(0).ok());
    whole.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "-".to_owned())
}

/// Goes through a list piece by piece; `print` answers the last entry's id and whether the list goes on.
pub async fn pages(print: impl AsyncFn(Page) -> anyhow::Result<(Option<String>, bool)>) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let (last, has_more) = print(Page { after, limit: PAGE_ENTRIES_MAX }).await?;
        if !has_more {
            return Ok(());
        }
        after = last;
    }
}
