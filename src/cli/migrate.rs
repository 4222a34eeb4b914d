//! `threadkeep migrate`.

use anyhow::Context;

use crate::app::Database;
use crate::settings::Settings;
use crate::store::schema;

/// Applies every migration that is missing.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let database = Database::connect(&settings).await?;
    let before = schema::state(database.pool()).await?;
    schema::migrate(database.pool()).await.context("the database cannot be migrated")?;
    if before == schema::State::Current {
        println!("The schema is up to date.");
    } else {
        println!("The schema is now up to date.");
    }
    Ok(())
}
