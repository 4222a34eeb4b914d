//! What a limited request is told in headers, as OpenAI's SDKs read it: `retry-after-ms` first, then `retry-after`, and
//! the `x-ratelimit-*` trio of what is limited.

use crate::domain::{LimitKind, OverLimit};

/// The headers of an answer with status 429.
pub fn headers(over: &OverLimit) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("retry-after", over.retry_ms.div_ceil(1000).max(1).to_string()),
        ("retry-after-ms", over.retry_ms.to_string()),
    ];
    let trio = match over.kind {
        LimitKind::Requests => {
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
        }
        LimitKind::TokensOfDay | LimitKind::TokensOfMonth => {
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]
        }
        LimitKind::Turns => return headers,
    };
    headers.extend(trio.into_iter().zip([over.allowed.to_string(), "0".to_owned(), duration(over.retry_ms)]));
    headers
}

/// A duration as OpenAI writes it in these headers: `120ms`, `7s`, `6m0s`, `1h2m3s`.
fn duration(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let seconds = ms.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        for (ms, text) in [(120, "120ms"), (7_000, "7s"), (7_001, "8s"), (360_000, "6m0s"), (3_723_000, "1h2m3s")] {
            assert_eq!(duration(ms), text);
        }
    }
}
