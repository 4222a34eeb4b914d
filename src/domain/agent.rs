//! What an agent is: its unique name and the configuration that each of its versions freezes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{AgentId, OnBusy};

/// Everything that decides how an agent answers; immutable once it is a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// The provider's model id, such as `gpt-6-luna`.
    pub model: String,
    /// What people read about the agent; never sent to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Sampling temperature, 0 to 2; sent only when set, since reasoning models refuse it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1; sent only when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`, as the model supports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Tools in the Assistants wire's shape (a function's fields nested under `function`).
    #[serde(default)]
    pub tools: Vec<Value>,
    /// `"auto"` or the Assistants wire's object (`json_schema` nested).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    /// Up to 16 pairs of the owner's own; never sent to the model.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// What a message does that finds its thread busy; unset: as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_busy: Option<OnBusy>,
}

/// A name that is unique among a project's living agents: 1 to 256 characters, none of them a control character,
/// and not the beginning of an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(Box<str>);

/// How a caller names an agent: by id or by unique name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AgentRef {
    /// A text that begins like an agent's id.
    Id(AgentId),
    /// Any other text.
    Name(AgentName),
}

/// Why a text cannot name an agent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Longer than the Assistants wire allows.
    #[error("must have at most {NAME_CHARS_MAX} characters")]
    TooLong,
    /// A control character, NUL included.
    #[error("must not contain control characters such as NUL")]
    Control,
    /// Would be taken for an id.
    #[error("must not begin with 'asst_', which is how ids begin")]
    LooksLikeId,
    /// Begins like an id but is none.
    #[error(transparent)]
    Id(#[from] crate::domain::IdError),
}

/// The Assistants wire's limit for a name.
pub const NAME_CHARS_MAX: usize = 256;

impl AgentConfig {
    /// Checks the ranges that the provider documents; the error names the field.
    pub fn validate(&self) -> Result<(), String> {
        if self.model.trim().is_empty() {
            return Err("model: must not be empty".into());
        }
        in_range("temperature", self.temperature, 2.0)?;
        in_range("top_p", self.top_p, 1.0)?;
        at_most("instructions", self.instructions.as_deref(), 256_000)?;
        at_most("description", self.description.as_deref(), 512)?;
        if self.tools.len() > 128 {
            return Err("tools: at most 128 are allowed".into());
        }
        let strange = self.metadata.iter().any(|(key, value)| key.chars().count() > 64 || value.chars().count() > 512);
        if self.metadata.len() > 16 || strange {
            return Err("metadata: at most 16 pairs, keys of 64 and values of 512 characters".into());
        }
        let nul = serde_json::to_string(self).is_ok_and(|text| text.contains("\\u0000"));
        if nul { Err("contains a NUL character, which cannot be stored".into()) } else { Ok(()) }
    }
}

fn in_range(field: &str, value: Option<f64>, max: f64) -> Result<(), String> {
    match value {
        Some(value) if !(0.0..=max).contains(&value) => Err(format!("{field}: must lie between 0 and {max}")),
        _ => Ok(()),
    }
}

fn at_most(field: &str, value: Option<&str>, chars_max: usize) -> Result<(), String> {
    match value {
        Some(value) if value.chars().count() > chars_max => Err(format!("{field}: at most {chars_max} characters")),
        _ => Ok(()),
    }
}

impl AgentName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AgentName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text.trim().is_empty() {
            return Err(NameError::Empty);
        }
        if text.chars().count() > NAME_CHARS_MAX {
            return Err(NameError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(NameError::Control);
        }
        if text.starts_with("asst_") {
            return Err(NameError::LooksLikeId);
        }
        Ok(Self(text.into()))
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl AgentRef {
    /// The id or the name as text; the two never overlap.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::Name(name) => name.as_str(),
        }
    }
}

impl TryFrom<String> for AgentRef {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text.starts_with("asst_") {
            return Ok(Self::Id(AgentId::try_from(text)?));
        }
        Ok(Self::Name(AgentName::try_from(text)?))
    }
}

impl fmt::Display for AgentRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
