//! The circuit breaker of a provider, shared by all workers: whether an attempt may be made at all. It has no timer;
//! what an outcome means is `health`'s.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::failure::failure;
use super::health::Health;
use crate::domain::{Cause, Failure};

/// Opens after so many ill attempts in a row, then lets one probe through after each `open` that passed.
pub struct Breaker {
    failures_max: u32,
    open: Duration,
    circuit: Mutex<Circuit>,
}

/// The right to make one attempt. Dropped without a verdict, as by a caller who went away, it counts for nothing, and
/// a probe's place is free again.
pub struct Pass<'b> {
    breaker: &'b Breaker,
    openings: u64,
    is_probe: bool,
    health: Health,
}

struct Circuit {
    state: State,
    /// How often the circuit opened; an attempt that began before the last time says nothing about now.
    openings: u64,
}

enum State {
    /// Attempts are made; so many ended ill in a row.
    Closed { failures: u32 },
    /// None is made before this moment, and then one.
    Open { until: Instant },
    /// That one is under way.
    HalfOpen,
}

const RECOVERED: &str = "The provider answers again and is called as before";

impl Breaker {
    /// A closed circuit; with a `failures_max` of 0 it stays closed.
    pub fn new(failures_max: u32, open: Duration) -> Self {
        let circuit = Circuit { state: State::Closed { failures: 0 }, openings: 0 };
        Self { failures_max, open, circuit: Mutex::new(circuit) }
    }

    /// Errs with `CircuitOpen` where an attempt would not be let through now; takes nothing.
    pub fn check(&self) -> Result<(), Failure> {
        let wait = self.lock().wait(Instant::now());
        wait.map_or(Ok(()), |wait| Err(refusal(wait)))
    }

    /// Lets an attempt through, or errs with `CircuitOpen`.
    pub fn enter(&self) -> Result<Pass<'_>, Failure> {
        let mut circuit = self.lock();
        if let Some(wait) = circuit.wait(Instant::now()) {
            drop(circuit);
            return Err(refusal(wait));
        }
        let is_probe = matches!(circuit.state, State::Open { .. });
        if is_probe {
            circuit.state = State::HalfOpen;
        }
        let pass = Pass { breaker: self, openings: circuit.openings, is_probe, health: Health::Unknown };
        drop(circuit);
        if is_probe {
            log::info!("The provider is probed with one call");
        }
        Ok(pass)
    }

    /// The head of a probe's answer closes the circuit, since the rest may take minutes; until the answer's end one
    /// ill attempt opens it again.
    fn began(&self, openings: u64) {
        let mut circuit = self.lock();
        if circuit.openings == openings && matches!(circuit.state, State::HalfOpen) {
            circuit.state = State::Closed { failures: self.failures_max.saturating_sub(1) };
            drop(circuit);
            log::warn!("{RECOVERED}");
        }
    }

    fn ended(&self, openings: u64, health: Health) {
        let mut circuit = self.lock();
        if circuit.openings != openings {
            return;
        }
        let news = self.turn(&mut circuit, health);
        drop(circuit);
        if let Some(news) = news {
            let (failures_max, open_ms) = (self.failures_max, self.open.as_millis());
            log::warn!("failures_max={failures_max} open_ms={open_ms} {news}");
        }
    }

    /// Moves the circuit on; what is worth telling, where its state became another.
    fn turn(&self, circuit: &mut Circuit, health: Health) -> Option<&'static str> {
        let (state, news) = match (&circuit.state, health) {
            (State::Open { .. }, _) | (State::Closed { .. }, Health::Unknown) => return None,
            (State::Closed { .. }, Health::Well) => (State::Closed { failures: 0 }, None),
            (State::HalfOpen, Health::Well) => (State::Closed { failures: 0 }, Some(RECOVERED)),
            (State::HalfOpen, Health::Unknown) => {
                (State::Open { until: Instant::now() }, Some("The probe told nothing; the next call is one"))
            }
            (State::Closed { failures }, Health::Ill) if !self.is_last(*failures) => {
                (State::Closed { failures: failures.saturating_add(1) }, None)
            }
            (State::Closed { .. } | State::HalfOpen, Health::Ill) => {
                circuit.openings += 1;
                let until = Instant::now() + self.open;
                (State::Open { until }, Some("The provider failed too often in a row and is not called for a while"))
            }
        };
        circuit.state = state;
        news
    }

    /// Whether the next failure after so many opens the circuit.
    fn is_last(&self, failures: u32) -> bool {
        self.failures_max != 0 && failures.saturating_add(1) >= self.failures_max
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuit {
    /// How long no attempt is let through, where none is; zero: until the probe's end.
    fn wait(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until } => Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero()),
            State::HalfOpen => Some(Duration::ZERO),
        }
    }
}

impl Pass<'_> {
    /// The head of an answer came.
    pub fn began(&self) {
        if self.is_probe {
            self.breaker.began(self.openings);
        }
    }

    /// The attempt is over.
    pub fn settle(mut self, health: Health) {
        self.health = health;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.breaker.ended(self.openings, self.health);
    }
}

fn refusal(wait: Duration) -> Failure {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let sentence = format!(
        "The provider failed several times in a row and is not called at the moment; try again in {seconds} s \
         (upstream.breaker_failures, upstream.breaker_open_ms)."
    );
    failure(Cause::CircuitOpen, sentence, "circuit open")
}
