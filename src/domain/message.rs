//! Messages of a thread: role and content parts in the Assistants wire's shape.

use std::borrow::Cow;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of a thread, as the model needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Content,
}

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The end user.
    User,
    /// The agent.
    Assistant,
}

/// The parts of a message: `[{"type": "text", "text": {"value": "…", "annotations": []}}, …]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(pub Vec<Part>);

/// One part of a message's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text {
        /// The words and what they refer to.
        text: Text,
    },
    /// Anything else that the wire knows (images, refusals), kept as it came.
    #[serde(untagged)]
    Other(Value),
}

/// Words with annotations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// The words.
    pub value: String,
    /// Citations and file paths, as the provider sent them.
    #[serde(default)]
    pub annotations: Vec<Value>,
}

/// What a user says in one message: 1 to 256,000 characters, not only white space, no NUL.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UserInput(String);

/// Why a text cannot be a message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`TEXT_CHARS_MAX`].
    #[error("must have at most {TEXT_CHARS_MAX} characters, this has {0}")]
    TooLong(usize),
    /// Postgres cannot store U+0000 in text.
    #[error("must not contain NUL (U+0000), which cannot be stored as text")]
    Nul,
}

/// A role that no message has.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no role of a message")]
pub struct UnknownRole(String);

/// The longest message accepted, in Unicode scalar values.
pub const TEXT_CHARS_MAX: usize = 256_000;

impl Role {
    /// The role as it stands in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "user" => Ok(Self::User),
            "assistant" => Ok(Self::Assistant),
            other => Err(UnknownRole(other.to_owned())),
        }
    }
}

impl Content {
    /// Content of a single text part.
    pub fn text(value: String) -> Self {
        Self(vec![Part::Text { text: Text { value, annotations: Vec::new() } }])
    }

    /// All text parts in order, one per line.
    pub fn plain_text(&self) -> Cow<'_, str> {
        let mut texts = self.0.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.value.as_str()),
            Part::Other(_) => None,
        });
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let rest = texts.fold(format!("{first}\n{second}"), |whole, next| whole + "\n" + next);
                Cow::Owned(rest)
            }
        }
    }
}

impl UserInput {
    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserInput {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        if text.trim().is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > TEXT_CHARS_MAX {
            let chars = text.chars().count();
            if chars > TEXT_CHARS_MAX {
                return Err(TextError::TooLong(chars));
            }
        }
        if text.contains('\0') {
            return Err(TextError::Nul);
        }
        Ok(Self(text))
    }
}

impl From<UserInput> for String {
    fn from(input: UserInput) -> Self {
        input.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_unknown_type_survives_a_round_trip() {
        let stored =
            r#"[{"type":"text","text":{"value":"a","annotations":[]}},{"type":"image_url","image_url":{"url":"u"}}]"#;
        let content: Content = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&content).unwrap().len(), stored.len());
        assert_eq!(content.plain_text(), "a");
    }

    #[test]
    fn the_longest_message_counts_characters_and_not_bytes() {
        assert!(UserInput::try_from("😀".repeat(TEXT_CHARS_MAX)).is_ok());
        let error = UserInput::try_from("😀".repeat(TEXT_CHARS_MAX + 1)).unwrap_err();
        assert_eq!(error, TextError::TooLong(TEXT_CHARS_MAX + 1));
    }

    #[test]
    fn nul_and_white_space_alone_are_refused() {
        assert_eq!(UserInput::try_from("a\0b".to_owned()), Err(TextError::Nul));
        assert_eq!(UserInput::try_from(" \n".to_owned()), Err(TextError::Empty));
    }
}
