//! Closing turns: the end of the run, the answer, and the freedom of the thread.

use serde_json::Value;
use sqlx::PgConnection;

use super::{column, contents};
use crate::domain::{Content, MessageId, RunId, RunStatus, Usage};
use crate::store::{Error, undecodable};

/// One turn to be closed.
#[derive(Debug, Clone)]
pub struct Closing {
    /// The run that ends.
    pub run_id: RunId,
    /// The attempt that ended it; any other attempt's closing is void.
    pub attempt: i32,
    /// The process that held the lease.
    pub lease_owner: String,
    /// How the audit names who asked.
    pub who: Value,
    /// The final state.
    pub status: RunStatus,
    /// The code and the sentence of a failure.
    pub error: Option<(&'static str, String)>,
    /// The answer, where there is one.
    pub answer: Option<(MessageId, Content)>,
    /// Tokens as the provider counted them.
    pub usage: Option<Usage>,
    /// The dated model that answered.
    pub provider_model: Option<String>,
    /// The provider's `x-request-id`.
    pub provider_request_id: Option<String>,
    /// The provider's id of the response.
    pub provider_response_id: Option<String>,
}

/// Closes turns in one round trip; `false` for each whose attempt no longer holds its run, of which nothing is
/// written.
pub async fn close(connection: &mut PgConnection, closings: &[Closing]) -> Result<Vec<bool>, Error> {
    let rows = sqlx::query_file!(
        "src/store/turns/close.sql",
        &column(closings, |turn| turn.run_id.as_str()) as _,
        &column(closings, |turn| turn.attempt),
        &column(closings, |turn| turn.lease_owner.as_str()) as _,
        &column(closings, |turn| turn.status.as_str()) as _,
        &column(closings, |turn| turn.error.as_ref().map(|(code, _)| *code)) as _,
        &column(closings, |turn| turn.error.as_ref().map(|(_, sentence)| sentence.as_str())) as _,
        &column(closings, |turn| turn.answer.as_ref().map(|(id, _)| id.as_str())) as _,
        &contents(closings.iter().map(|turn| turn.answer.as_ref().map(|(_, content)| content)))? as _,
        &usages(closings)? as _,
        &column(closings, |turn| turn.provider_model.as_deref()) as _,
        &column(closings, |turn| turn.provider_request_id.as_deref()) as _,
        &column(closings, |turn| turn.provider_response_id.as_deref()) as _,
        &column(closings, |turn| turn.who.to_string()) as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.closed).collect())
}

fn usages(closings: &[Closing]) -> Result<Vec<Option<String>>, Error> {
    closings
        .iter()
        .map(|turn| turn.usage.map(|usage| serde_json::to_string(&usage)).transpose().map_err(undecodable))
        .collect()
}
