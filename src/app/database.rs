//! The database that the settings name: a given one, or the program's own.

use anyhow::{Context, bail};
use secrecy::SecretString;

use crate::postgres::Embedded;
use crate::settings::Settings;
use crate::store::schema::{self, State};
use crate::store::{self, PgPool, Writers};

/// One connection for the pulse's statements, one for its notifications.
const PULSE_CONNECTIONS: u32 = 2;

/// An open database; dropping it stops the embedded one.
pub struct Database {
    url: SecretString,
    pool: PgPool,
    pulse_pool: PgPool,
    embedded: Option<Embedded>,
}

impl Database {
    /// Connects, and makes sure that the schema is this program's: the embedded database migrates itself, a given
    /// one must be current.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let database = Self::connect(settings).await?;
        if database.embedded.is_some() {
            schema::migrate(&database.pool).await.context("the embedded database cannot be migrated")?;
        }
        match schema::state(&database.pool).await? {
            State::Current => Ok(database),
            State::Behind { applied, known } => bail!(
                "the database's schema is behind: {applied} of {known} migrations are applied; run `threadkeep migrate`"
            ),
            State::Ahead { version } => bail!(
                "the database holds migration {version}, which this program does not know; run a newer threadkeep"
            ),
            State::Altered { version } => bail!(
                "migration {version} was applied with another text than this program's; run the threadkeep that made \
                 this database, or restore it from a backup"
            ),
        }
    }

    /// Connects, whatever the schema.
    pub async fn connect(settings: &Settings) -> anyhow::Result<Self> {
        let (embedded, url) = if settings.database.is_embedded() {
            let config = settings.postgres.clone();
            let embedded = actix_rt::task::spawn_blocking(move || Embedded::start(&config)).await??;
            let url = embedded.url();
            (Some(embedded), url)
        } else {
            (None, settings.database.url.clone())
        };
        let pool = pool(&url, &settings.database, "threadkeep").await?;
        let few = store::Config { connections_max: PULSE_CONNECTIONS, ..settings.database.clone() };
        let pulse_pool = self::pool(&url, &few, "threadkeep pulse").await?;
        Ok(Self { url, pool, pulse_pool, embedded })
    }

    /// The connections.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The connections of the pulse.
    pub fn pulse_pool(&self) -> &PgPool {
        &self.pulse_pool
    }

    /// Starts connections of their own for turns.
    pub fn writers(&self, config: &store::Config) -> anyhow::Result<Writers> {
        Writers::start(&self.url, config).context("the writers of turns cannot be started")
    }

    /// The program's own Postgres, where that is what answers.
    pub fn embedded(&self) -> Option<&Embedded> {
        self.embedded.as_ref()
    }
}

async fn pool(url: &SecretString, config: &store::Config, name: &str) -> anyhow::Result<PgPool> {
    let connected = store::connect(url, config, name).await;
    connected.context("the database cannot be reached (DATABASE_URL, or database.url in the settings)")
}
