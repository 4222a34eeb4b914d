//! Turns that wait for a writer: two bounded lanes, first come, first served within each. Who writes is not here.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::domain::ThreadId;
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
    /// The threads of which a writer has turns in hand; others of theirs wait, since the later statement could commit
    /// first.
    held: HashSet<ThreadId>,
    /// Whether a turn may wait that can be taken.
    is_ready: bool,
}

/// What is put into a lane.
#[derive(Debug)]
pub struct Item<T> {
    /// The turn.
    pub turn: T,
    /// What it weighs in its statement.
    pub bytes: usize,
    /// The thread whose turns are written in the order of their arrival.
    pub in_order_of: Option<ThreadId>,
}

#[derive(Debug)]
struct Ticket<T, O> {
    number: u64,
    item: Item<T>,
    reply: Reply<T, O>,
}

/// Turns of one kind for one statement, and where each one's answer goes.
#[derive(Debug)]
pub struct Batch<T, O> {
    /// The turns in the order of their arrival.
    pub turns: Vec<T>,
    /// In the order of the turns.
    pub replies: Vec<Reply<T, O>>,
    /// The threads that no other writer has in hand until they are released.
    pub held: Vec<ThreadId>,
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
    pub fn push<T, O>(&self, lane: LaneOf<T, O>, item: Item<T>) -> Result<(u64, Answer<T, O>), Error> {
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
        lane.waiting.push_back(Ticket { number, item, reply });
        lane.is_ready = true;
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
            let (is_ready, is_closed) = self.state();
            if is_ready {
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
        let is_ready = lanes.is_ready();
        drop(lanes);
        if is_ready {
            self.wake();
        }
        work
    }

    /// Lets the turns of these threads be taken again, whose earlier ones are written.
    pub fn release(&self, threads: &[ThreadId]) {
        let lane = &mut self.lock().openings;
        for thread_id in threads {
            lane.held.remove(thread_id);
        }
        lane.is_ready = !lane.waiting.is_empty();
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
        (lanes.is_ready(), lanes.is_closed)
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    const fn is_ready(&self) -> bool {
        self.closings.is_ready || self.openings.is_ready
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
    fn new() -> Self {
        Self { waiting: VecDeque::new(), last_number: 0, held: HashSet::new(), is_ready: false }
    }

    fn take(&mut self) -> Option<Batch<T, O>> {
        let mut batch = Batch { turns: Vec::new(), replies: Vec::new(), held: Vec::new() };
        let mut passed_over = Vec::new();
        let mut bytes = 0;
        self.is_ready = false;
        while let Some(ticket) = self.waiting.pop_front() {
            if ticket.item.in_order_of.as_ref().is_some_and(|thread_id| self.held.contains(thread_id)) {
                passed_over.push(ticket);
                continue;
            }
            bytes += ticket.item.bytes;
            if batch.turns.len() == BATCH_TURNS_MAX || (bytes > BATCH_BYTES_MAX && !batch.turns.is_empty()) {
                self.waiting.push_front(ticket);
                self.is_ready = true;
                break;
            }
            batch.turns.push(ticket.item.turn);
            batch.replies.push(ticket.reply);
            batch.held.extend(ticket.item.in_order_of);
        }
        for ticket in passed_over.into_iter().rev() {
            self.waiting.push_front(ticket);
        }
        self.held.extend(batch.held.iter().cloned());
        (!batch.turns.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = Lane<u32, ()>;

    fn push(lane: &mut Numbers, turn: u32, thread_id: &ThreadId) {
        let item = Item { turn, bytes: 1, in_order_of: Some(thread_id.clone()) };
        lane.last_number += 1;
        lane.waiting.push_back(Ticket { number: lane.last_number, item, reply: oneshot::channel().0 });
    }

    fn taken(lane: &mut Numbers) -> Vec<u32> {
        lane.take().map(|batch| batch.turns).unwrap_or_default()
    }

    #[test]
    fn two_statements_never_hold_turns_of_one_thread() {
        let (mut lane, one, other) = (Numbers::new(), ThreadId::generate(), ThreadId::generate());
        push(&mut lane, 1, &one);
        assert_eq!(taken(&mut lane), [1]);
        push(&mut lane, 2, &one);
        push(&mut lane, 3, &other);
        push(&mut lane, 4, &one);
        assert_eq!(taken(&mut lane), [3], "the thread of 1 is in hand");
        assert!(!lane.is_ready, "nobody need look before a release");
        lane.held.remove(&one);
        assert_eq!(taken(&mut lane), [2, 4], "in the order of their arrival");
    }

    #[test]
    fn a_full_statement_leaves_the_rest_in_order() {
        let (mut lane, thread_id) = (Numbers::new(), ThreadId::generate());
        (0..70).for_each(|turn| push(&mut lane, turn, &thread_id));
        assert_eq!(taken(&mut lane).len(), BATCH_TURNS_MAX);
        lane.held.clear();
        assert_eq!(taken(&mut lane), [64, 65, 66, 67, 68, 69]);
    }
}
