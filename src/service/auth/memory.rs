//! A bounded memory of what the database said a short while ago; what it denied is never remembered.

use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// Remembers values by their keys for a fixed time; many who ask for one forgotten value at once ask the database once.
#[derive(Debug, Clone)]
pub struct Memory<K, V> {
    known: Arc<Cache<K, Known<V>>>,
    keep: Duration,
}

#[derive(Debug, Clone)]
struct Known<V> {
    value: V,
    since: Instant,
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    /// A memory for at most so many values, each for so long.
    pub fn new(values_max: usize, keep: Duration) -> Self {
        Self { known: Arc::new(Cache::new(values_max)), keep }
    }

    /// Whether there is a value, however old.
    pub fn holds(&self, key: &K) -> bool {
        self.known.peek(key).is_some()
    }

    /// The remembered value, or what `load` says, which is remembered unless it is an error. A value whose time is over
    /// stays known until `load` says something else, or denies it.
    pub async fn recall<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
        is_denial: fn(&E) -> bool,
    ) -> Result<V, E> {
        // What is loaded is as old as the question, however long the answer took.
        let since = Instant::now();
        let loaded = async { load.await.map(|value| Known { value, since }) };
        match self.known.get(key) {
            Some(known) if known.since.elapsed() < self.keep => Ok(known.value),
            Some(_) => match loaded.await {
                Ok(known) => {
                    self.known.insert(key.clone(), known.clone());
                    Ok(known.value)
                }
                Err(error) => {
                    if is_denial(&error) {
                        self.known.remove(key);
                    }
                    Err(error)
                }
            },
            None => Ok(self.known.get_or_insert_async(key, loaded).await?.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_value_is_asked_for_once_until_its_time_is_over() {
        let memory: Memory<u8, u8> = Memory::new(8, Duration::from_millis(50));
        assert_eq!(memory.recall(&1, async { Ok::<_, ()>(10) }, |()| true).await, Ok(10));
        assert_eq!(memory.recall(&1, async { Ok::<_, ()>(11) }, |()| true).await, Ok(10));
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(memory.recall(&1, async { Ok::<_, ()>(12) }, |()| true).await, Ok(12));
    }

    #[actix_rt::test]
    async fn a_denial_is_not_remembered() {
        let memory: Memory<u8, u8> = Memory::new(8, Duration::from_mins(1));
        assert_eq!(memory.recall(&1, async { Err("no") }, |_| true).await, Err("no"));
        assert_eq!(memory.recall(&1, async { Ok::<_, &str>(1) }, |_| true).await, Ok(1));
    }

    #[actix_rt::test]
    async fn an_old_value_stays_known_unless_it_is_denied() {
        let memory: Memory<u8, u8> = Memory::new(8, Duration::ZERO);
        let is_denial = |error: &&str| *error == "no";
        assert_eq!(memory.recall(&1, async { Ok::<_, &str>(1) }, is_denial).await, Ok(1));
        assert_eq!(memory.recall(&1, async { Err("away") }, is_denial).await, Err("away"));
        assert!(memory.holds(&1));
        assert_eq!(memory.recall(&1, async { Err("no") }, is_denial).await, Err("no"));
        assert!(!memory.holds(&1));
    }
}
