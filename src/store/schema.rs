//! The schema's migrations and whether the database stands exactly where this program expects it.

use std::collections::BTreeMap;

use sqlx::migrate::Migrator;
use sqlx::{PgExecutor, PgPool};

use crate::store::Error;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Where a database stands, seen from this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Every migration of this program is applied, and nothing else.
    Current,
    /// Some migrations are missing; `applied` of `known` are there.
    Behind {
        /// Migrations applied so far.
        applied: usize,
        /// Migrations this program carries.
        known: usize,
    },
    /// The database holds a migration that this program does not carry.
    Ahead {
        /// The first unknown version.
        version: i64,
    },
    /// A migration was applied with another text than this program's.
    Altered {
        /// The version that differs.
        version: i64,
    },
}

/// Compares the applied migrations with this program's own.
pub async fn state(executor: impl PgExecutor<'_> + Copy) -> Result<State, Error> {
    let exists = sqlx::query_scalar!(r#"select to_regclass('_sqlx_migrations') is not null as "exists!""#)
        .fetch_one(executor)
        .await?;
    let mut applied = BTreeMap::new();
    if exists {
        let rows = sqlx::query!("select version, checksum from _sqlx_migrations where success order by version")
            .fetch_all(executor)
            .await?;
        applied.extend(rows.into_iter().map(|row| (row.version, row.checksum)));
    }
    Ok(compare(&applied))
}

/// Asks the database for a sign of life.
pub async fn ping(executor: impl PgExecutor<'_>) -> Result<(), Error> {
    sqlx::query_scalar!(r#"select 1 as "one!""#).fetch_one(executor).await?;
    Ok(())
}

/// Applies every migration that is missing; safe to call from several processes at once.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    MIGRATIONS.run(pool).await
}

fn compare(applied: &BTreeMap<i64, Vec<u8>>) -> State {
    let known: BTreeMap<i64, &[u8]> = MIGRATIONS.iter().map(|own| (own.version, own.checksum.as_ref())).collect();
    for (version, checksum) in applied {
        match known.get(version) {
            None => return State::Ahead { version: *version },
            Some(own) if *own != checksum.as_slice() => return State::Altered { version: *version },
            Some(_) => {}
        }
    }
    if applied.len() < known.len() {
        return State::Behind { applied: applied.len(), known: known.len() };
    }
    State::Current
}
