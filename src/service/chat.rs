//! A turn, as its caller sees it. The caller's patience is not part of it: a turn runs to its end whether or not
//! anyone still listens.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::domain::{
    AgentId, AgentRef, Caller, Content, IdempotencyKey, MessageId, OnBusy, RunId, ThreadId, Usage, UserInput,
};
use crate::service::{Error, Service, turn};
use crate::store::turns::Opening;

/// What a user asks an agent on a thread.
#[derive(Debug)]
pub struct Question {
    /// The words.
    pub user_input: UserInput,
    /// The agent that shall answer; it must be the thread's.
    pub agent: AgentRef,
    /// The thread.
    pub thread_id: ThreadId,
    /// What to do on a busy thread; unset: as the agent or the settings say.
    pub on_busy: Option<OnBusy>,
    /// The caller's key for this turn.
    pub key: Option<IdempotencyKey>,
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
    /// Whether an earlier request with the same key had this answer already.
    pub replayed: bool,
}

/// What happens in a turn, in this order: `Opened`, any number of `Delta`, then `Completed` or `Failed`; a turn
/// that cannot be opened is only `Failed`, and one that is replayed only `Completed`.
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
    /// The first event, until it is taken.
    first: Option<Event>,
    request_id: String,
}

/// Sends a turn's events to whoever still listens.
#[derive(Debug, Clone)]
pub struct Audience(UnboundedSender<Event>);

/// Starts a turn.
pub fn start(service: &Service, caller: Caller, question: Question) -> Turn {
    let (sender, events) = unbounded_channel();
    let request_id = caller.request_id.clone();
    let opening = opening(service, caller, question);
    spawn(service, opening, Audience(sender));
    Turn { events, first: None, request_id }
}

/// Starts a turn that nobody listens to.
pub fn start_unheard(service: &Service, opening: Opening) {
    spawn(service, opening, Audience::nobody());
}

impl Turn {
    /// Waits until it is known whether the turn is opened; the error says why it is not. Answers whether it is the
    /// repetition of one that has its answer.
    pub async fn opened(&mut self) -> Result<bool, Error> {
        match self.receive().await {
            Event::Failed(error) => Err(error),
            first => {
                let replayed = matches!(&first, Event::Completed(reply) if reply.replayed);
                self.first = Some(first);
                Ok(replayed)
            }
        }
    }

    /// The id of the request that started it.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The next event; after the last one, and when the process stops the turn, [`Error::Interrupted`].
    pub async fn next(&mut self) -> Event {
        match self.first.take() {
            Some(first) => first,
            None => self.receive().await,
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

    async fn receive(&mut self) -> Event {
        self.events.recv().await.unwrap_or(Event::Failed(Error::Interrupted))
    }
}

impl Audience {
    /// An audience that hears nothing.
    pub fn nobody() -> Self {
        Self(unbounded_channel().0)
    }

    /// Sends an event.
    pub fn tell(&self, event: Event) {
        if self.0.send(event).is_err() {
            log::trace!("nobody listens to a turn any more");
        }
    }
}

fn spawn(service: &Service, opening: Opening, audience: Audience) {
    let running = service.clone();
    let turn = async move {
        let last = match turn::execute(&running, opening, &audience).await {
            Ok(reply) => Event::Completed(Box::new(reply)),
            Err(error) => Event::Failed(error),
        };
        audience.tell(last);
    };
    actix_rt::spawn(service.process.turns.track_future(turn));
}

fn opening(service: &Service, caller: Caller, question: Question) -> Opening {
    Opening {
        caller,
        thread_id: question.thread_id,
        agent: question.agent,
        run_id: RunId::generate(),
        message_id: MessageId::generate(),
        content: Content::text(question.user_input.into()),
        lease: service.process.lease(),
        on_busy: question.on_busy,
        on_busy_default: service.process.config.on_busy,
        key: question.key,
    }
}
