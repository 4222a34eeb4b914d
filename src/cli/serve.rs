//! `threadkeep serve`.

use crate::app::{Application, signal};
use crate::settings::Settings;

/// Serves until a signal asks for the end.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = signal();
    let application = Application::build(settings).await?;
    println!("{}", application.announcement());
    application.run_until(stop).await
}
