//! An error with all that lies behind it, in the words that each cause has for itself.

use std::error::Error;

/// `what failed: because: because …`; never a cause's debug form, which may quote the rows it speaks of.
pub fn causes(error: &dyn Error) -> String {
    let mut whole = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        whole = format!("{whole}: {error}");
        source = error.source();
    }
    whole
}
