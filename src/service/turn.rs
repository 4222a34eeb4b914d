//! The life of a turn: claim the thread (in line, where others came first), call the model without holding a
//! connection, close. Lines and retries are decided here; the phases themselves are the store's.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::domain::{Cause, Failure, ModelCall, OnBusy, RunId, RunStatus};
use crate::service::board::{Stop, Waiting};
use crate::service::chat::{Audience, Event, Reply};
use crate::service::{Error, Service, closing};
use crate::store::turns::{self, Claim, Opened, Opening, Outcome, Refusal, Reopened};

/// What a claim came to.
enum Claimed {
    /// The run is ours to execute.
    Ours(Box<Claim>),
    /// An earlier request with the same key has its answer.
    Answered(Box<Reply>),
}

/// How long a call waits that found its key in use at that very moment.
const AGAIN: Duration = Duration::from_millis(10);

/// How long a question that was accepted waits at most before it is held against the limits once more.
const LATER_MAX: Duration = Duration::from_secs(2);

/// Executes a turn from its claim to its end.
pub async fn execute(service: &Service, opening: Opening, audience: &Audience) -> Result<Reply, Error> {
    let who = opening.caller.who();
    match claim(service, opening).await? {
        Claimed::Answered(reply) => Ok(*reply),
        Claimed::Ours(claim) => {
            audience.tell(Event::Opened);
            answer(service, *claim, who, audience).await
        }
    }
}

/// Calls the model for a claimed run and closes it.
pub async fn answer(service: &Service, claim: Claim, who: Value, audience: &Audience) -> Result<Reply, Error> {
    let mut running = service.process.board.execute(claim.run_id.clone());
    let call = ModelCall { run_id: &claim.run_id, agent: &claim.agent, history: &claim.history };
    let mut pass_on = |delta: &str| audience.tell(Event::Delta(delta.to_owned()));
    let outcome = tokio::select! {
        outcome = service.upstream.answer(&call, &mut pass_on) => outcome,
        stop = &mut running.stopped => match stop {
            Ok(Stop::Cancelled) => Err(cancelled()),
            Ok(Stop::Lost) | Err(_) => return Err(Error::Interrupted),
        },
    };
    let thread_id = claim.thread_id.clone();
    let reply = closing::close(service, claim, who, outcome).await;
    drop(running);
    service.process.board.freed(&thread_id);
    reply
}

async fn claim(service: &Service, mut opening: Opening) -> Result<Claimed, Error> {
    let deadline = service.process.patience();
    let mut _place = None;
    loop {
        if service.process.is_draining() {
            return Err(Error::Draining);
        }
        let (asked, opened) = service.process.writers.open(opening).await?;
        opening = asked;
        match opened {
            Opened::Claimed(claim) => return Ok(Claimed::Ours(claim)),
            Opened::Earlier(run_id) => match earlier(service, &opening, &run_id, deadline).await? {
                Some(claimed) => return Ok(claimed),
                None => sleep(AGAIN).await,
            },
            Opened::InLine(run_id, policy) => {
                _place = Some(stand_in_line(service, &opening, &run_id, policy, deadline).await?);
            }
            Opened::Later(run_id, wait) => {
                _place = Some(service.process.board.wait(opening.thread_id.clone(), run_id));
                sleep(wait.min(LATER_MAX)).await;
            }
            Opened::Again => sleep(AGAIN).await,
            Opened::Refused(why) => return Err(refusal(why, &opening)),
        }
    }
}

/// Waits until this turn may be first, and errs when it has waited long enough; its place counts until it is dropped.
async fn stand_in_line(
    service: &Service,
    opening: &Opening,
    run_id: &RunId,
    policy: OnBusy,
    deadline: Instant,
) -> Result<Waiting, Error> {
    let process = &service.process;
    let place = process.board.wait(opening.thread_id.clone(), run_id.clone());
    process.board.hint();
    let is_woken = match policy {
        _ if process.is_draining() => false,
        OnBusy::Queue => {
            place.woken().await;
            true
        }
        _ => timeout_at(deadline, place.woken()).await.is_ok(),
    };
    if is_woken && !process.is_draining() {
        return Ok(place);
    }
    turns::leave_line(service.pool(), run_id, &process.replica_id).await?;
    Err(match policy {
        OnBusy::Queue => Error::HandedOver(run_id.clone()),
        _ if process.is_draining() => Error::Draining,
        _ => Error::ThreadBusy(opening.thread_id.clone()),
    })
}

/// Repeats what an earlier request with the same key came to, waits for it, or continues it where it failed.
async fn earlier(
    service: &Service,
    opening: &Opening,
    run_id: &RunId,
    deadline: Instant,
) -> Result<Option<Claimed>, Error> {
    let process = &service.process;
    let place = process.board.wait(opening.thread_id.clone(), run_id.clone());
    let Some(outcome) = turns::outcome(service.pool(), &opening.caller.project_id, run_id).await? else {
        return Ok(None);
    };
    match outcome.status {
        RunStatus::Completed => Ok(replayed(run_id, outcome).map(Claimed::Answered)),
        RunStatus::Failed => {
            let reopened = turns::reopen(service.pool(), &opening.caller, run_id, &process.lease()).await?;
            match reopened {
                Reopened::Claimed(claim) => Ok(Some(Claimed::Ours(claim))),
                Reopened::OverLimit(over) => Err(Error::OverLimit(over)),
                Reopened::Elsewhere if timeout_at(deadline, place.woken()).await.is_ok() => Ok(None),
                Reopened::Elsewhere => Err(Error::ThreadBusy(opening.thread_id.clone())),
            }
        }
        RunStatus::Incomplete | RunStatus::Cancelled | RunStatus::Expired => {
            let (code, sentence) = outcome.error.unwrap_or_default();
            Err(Error::Recorded { code, sentence })
        }
        RunStatus::Queued | RunStatus::InProgress | RunStatus::RequiresAction | RunStatus::Cancelling => {
            let waited = timeout_at(deadline, place.woken()).await;
            waited.map_or_else(|_| Err(Error::StillRunning(run_id.clone())), |()| Ok(None))
        }
    }
}

fn replayed(run_id: &RunId, outcome: Outcome) -> Option<Box<Reply>> {
    let (message_id, content) = outcome.answer?;
    Some(Box::new(Reply {
        response: content.plain_text().into_owned(),
        thread_id: outcome.thread_id,
        agent_id: outcome.agent_id,
        run_id: run_id.clone(),
        message_id,
        usage: outcome.usage,
        replayed: true,
    }))
}

fn refusal(why: Refusal, opening: &Opening) -> Error {
    let (thread_id, agent) = (opening.thread_id.clone(), opening.agent.clone());
    match why {
        Refusal::ThreadNotFound => Error::ThreadNotFound(thread_id),
        Refusal::AgentNotFound => Error::AgentNotFound(agent),
        Refusal::AgentDeleted => Error::AgentDeleted(agent),
        Refusal::AgentMismatch => Error::AgentMismatch { thread_id, agent },
        Refusal::ThreadBusy => Error::ThreadBusy(thread_id),
        Refusal::KeyReused => Error::KeyReused,
        Refusal::OverLimit(over) => Error::OverLimit(over),
    }
}

fn cancelled() -> Failure {
    Failure {
        cause: Cause::Cancelled,
        sentence: "The turn was cancelled.".into(),
        detail: "cancelled".into(),
        usage: None,
        response_id: None,
        request_id: None,
    }
}
