//! Short texts of somebody else's choice: names of projects and keys, and the ids by which a project knows its users.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 1 to 256 characters, none of them a control character, with something to see at both ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(Box<str>);

/// Why a text is no label.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum LabelError {
    /// Nothing at all, or nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Too long.
    #[error("must have at most {LABEL_CHARS_MAX} characters")]
    TooLong,
    /// A control character, NUL included, or white space where nobody sees it.
    #[error("must not contain control characters, nor begin or end with white space")]
    Invisible,
}

/// The most characters of a label.
pub const LABEL_CHARS_MAX: usize = 256;

impl Label {
    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        if text.trim().is_empty() {
            return Err(LabelError::Empty);
        }
        if text.chars().count() > LABEL_CHARS_MAX {
            return Err(LabelError::TooLong);
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            return Err(LabelError::Invisible);
        }
        Ok(Self(text.into()))
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0.into()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
