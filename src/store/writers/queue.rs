//! Turns that wait for a writer: two bounded lanes, first come, first served within each. Who writes is not here.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::store::Error;
use crate::store::turns::{Closing, Opened, Opening};

/// The most turns of one statement.
pub const BATCH_TURNS_MAX: usize = 64;

/// The most text of one statement in bytes; a turn that is larger goes alone.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Where an answer goes; the turn comes back with it.
pub type Reply<T, O> = oneshot::Sender<Result<(T, O), Error>>;

/// Where a caller waits for its answer.
pub type Answer<T, O> = oneshot::Receiver<Result<(T, O), Error>>;

/// Which lane a kind of turn waits in.
pub type LaneOf<T, O> = fn(&mut Lanes) -> &mut Lane<T, O>;

/// What all writers take their work from.
#[derive(Debug)]
pub struct Queue {
    lanes: Mutex<Lanes>,
    arrivals: Notify,
    waiting_max: usize,
}

/// Both kinds of waiting turns.
#[derive(Debug)]
pub struct Lanes {
    /// Turns that begin.
    pub openings: Lane<Opening, Opened>,
    /// Turns that end; they go first, because each frees a thread and the memory of an answer.
    pub closings: Lane<Closing, bool>,
    is_closed: bool,
}

/// Waiting turns of one kind.
#[derive(Debug)]
pub struct Lane<T, O> {
    waiting: VecDeque<Ticket<T, O>>,
    last_number: u64,
}

#[derive(Debug)]
struct Ticket<T, O> {
    number: u64,
    bytes: usize,
    turn: T,
    reply: Reply<T, O>,
}

/// Turns of one kind for one statement, and where each one's answer goes.
#[derive(Debug)]
pub struct Batch<T, O> {
    /// The turns in the order of their arrival.
    pub turns: Vec<T>,
    /// In the order of the turns.
    pub replies: Vec<Reply<T, O>>,
}

/// What a writer writes next.
#[derive(Debug)]
pub enum Work {
    /// Turns to open.
    Openings(Batch<Opening, Opened>),
    /// Turns to close.
    Closings(Batch<Closing, bool>),
}

impl Queue {
    /// A queue in which at most so many turns of each kind wait.
    pub fn new(waiting_max: usize) -> Self {
        let lanes = Lanes { openings: Lane::new(), closings: Lane::new(), is_closed: false };
        Self { lanes: Mutex::new(lanes), arrivals: Notify::new(), waiting_max }
    }

    /// Puts a turn at the end of its lane; answers its number there, and where its answer will come.
    pub fn push<T, O>(&self, lane: LaneOf<T, O>, turn: T, bytes: usize) -> Result<(u64, Answer<T, O>), Error> {
        let (reply, answer) = oneshot::channel();
        let mut lanes = self.lock();
        if lanes.is_closed {
            return Err(sqlx::Error::PoolClosed.into());
        }
        let lane = lane(&mut lanes);
        if lane.waiting.len() >= self.waiting_max {
            return Err(Error::Crowded);
        }
        lane.last_number += 1;
        let number = lane.last_number;
        lane.waiting.push_back(Ticket { number, bytes, turn, reply });
        drop(lanes);
        self.wake();
        Ok((number, answer))
    }

    /// Takes a turn back; `false` when a writer has it already.
    pub fn withdraw<T, O>(&self, lane: LaneOf<T, O>, number: u64) -> bool {
        let mut lanes = self.lock();
        let waiting = &mut lane(&mut lanes).waiting;
        let found = waiting.binary_search_by_key(&number, |ticket| ticket.number);
        found.is_ok_and(|at| waiting.remove(at).is_some())
    }

    /// Waits until a turn waits; `false` when none does and none will.
    pub async fn has_work(&self) -> bool {
        loop {
            let (is_empty, is_closed) = self.state();
            if !is_empty {
                return true;
            }
            if is_closed {
                // Each writer sends the next one home.
                self.wake();
                return false;
            }
            self.arrivals.notified().await;
        }
    }

    /// Takes what waits now, as far as one statement goes.
    pub fn take(&self) -> Option<Work> {
        let mut lanes = self.lock();
        let work = match lanes.closings.take() {
            Some(closings) => Some(Work::Closings(closings)),
            None => lanes.openings.take().map(Work::Openings),
        };
        let is_empty = lanes.is_empty();
        drop(lanes);
        if !is_empty {
            self.wake();
        }
        work
    }

    /// Wakes a writer that has nothing to do: the one that was busy last, whose connection is the freshest.
    pub fn wake(&self) {
        self.arrivals.notify_last();
    }

    /// Lets no more turns in.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.wake();
    }

    /// Gives up what waits if the queue is closed: nobody can say when the database will be back.
    pub fn abandon_if_closed(&self) {
        let mut lanes = self.lock();
        if lanes.is_closed {
            lanes.closings.waiting.clear();
            lanes.openings.waiting.clear();
        }
    }

    fn state(&self) -> (bool, bool) {
        let lanes = self.lock();
        (lanes.is_empty(), lanes.is_closed)
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    fn is_empty(&self) -> bool {
        self.closings.waiting.is_empty() && self.openings.waiting.is_empty()
    }
}

impl<T, O> Batch<T, O> {
    /// Drops the turns whose answer nobody awaits any more.
    pub fn leave_out_the_gone(&mut self) {
        let pairs = self.turns.drain(..).zip(self.replies.drain(..)).filter(|(_, reply)| !reply.is_closed());
        (self.turns, self.replies) = pairs.collect::<Vec<_>>().into_iter().unzip();
    }
}

impl<T, O> Lane<T, O> {
    const fn new() -> Self {
        Self { waiting: VecDeque::new(), last_number: 0 }
    }

    fn take(&mut self) -> Option<Batch<T, O>> {
        let mut bytes = 0;
        let fits = |ticket: &&Ticket<T, O>| {
            bytes += ticket.bytes;
            bytes <= BATCH_BYTES_MAX
        };
        let count = self.waiting.iter().take(BATCH_TURNS_MAX).take_while(fits).count();
        let count = count.max(1).min(self.waiting.len());
        let taken = self.waiting.drain(..count).map(|ticket| (ticket.turn, ticket.reply));
        let (turns, replies): (Vec<T>, Vec<Reply<T, O>>) = taken.unzip();
        (!turns.is_empty()).then_some(Batch { turns, replies })
    }
}
