//! Where the next fault comes from: the message, the queue, or chance; not what a fault does.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::{Directive, Fault, TIMES_MAX};

const QUEUE_MAX: usize = 10_000;
const BODIES_MAX: usize = 10_000;
const ANSWERING_PATHS: [&str; 2] = ["/v1/responses", "/v1/chat/completions"];

/// One entry of the queue, as `/simulator/faults` reads and shows it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Queued {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default = "once")]
    times: u64,
    /// The only path it is for; without one, the two that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

#[derive(Default)]
struct SeenBodies {
    times: HashMap<u64, u64>,
    oldest_first: VecDeque<u64>,
}

struct Chance {
    rate: f64,
    random: Mutex<fastrand::Rng>,
}

pub struct Faults {
    queue: Mutex<VecDeque<(Queued, Fault)>>,
    seen: Mutex<SeenBodies>,
    chance: Option<Chance>,
}

impl Faults {
    pub fn new(rate: f64, seed: u64) -> Self {
        Self {
            queue: Mutex::default(),
            seen: Mutex::default(),
            chance: (rate > 0.0).then(|| Chance { rate, random: Mutex::new(fastrand::Rng::with_seed(seed)) }),
        }
    }

    /// The fault for a request: what its newest message says, else the queue's first for this path, else chance.
    pub fn next(&self, path: &str, body: &[u8], newest: Option<&str>) -> Result<Option<Fault>, String> {
        if let Some(directive) = newest.map_or(Ok(None), Directive::find)? {
            let due = match directive.times {
                Some(times) => lock(&self.seen).count(path, body) <= times,
                None => true,
            };
            return Ok(due.then_some(directive.fault));
        }
        Ok(self.queued(path).or_else(|| self.by_chance()))
    }

    /// Takes the queue's first fault for this path.
    pub fn queued(&self, path: &str) -> Option<Fault> {
        let mut queue = lock(&self.queue);
        let index = queue.iter().position(|(queued, _)| queued.is_for(path))?;
        let (queued, fault) = queue.get_mut(index)?;
        queued.times -= 1;
        let fault = fault.clone();
        if queued.times == 0 {
            queue.remove(index);
        }
        Some(fault)
    }

    /// Appends to the queue, all or nothing; the error is a sentence for a person.
    pub fn enqueue(&self, entries: Vec<Queued>) -> Result<(), String> {
        let parsed: Vec<(Queued, Fault)> =
            entries.into_iter().map(|queued| Ok((queued.clone(), queued.fault()?))).collect::<Result<_, String>>()?;
        let mut queue = lock(&self.queue);
        if queue.len() + parsed.len() > QUEUE_MAX {
            return Err(format!("The queue holds at most {QUEUE_MAX} entries."));
        }
        queue.extend(parsed);
        Ok(())
    }

    pub fn waiting(&self) -> Vec<Queued> {
        lock(&self.queue).iter().map(|(queued, _)| queued.clone()).collect()
    }

    pub fn clear(&self) {
        lock(&self.queue).clear();
    }

    fn by_chance(&self) -> Option<Fault> {
        let chance = self.chance.as_ref()?;
        let mut random = lock(&chance.random);
        (random.f64() < chance.rate).then(|| Fault::by_chance(&mut random))
    }
}

impl Queued {
    fn is_for(&self, path: &str) -> bool {
        self.path.as_deref().map_or_else(|| ANSWERING_PATHS.contains(&path), |wanted| wanted == path)
    }

    fn fault(&self) -> Result<Fault, String> {
        if !(1..=TIMES_MAX).contains(&self.times) {
            return Err(format!("'times' goes from 1 to {TIMES_MAX}."));
        }
        let value = match &self.value {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        Fault::parse(&self.kind, value.as_deref())
    }
}

impl SeenBodies {
    /// How often this request has been seen, this time included; the oldest are forgotten first.
    fn count(&mut self, path: &str, body: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (path, body).hash(&mut hasher);
        let key = hasher.finish();
        if !self.times.contains_key(&key) {
            self.oldest_first.push_back(key);
        }
        let times = self.times.entry(key).or_default();
        *times += 1;
        let times = *times;
        if self.oldest_first.len() > BODIES_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.times.remove(&oldest);
        }
        times
    }
}

fn once() -> u64 {
    1
}

/// A panic while the lock was held leaves nothing half-done here, so the data stay usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
