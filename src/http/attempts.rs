//! How often an address may show credentials that do not work, before those that nobody knows are not even looked up.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// The failures of each address; cheap to clone.
#[derive(Debug, Clone)]
pub struct Attempts {
    windows: Arc<Cache<IpAddr, Arc<Mutex<Window>>>>,
    per_minute: u32,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    failures: u32,
}

/// How many addresses are remembered.
const ADDRESSES_MAX: usize = 10_000;

const MINUTE: Duration = Duration::from_mins(1);

impl Attempts {
    /// Allows so many failures within a minute; 0 allows any number.
    pub fn new(per_minute: u32) -> Self {
        Self { windows: Arc::new(Cache::new(ADDRESSES_MAX)), per_minute }
    }

    /// How long an address that failed too often has to wait.
    pub fn blocked(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let window = self.windows.get(&network(address))?;
        let window = window.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_duration_since(window.since);
        let is_over = self.per_minute > 0 && window.failures >= self.per_minute;
        MINUTE.checked_sub(age).filter(|left| is_over && !left.is_zero())
    }

    /// Remembers a failure.
    pub fn failed(&self, address: IpAddr, now: Instant) {
        if self.per_minute == 0 {
            return;
        }
        let fresh = || Ok::<_, std::convert::Infallible>(Arc::new(Mutex::new(Window { since: now, failures: 0 })));
        let Ok(window) = self.windows.get_or_insert_with(&network(address), fresh);
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(window.since) >= MINUTE {
            *window = Window { since: now, failures: 0 };
        }
        window.failures = window.failures.saturating_add(1);
    }
}

impl Attempts {
    /// Takes a failure back that was none.
    pub fn forgiven(&self, address: IpAddr) {
        if let Some(window) = self.windows.get(&network(address)) {
            let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
            window.failures = window.failures.saturating_sub(1);
        }
    }
}

/// One subscriber of IPv6 has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_too_many_failures_and_no_other_does() {
        let (attempts, now) = (Attempts::new(2), Instant::now());
        let (one, other): (IpAddr, IpAddr) = ("203.0.113.9".parse().unwrap(), "203.0.113.10".parse().unwrap());
        attempts.failed(one, now);
        assert_eq!(attempts.blocked(one, now), None);
        attempts.failed(one, now + Duration::from_secs(20));
        assert_eq!(attempts.blocked(one, now + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(attempts.blocked(other, now), None);
        assert_eq!(attempts.blocked(one, now + MINUTE), None);
        attempts.failed(one, now + MINUTE);
        assert_eq!(attempts.blocked(one, now + MINUTE), None, "a new minute begins with nothing");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (attempts, now) = (Attempts::new(1), Instant::now());
        attempts.failed("2001:db8::1".parse().unwrap(), now);
        assert!(attempts.blocked("2001:db8::2".parse().unwrap(), now).is_some());
        assert!(attempts.blocked("2001:db8:0:1::1".parse().unwrap(), now).is_none());
    }

    #[test]
    fn zero_allows_any_number() {
        let (attempts, now) = (Attempts::new(0), Instant::now());
        attempts.failed("203.0.113.9".parse().unwrap(), now);
        assert_eq!(attempts.blocked("203.0.113.9".parse().unwrap(), now), None);
    }
}
