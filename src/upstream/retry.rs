//! Which attempts are repeated and when; that a repetition does no harm is decided where the setback is made.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use awc::http::header::{HeaderMap, HttpDate, RETRY_AFTER};

use super::deadline::Deadline;
use crate::domain::Failure;

/// An attempt that failed, and whether another may be made.
pub struct Setback {
    /// What is answered if this was the last attempt.
    pub failure: Failure,
    /// When the next attempt may be made.
    pub again: Again,
}

/// When the next attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Never: the request may have been executed, or would fail again.
    Never,
    /// After a wait that grows with each attempt.
    Backoff,
    /// After the wait that the provider asks for.
    After(Duration),
}

/// The first wait; each further one is twice as long.
const WAIT: Duration = Duration::from_millis(500);

/// No wait of our own is longer.
const WAIT_MAX: Duration = Duration::from_secs(8);

/// Up to this part of a wait is left out at random, so that callers do not come back in step.
const JITTER: f64 = 0.25;

impl Setback {
    /// A setback after which no attempt is made.
    pub fn last(failure: Failure) -> Self {
        Self { failure, again: Again::Never }
    }

    /// A setback before the request had any effect.
    pub fn first(failure: Failure) -> Self {
        Self { failure, again: Again::Backoff }
    }

    /// One of the two.
    pub fn either(failure: Failure, repeatable: bool) -> Self {
        if repeatable { Self::first(failure) } else { Self::last(failure) }
    }
}

impl Again {
    /// What the provider's headers ask for, where they do; `by_default` says what holds where they do not.
    /// `x-should-retry` is above everything, `retry-after-ms` above `Retry-After`, as OpenAI's clients have it.
    pub fn read(headers: &HeaderMap, by_default: bool) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let allowed = match text("x-should-retry") {
            Some("true") => true,
            Some("false") => false,
            _ => by_default,
        };
        if !allowed {
            return Self::Never;
        }
        let asked = text("retry-after-ms").and_then(|ms| fraction(ms, 0.001));
        let asked = asked
            .or_else(|| text(RETRY_AFTER.as_str()).and_then(|after| fraction(after, 1.0).or_else(|| until(after))));
        asked.map_or(Self::Backoff, Self::After)
    }

    fn wait(self, attempt: u32) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::After(wait) => Some(wait),
            Self::Backoff => {
                let whole = WAIT.saturating_mul(2_u32.saturating_pow(attempt)).min(WAIT_MAX);
                Some(whole.mul_f64(1.0 - JITTER * fastrand::f64()))
            }
        }
    }
}

/// Makes attempts until one succeeds, must not be repeated, or is the last of `retries_max` repetitions. A wait that
/// would pass the deadline is not begun: the caller learns the cause at once.
pub async fn persevere<T>(
    retries_max: u32,
    deadline: &Deadline,
    mut attempt: impl AsyncFnMut() -> Result<T, Setback>,
) -> Result<T, Failure> {
    let mut retries = 0;
    loop {
        let Setback { mut failure, again } = match attempt().await {
            Ok(success) => return Ok(success),
            Err(setback) => setback,
        };
        let wait = again.wait(retries).filter(|wait| retries < retries_max && deadline.leaves(*wait));
        let Some(wait) = wait else {
            failure.detail = format!("{} (attempt {})", failure.detail, retries + 1).into();
            return Err(failure);
        };
        retries += 1;
        let (cause, wait_ms) = (failure.cause, wait.as_millis());
        log::warn!("attempt={retries} cause={cause} wait_ms={wait_ms} A call of the provider is repeated");
        tokio::time::sleep(wait).await;
    }
}

fn fraction(number: &str, unit_s: f64) -> Option<Duration> {
    let seconds = number.parse::<f64>().ok()? * unit_s;
    let is_wait = seconds.is_finite() && seconds >= 0.0;
    is_wait.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn until(date: &str) -> Option<Duration> {
    let at = SystemTime::from(HttpDate::from_str(date).ok()?);
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use awc::http::header::{HeaderName, HeaderValue};

    fn read(headers: &[(&'static str, &'static str)], by_default: bool) -> Again {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Again::read(&headers.collect(), by_default)
    }

    #[test]
    fn the_most_exact_header_says_how_long_to_wait() {
        assert_eq!(read(&[], true), Again::Backoff);
        assert_eq!(read(&[], false), Again::Never);
        assert_eq!(read(&[("retry-after", " 3 ")], true), Again::After(Duration::from_secs(3)));
        assert_eq!(read(&[("retry-after", "3")], false), Again::Never);
        let both = [("retry-after", "3"), ("retry-after-ms", "2.5")];
        assert_eq!(read(&both, true), Again::After(Duration::from_micros(2500)));
        let huge = [("retry-after", "18446744073709551616")];
        assert_eq!(read(&huge, true), Again::After(Duration::MAX));
        let past = [("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT")];
        assert_eq!(read(&past, true), Again::After(Duration::ZERO));
    }

    #[test]
    fn nonsense_in_headers_is_passed_over() {
        for nonsense in ["soon", "-3", "NaN", "inf", "", "1e400"] {
            assert_eq!(
                read(&[("retry-after", nonsense), ("retry-after-ms", nonsense)], true),
                Again::Backoff,
                "{nonsense}"
            );
            assert_eq!(read(&[("x-should-retry", nonsense)], true), Again::Backoff, "{nonsense}");
        }
    }

    #[test]
    fn waits_double_up_to_their_bound_and_are_never_in_step() {
        for (attempt, whole_ms) in [(0, 500), (1, 1000), (4, 8000), (5, 8000), (u32::MAX, 8000)] {
            let waits: Vec<u128> = (0..50).filter_map(|_| Some(Again::Backoff.wait(attempt)?.as_millis())).collect();
            assert!(waits.iter().all(|ms| (whole_ms * 3 / 4..=whole_ms).contains(ms)), "{attempt}: {waits:?}");
            assert!(waits.windows(2).any(|pair| pair[0] != pair[1]), "{attempt}: {waits:?}");
        }
    }
}
