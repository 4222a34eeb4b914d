//! The end of a turn: writing it down, also when the database is away for a moment.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::domain::{Answer, Content, Failure, MessageId, ProjectId, RunStatus, causes};
use crate::service::chat::Reply;
use crate::service::{Error, Service};
use crate::store;
use crate::store::turns::{self, Claim, Closing};

/// How long a closing waits before it is tried again on a database that is away.
const PAUSE: Duration = Duration::from_millis(200);

/// Records how a model call ended and answers it; nothing is recorded when another replica took the run over.
pub async fn close(
    service: &Service,
    claim: Claim,
    who: Value,
    outcome: Result<Answer, Failure>,
) -> Result<Reply, Error> {
    let message_id = MessageId::generate();
    let closing = closing(service, &claim, &message_id, &outcome, who);
    match write(service, &claim.project_id, &closing).await {
        Ok(true) => {}
        Ok(false) => return Err(Error::Interrupted),
        Err(error) => {
            give_up(service, closing).await;
            return Err(error);
        }
    }
    let answer = outcome?;
    Ok(Reply {
        response: answer.text,
        thread_id: claim.thread_id,
        agent_id: claim.agent_id,
        run_id: claim.run_id,
        message_id,
        usage: answer.usage,
        replayed: false,
    })
}

/// Frees the thread of a turn whose end the database refuses to take as it is.
async fn give_up(service: &Service, closing: Closing) {
    let run_id = closing.run_id.clone();
    let sentence = "The answer could not be recorded.".to_owned();
    let closing = Closing { status: RunStatus::Failed, error: Some(("internal", sentence)), answer: None, ..closing };
    match service.process.writers.close(closing).await {
        Ok(_) => log::error!("run_id={run_id} An answer could not be recorded"),
        Err(error) => log::error!("run_id={run_id} cause={:?} A turn could not be closed", causes(&error)),
    }
}

/// Tries until the lease must be over; whether an attempt whose outcome is unknown did write shows in the run itself.
async fn write(service: &Service, project_id: &ProjectId, closing: &Closing) -> Result<bool, Error> {
    let give_up = Instant::now() + Duration::from_millis(service.process.config.lease_ms.into());
    let mut in_doubt = false;
    loop {
        match service.process.writers.close(closing.clone()).await {
            Ok(true) => return Ok(true),
            Ok(false) => return Ok(in_doubt && is_ours(service, project_id, closing).await?),
            Err(error) if is_passing(&error) && Instant::now() < give_up => {
                log::warn!("run_id={} cause={:?} The end of a turn waits", closing.run_id, causes(&error));
                in_doubt = true;
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

const fn is_passing(error: &store::Error) -> bool {
    matches!(error, store::Error::Unavailable(_) | store::Error::Crowded | store::Error::Waited)
}

async fn is_ours(service: &Service, project_id: &ProjectId, closing: &Closing) -> Result<bool, Error> {
    let Some(outcome) = turns::outcome(service.pool(), project_id, &closing.run_id).await? else { return Ok(false) };
    let attempt = outcome.attempt;
    let same_answer = match (&outcome.answer, &closing.answer) {
        (Some((written, _)), Some((ours, _))) => written == ours,
        (None, None) => outcome.error.map(|(code, _)| code).as_deref() == closing.error.as_ref().map(|(code, _)| *code),
        _ => false,
    };
    Ok(same_answer && attempt == closing.attempt)
}

fn closing(
    service: &Service,
    claim: &Claim,
    message_id: &MessageId,
    outcome: &Result<Answer, Failure>,
    who: Value,
) -> Closing {
    let closing = Closing {
        run_id: claim.run_id.clone(),
        attempt: claim.attempt,
        lease_owner: service.process.replica_id.to_string(),
        who,
        status: RunStatus::Completed,
        error: None,
        answer: None,
        usage: None,
        provider_model: None,
        provider_request_id: None,
        provider_response_id: None,
    };
    match outcome {
        Ok(answer) => Closing {
            answer: Some((message_id.clone(), Content::text(answer.text.clone()))),
            usage: answer.usage,
            provider_model: answer.model.clone(),
            provider_request_id: answer.request_id.clone(),
            provider_response_id: answer.response_id.clone(),
            ..closing
        },
        Err(failure) => Closing {
            status: failure.cause.run_status(),
            error: Some((failure.cause.code(), failure.sentence.to_string())),
            usage: failure.usage,
            provider_request_id: failure.request_id.clone(),
            provider_response_id: failure.response_id.clone(),
            ..closing
        },
    }
}
