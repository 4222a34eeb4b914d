//! An OpenAI-compatible provider without a model, for laptops, tests and benchmarks: Responses, Chat Completions and
//! Models, with faults on demand; conversations that the provider would keep are not here.
//!
//! Every answer says what it is, and depends on the whole conversation that was sent ([`answer::text`]), so that lost
//! or reordered context shows. Faults come, first match first, from
//! - a directive in the newest message, when that is the user's or a function's result: `[[simulate: KIND]]` or
//!   `[[simulate: KIND=VALUE]]`; with ` times=N` the same request meets it N times and is then answered;
//! - the queue: `POST /simulator/faults` appends a list of `{"kind", "value"?, "times"?, "path"?}`, `GET` shows what
//!   waits, `DELETE` empties it;
//! - chance: [`Config::fault_rate`] and [`Config::seed`].
//!
//! The kinds are those of [`Fault`]. `GET /simulator/journal` lists the last 10,000 requests, `DELETE` forgets them.
//! None of these routes asks who calls: listen on loopback, or where only friends can reach it.

pub mod answer;
mod calls;
mod chat_completions;
mod check;
mod connection;
mod control;
mod delivery;
mod exchange;
mod fault;
mod faults;
mod issue;
mod journal;
mod models;
mod prompt;
mod rejection;
mod responses;
mod server;
mod stream;

pub use fault::{Failure, Fault, HUGE_MIB_MAX, SILENCE_MS_MAX};
pub use server::{Config, Running, start};

use faults::Faults;
use journal::Journal;

/// What all workers share.
struct State {
    delay_ms: u64,
    delta_delay_ms: u64,
    faults: Faults,
    journal: Journal,
}

/// The `x-request-id` of the answer to a request.
#[derive(Clone, Default)]
struct RequestId(String);
