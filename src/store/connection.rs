//! How the database is reached: the settings, the pool, and nothing that is asked through it.

use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::ConnectOptions;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};

use crate::store::Error;

/// Section `database` of the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `postgres://…`; empty starts the embedded Postgres.
    pub url: SecretString,
    /// The most connections in the pool, which serves everything but the turns' own statements.
    pub connections_max: u32,
    /// The connections that write turns; each writes all turns that wait at the moment in one statement.
    pub writers: u32,
    /// How many turns may wait to be opened, and how many to be closed.
    pub queue_max: usize,
    /// How long a statement may wait for a connection before its request is answered with 503.
    pub acquire_timeout_ms: u64,
}

impl Config {
    /// Checks what the types do not; the error names the key, and shows nothing of the URL, which holds a password.
    pub fn validate(&self) -> Result<(), String> {
        let url = self.url.expose_secret();
        if !url.is_empty() && !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("setting 'database.url' (DATABASE_URL): must begin with postgres:// or postgresql://".into());
        }
        for (key, is_zero) in [
            ("connections_max", self.connections_max == 0),
            ("writers", self.writers == 0),
            ("queue_max", self.queue_max == 0),
        ] {
            if is_zero {
                return Err(format!("setting 'database.{key}': must be greater than 0"));
            }
        }
        Ok(())
    }

    /// Whether no database is named, so that the program brings its own.
    pub fn is_embedded(&self) -> bool {
        self.url.expose_secret().is_empty()
    }
}

/// Opens a pool and makes sure that the database answers; `name` is what its connections are called there.
pub async fn connect(url: &SecretString, config: &Config, name: &str) -> Result<PgPool, Error> {
    let options = options(url, name)?;
    let pool = PgPoolOptions::new()
        .max_connections(config.connections_max)
        .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms))
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await;
    match pool {
        // The pool tries until its time is over and keeps the reason to itself; one more connection tells it.
        Err(sqlx::Error::PoolTimedOut) => {
            Err(options.connect().await.err().unwrap_or(sqlx::Error::PoolTimedOut).into())
        }
        pool => Ok(pool?),
    }
}

/// What every connection has in common; `name` is what it is called in the database.
pub fn options(url: &SecretString, name: &str) -> Result<PgConnectOptions, Error> {
    let options = PgConnectOptions::from_str(url.expose_secret())?
        .application_name(name)
        .log_statements(LevelFilter::Trace)
        .log_slow_statements(LevelFilter::Off, Duration::MAX);
    Ok(options)
}

/// A connection of the pool.
pub async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, Error> {
    Ok(pool.acquire().await?)
}

/// Begins a transaction; dropping it undoes it.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, Error> {
    Ok(pool.begin().await?)
}

/// Makes a transaction durable.
pub async fn commit(transaction: Transaction<'static, Postgres>) -> Result<(), Error> {
    Ok(transaction.commit().await?)
}
