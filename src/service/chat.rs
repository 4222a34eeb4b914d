//! A turn: open, call the model without holding a connection, close. The client's patience is not part of it: a
//! turn runs to its end whether or not anyone still listens.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::domain::{
    AgentId, AgentRef, Answer, Caller, Content, Failure, MessageId, ModelCall, RunId, RunStatus, ThreadId, Usage,
    UserInput,
};
use crate::service::{Error, Service};
use crate::store::turns::{self, Claim, Closing, Lease, Opened, Opening};

/// What a user asks an agent on a thread.
#[derive(Debug)]
pub struct Question {
    /// The words.
    pub user_input: UserInput,
    /// The agent that shall answer; it must be the thread's.
    pub agent: AgentRef,
    /// The thread.
    pub thread_id: ThreadId,
}

/// An answer that is recorded.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The words.
    pub response: String,
    /// The thread.
    pub thread_id: ThreadId,
    /// The agent that answered.
    pub agent_id: AgentId,
    /// The run that answered.
    pub run_id: RunId,
    /// The agent's message.
    pub message_id: MessageId,
    /// Tokens as the provider counted them.
    pub usage: Option<Usage>,
}

/// What happens in a turn, in this order: `Opened`, any number of `Delta`, then `Completed` or `Failed`; a turn
/// that cannot be opened is only `Failed`.
#[derive(Debug)]
pub enum Event {
    /// The user's message and the run are recorded.
    Opened,
    /// The next piece of the answer's text.
    Delta(String),
    /// The answer is recorded.
    Completed(Box<Reply>),
    /// There is no answer; what is known of the cause is recorded.
    Failed(Error),
}

/// A turn that goes on by itself; dropping this does not stop it.
#[derive(Debug)]
pub struct Turn {
    events: UnboundedReceiver<Event>,
}

/// Starts a turn.
pub fn start(service: &Service, caller: Caller, question: Question) -> Turn {
    let (sender, events) = unbounded_channel();
    let running = service.clone();
    let turn = async move {
        let last = match execute(&running, caller, question, &sender).await {
            Ok(reply) => Event::Completed(Box::new(reply)),
            Err(error) => Event::Failed(error),
        };
        tell(&sender, last);
    };
    actix_rt::spawn(service.process.turns.track_future(turn));
    Turn { events }
}

impl Turn {
    /// The next event; after the last one, and when the process stops the turn, [`Error::Interrupted`].
    pub async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap_or(Event::Failed(Error::Interrupted))
    }

    /// Waits until the turn is opened; the error says why it is not.
    pub async fn opened(&mut self) -> Result<(), Error> {
        match self.next().await {
            Event::Failed(error) => Err(error),
            Event::Opened | Event::Delta(_) | Event::Completed(_) => Ok(()),
        }
    }

    /// Waits for the end of the turn.
    pub async fn reply(mut self) -> Result<Reply, Error> {
        loop {
            match self.next().await {
                Event::Completed(reply) => return Ok(*reply),
                Event::Failed(error) => return Err(error),
                Event::Opened | Event::Delta(_) => {}
            }
        }
    }
}

async fn execute(
    service: &Service,
    caller: Caller,
    question: Question,
    events: &UnboundedSender<Event>,
) -> Result<Reply, Error> {
    let opening = Opening {
        caller,
        thread_id: question.thread_id,
        agent: question.agent,
        run_id: RunId::generate(),
        message_id: MessageId::generate(),
        content: Content::text(question.user_input.into()),
        lease: Lease {
            owner: service.process.lease_owner.to_string(),
            duration_ms: service.process.config.lease_ms.into(),
        },
    };
    let claim = open(service, &opening).await?;
    tell(events, Event::Opened);
    let call = ModelCall { run_id: &opening.run_id, agent: &claim.agent, history: &claim.history };
    let outcome = service.upstream.answer(&call, &mut |delta| tell(events, Event::Delta(delta.to_owned()))).await;
    close(service, opening, claim.agent_id, outcome).await
}

/// Sends an event to whoever still listens.
fn tell(events: &UnboundedSender<Event>, event: Event) {
    if events.send(event).is_err() {
        log::trace!("the client of a turn has hung up");
    }
}

async fn open(service: &Service, opening: &Opening) -> Result<Claim, Error> {
    let mut opened = turns::open(service.pool(), std::slice::from_ref(opening)).await?;
    match opened.pop() {
        Some(Opened::Claimed(claim)) => Ok(*claim),
        Some(Opened::ThreadNotFound) => Err(Error::ThreadNotFound(opening.thread_id.clone())),
        Some(Opened::AgentDeleted) => Err(Error::AgentDeleted(opening.agent.clone())),
        Some(Opened::AgentMismatch) => {
            Err(Error::AgentMismatch { thread_id: opening.thread_id.clone(), agent: opening.agent.clone() })
        }
        Some(Opened::ThreadBusy) => Err(Error::ThreadBusy(opening.thread_id.clone())),
        Some(Opened::AgentNotFound) | None => Err(Error::AgentNotFound(opening.agent.clone())),
    }
}

async fn close(
    service: &Service,
    opening: Opening,
    agent_id: AgentId,
    outcome: Result<Answer, Failure>,
) -> Result<Reply, Error> {
    let message_id = MessageId::generate();
    let closing = closing(&opening, &message_id, &outcome);
    let closed = turns::close(service.pool(), std::slice::from_ref(&closing)).await?;
    if closed != [true] {
        return Err(Error::Interrupted);
    }
    let answer = outcome?;
    Ok(Reply {
        response: answer.text,
        thread_id: opening.thread_id,
        agent_id,
        run_id: opening.run_id,
        message_id,
        usage: answer.usage,
    })
}

fn closing(opening: &Opening, message_id: &MessageId, outcome: &Result<Answer, Failure>) -> Closing {
    let closing = Closing {
        run_id: opening.run_id.clone(),
        attempt: turns::FIRST_ATTEMPT,
        lease_owner: opening.lease.owner.clone(),
        actor: opening.caller.actor.clone(),
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
