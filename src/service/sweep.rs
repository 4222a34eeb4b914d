//! What dead or stalled replicas left behind: runs are ended or tried once more, durable questions are asked.

use crate::domain::{AccessRole, Caller, OnBusy, ProjectId, causes};
use crate::service::chat::{self, Audience};
use crate::service::{Service, turn};
use crate::store;
use crate::store::replicas::{self, Adopted, Swept};
use crate::store::turns::{self, Opening, Reopened};

/// How many runs one statement ends at most.
const RUNS_MAX: usize = 100;

/// How the audit names the sweeper.
const ACTOR: &str = "sweeper";

/// Looks once.
pub async fn sweep(service: &Service) -> Result<(), store::Error> {
    let process = &service.process;
    while sweep_some(service).await? == RUNS_MAX {}
    if process.is_draining() {
        return Ok(());
    }
    let (_, awaited) = process.board.awaited();
    for question in replicas::tidy(&process.pulse_pool, &process.replica_id, &awaited).await? {
        log::info!("run_id={} A question that nobody waited for is taken over", question.run_id);
        chat::start_unheard(service, opening(service, question));
    }
    Ok(())
}

async fn sweep_some(service: &Service) -> Result<usize, store::Error> {
    let process = &service.process;
    let swept = replicas::sweep(&process.pulse_pool, ACTOR, RUNS_MAX).await?;
    let count = swept.len();
    for run in swept {
        log::warn!("run_id={} attempt={} A run was abandoned and is ended", run.run_id, run.attempt);
        if process.config.retry_interrupted && !process.is_draining() && is_first(&run) {
            repeat(service, run);
        }
    }
    Ok(count)
}

const fn is_first(run: &Swept) -> bool {
    run.repeatable && run.attempt == turns::FIRST_ATTEMPT
}

fn repeat(service: &Service, run: Swept) {
    let service = service.clone();
    let tracker = service.process.turns.clone();
    actix_rt::spawn(tracker.track_future(async move {
        let caller = sweeper(run.project_id);
        match turns::reopen(service.pool(), &caller, &run.run_id, &service.process.lease()).await {
            Ok(Reopened::Claimed(claim)) => {
                let run_id = claim.run_id.clone();
                if let Err(error) = turn::answer(&service, *claim, caller.who(), &Audience::nobody()).await {
                    log::warn!("run_id={run_id} cause={:?} A repeated run failed, too", causes(&error));
                }
            }
            Ok(Reopened::Elsewhere) => {
                log::info!("run_id={} An interrupted run was continued by somebody else", run.run_id);
            }
            Ok(Reopened::OverLimit(over)) => {
                log::info!("run_id={} code={} An interrupted run is not repeated", run.run_id, over.kind.code());
            }
            Err(error) => {
                log::warn!("run_id={} cause={:?} A run could not be repeated", run.run_id, causes(&error));
            }
        }
    }));
}

fn sweeper(project_id: ProjectId) -> Caller {
    Caller {
        project_id,
        user_id: None,
        role: AccessRole::Service,
        key_id: None,
        address: None,
        actor: ACTOR.to_owned(),
        request_id: String::new(),
    }
}

fn opening(service: &Service, adopted: Adopted) -> Opening {
    let question = adopted.question;
    Opening {
        caller: Caller {
            project_id: adopted.project_id,
            role: AccessRole::Service,
            user_id: question.user_id,
            key_id: question.key_id,
            address: None,
            actor: question.actor,
            request_id: question.request_id,
        },
        thread_id: adopted.thread_id,
        agent: question.agent,
        run_id: adopted.run_id,
        message_id: question.message_id,
        content: question.content,
        lease: service.process.lease(),
        on_busy: Some(OnBusy::Queue),
        on_busy_default: OnBusy::Queue,
        key: None,
    }
}
