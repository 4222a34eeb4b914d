//! Limits: how much a project, a user or a key may ask for.

use serde::{Deserialize, Serialize};

/// What a subject may ask for; none: as much as it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Turns that begin within any 60 seconds.
    pub requests_per_minute: Option<u32>,
    /// Turns that run at the same time.
    pub turns_concurrent: Option<u32>,
    /// Tokens of a day, as the provider counts them; the turn that passes the limit is still answered.
    pub tokens_per_day: Option<u64>,
    /// Tokens of a month.
    pub tokens_per_month: Option<u64>,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// [`Limits::requests_per_minute`].
    Requests,
    /// [`Limits::turns_concurrent`].
    Turns,
    /// [`Limits::tokens_per_day`].
    TokensOfDay,
    /// [`Limits::tokens_per_month`].
    TokensOfMonth,
}

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitOwner {
    /// The whole project's.
    Project,
    /// One user's.
    User,
    /// One key's.
    Key,
}

/// A turn over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverLimit {
    /// Which limit.
    pub kind: LimitKind,
    /// Whose.
    pub owner: LimitOwner,
    /// What is allowed.
    pub allowed: u64,
    /// How soon it is worth to try again.
    pub retry_ms: u64,
}

impl Limits {
    /// Whether the database can hold the numbers.
    pub fn is_storable(&self) -> bool {
        let counts = [self.requests_per_minute, self.turns_concurrent];
        let tokens = [self.tokens_per_day, self.tokens_per_month];
        counts.into_iter().flatten().all(|limit| i32::try_from(limit).is_ok())
            && tokens.into_iter().flatten().all(|limit| i64::try_from(limit).is_ok())
    }

    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

impl LimitKind {
    /// The code of a turn over such a limit.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requests => "rate_limited",
            Self::Turns => "too_many_turns",
            Self::TokensOfDay | Self::TokensOfMonth => "quota_exceeded",
        }
    }

    /// The kind of the limit that has this name among [`Limits`].
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "requests_per_minute" => Self::Requests,
            "turns_concurrent" => Self::Turns,
            "tokens_per_day" => Self::TokensOfDay,
            "tokens_per_month" => Self::TokensOfMonth,
            _ => return None,
        })
    }
}

impl LimitOwner {
    /// The owner as it stands in the database and in sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
            Self::Key => "key",
        }
    }

    /// The owner of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Project, Self::User, Self::Key].into_iter().find(|owner| owner.as_str() == name)
    }
}
