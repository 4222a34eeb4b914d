//! A call of the model: what is asked, what comes back, and the closed set of causes for which none comes back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{AgentConfig, Message, RunId, RunStatus};

/// What a driver needs to have one turn answered.
#[derive(Debug, Clone, Copy)]
pub struct ModelCall<'a> {
    /// The run that is being executed; sent along so that both sides' logs can be joined.
    pub run_id: &'a RunId,
    /// The pinned version of the agent.
    pub agent: &'a AgentConfig,
    /// The whole conversation, oldest first, the new user message last.
    pub history: &'a [Message],
}

/// A complete answer of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text, never empty.
    pub text: String,
    /// Tokens as the provider counted them; absent stays absent.
    pub usage: Option<Usage>,
    /// The dated model that answered, as the provider names it.
    pub model: Option<String>,
    /// The provider's id of the response.
    pub response_id: Option<String>,
    /// The provider's id of the HTTP request (`x-request-id`).
    pub request_id: Option<String>,
}

/// Tokens of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of instructions and history.
    pub input_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// The sum as the provider states it.
    pub total_tokens: u64,
}

/// A call that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// One sentence for the caller; free of secrets and of our internals.
    pub sentence: Box<str>,
    /// What happened in the log's terms: status, transport error; free of secrets, prompts and answers.
    pub detail: Box<str>,
    /// Tokens that were spent all the same.
    pub usage: Option<Usage>,
    /// The provider's id of the response, where one began.
    pub response_id: Option<String>,
    /// The provider's id of the HTTP request, where it was sent.
    pub request_id: Option<String>,
}

/// Why a model call gave no answer; recorded as `runs.error_code` and answered as `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No connection: refused, unresolvable, or TLS failure.
    Unreachable,
    /// One of the four time limits passed.
    Timeout,
    /// Not asked: the provider failed too often in a row, and is left alone for a while.
    CircuitOpen,
    /// Not asked: this process has too many calls in flight or in line, or none ended in time.
    Overloaded,
    /// 401 or 403: the operator's key is not accepted.
    Unauthorized,
    /// 429 that a later attempt may pass.
    RateLimited,
    /// 429 for exhausted credit or a spend limit: only the operator can help.
    QuotaExhausted,
    /// 5xx after all retries.
    Unavailable,
    /// The provider knows no such model.
    ModelNotFound,
    /// The history does not fit the model's context.
    ContextLengthExceeded,
    /// Any other refusal of the request (4xx).
    Rejected,
    /// The answer broke off before its end.
    ResponseCut,
    /// Not the documented shape: HTML, broken JSON, a broken stream.
    ResponseMalformed,
    /// Larger than `upstream.response_bytes_max`.
    ResponseTooLarge,
    /// The provider says that the response failed.
    ResponseFailed,
    /// Ended at a token limit or a content filter.
    ResponseIncomplete,
    /// The model refused to answer.
    ResponseRefused,
    /// Completed without a word.
    ResponseEmpty,
    /// The model called a function, for which these routes have no answer.
    FunctionCall,
    /// Somebody asked for the end of the turn.
    Cancelled,
}

impl Cause {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "upstream_unreachable",
            Self::Timeout => "upstream_timeout",
            Self::CircuitOpen => "upstream_circuit_open",
            Self::Overloaded => "overloaded",
            Self::Unauthorized => "upstream_unauthorized",
            Self::RateLimited => "upstream_rate_limited",
            Self::QuotaExhausted => "upstream_quota_exhausted",
            Self::Unavailable => "upstream_unavailable",
            Self::ModelNotFound => "model_not_found",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::Rejected => "upstream_rejected",
            Self::ResponseCut => "response_cut",
            Self::ResponseMalformed => "response_malformed",
            Self::ResponseTooLarge => "response_too_large",
            Self::ResponseFailed => "response_failed",
            Self::ResponseIncomplete => "response_incomplete",
            Self::ResponseRefused => "response_refused",
            Self::ResponseEmpty => "response_empty",
            Self::FunctionCall => "function_call_unsupported",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state in which a run ends for this cause.
    pub const fn run_status(self) -> RunStatus {
        match self {
            Self::ResponseIncomplete => RunStatus::Incomplete,
            Self::Cancelled => RunStatus::Cancelled,
            _ => RunStatus::Failed,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}
