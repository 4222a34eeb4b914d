//! A project's runs, as an administrator reads them.

use crate::domain::{Page, Piece, RunId};
use crate::service::{Error, projects};
use crate::store::{PgPool, runs};

pub use crate::store::runs::{Filter, Run};

/// A project's runs, newest first.
pub async fn list(pool: &PgPool, project: &str, filter: &Filter, page: &Page) -> Result<Piece<Run>, Error> {
    let project = projects::find(pool, project).await?;
    Ok(runs::list(pool, &project.id, filter, page).await?)
}

/// One run.
pub async fn find(pool: &PgPool, project: &str, run_id: RunId) -> Result<Run, Error> {
    let unknown = Error::NotFound { kind: "run", name: run_id.to_string() };
    let filter = Filter { run_id: Some(run_id), ..Filter::default() };
    list(pool, project, &filter, &Page::of_one()).await?.data.pop().ok_or(unknown)
}
