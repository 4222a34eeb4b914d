//! Typed text ids: a fixed prefix per kind of object and a time-ordered unique part; imported ids keep their own.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of one object of kind `K`, such as `thread_0198c0de…`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "K: Kind")]
pub struct Id<K> {
    text: Box<str>,
    kind: PhantomData<fn() -> K>,
}

/// What distinguishes one kind of id from another.
pub trait Kind: Clone {
    /// The prefix with its underscore, such as `thread_`.
    const PREFIX: &'static str;
}

/// Marker types, one per kind of object that has ids.
pub mod kind {
    use super::Kind;

    /// Ids of projects.
    #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Project {}
    /// Ids of end users.
    #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum User {}
    /// Ids of API keys, which are no secrets.
    #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Key {}
    /// Ids of agents; the prefix is the Assistants wire's.
    #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Agent {}
    /// Ids of threads.
    #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Thread {}
    /// Ids of messages.
    #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Message {}
    /// Ids of runs.
    #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Run {}

    impl Kind for Project {
        const PREFIX: &'static str = "proj_";
    }
    impl Kind for User {
        const PREFIX: &'static str = "user_";
    }
    impl Kind for Key {
        const PREFIX: &'static str = "key_";
    }
    impl Kind for Agent {
        const PREFIX: &'static str = "asst_";
    }
    impl Kind for Thread {
        const PREFIX: &'static str = "thread_";
    }
    impl Kind for Message {
        const PREFIX: &'static str = "msg_";
    }
    impl Kind for Run {
        const PREFIX: &'static str = "run_";
    }
}

/// The id of a project.
pub type ProjectId = Id<kind::Project>;
/// The id of an end user inside a project.
pub type UserId = Id<kind::User>;
/// The id of an API key.
pub type KeyId = Id<kind::Key>;
/// The id of an agent.
pub type AgentId = Id<kind::Agent>;
/// The id of a thread.
pub type ThreadId = Id<kind::Thread>;
/// The id of a message.
pub type MessageId = Id<kind::Message>;
/// The id of a run.
pub type RunId = Id<kind::Run>;

/// Why a text is not an id of the expected kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// The prefix of another kind, or none.
    #[error("expected an id that begins with '{prefix}'")]
    Prefix {
        /// The prefix that was expected.
        prefix: &'static str,
    },
    /// Nothing after the prefix, too long, or a character outside `[A-Za-z0-9_-]`.
    #[error("expected '{prefix}' and then 1 to {LENGTH_MAX} letters, digits, '_' or '-'")]
    Shape {
        /// The prefix that was expected.
        prefix: &'static str,
    },
}

/// The most characters an id may have after its prefix.
pub const LENGTH_MAX: usize = 128;

impl<K: Kind> Id<K> {
    /// A new id that sorts after every id made before it (UUID version 7 behind the prefix).
    pub fn generate() -> Self {
        let unique = Uuid::now_v7().simple();
        Self { text: format!("{}{unique}", K::PREFIX).into(), kind: PhantomData }
    }

    /// Reads an id of this kind.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let prefix = K::PREFIX;
        let rest = text.strip_prefix(prefix).ok_or(IdError::Prefix { prefix })?;
        let plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if rest.is_empty() || rest.len() > LENGTH_MAX || !plain {
            return Err(IdError::Shape { prefix });
        }
        Ok(Self { text: text.into(), kind: PhantomData })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<K: Kind> TryFrom<String> for Id<K> {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl<K> From<Id<K>> for String {
    fn from(id: Id<K>) -> Self {
        id.text.into()
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later() {
        let ids: Vec<ThreadId> = (0..1000).map(|_| ThreadId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_of_another_kind_is_refused_with_the_expected_prefix() {
        let error = ThreadId::parse("run_1").unwrap_err();
        assert_eq!(error.to_string(), "expected an id that begins with 'thread_'");
    }

    #[test]
    fn imported_ids_are_kept_as_they_are() {
        assert_eq!(AgentId::parse("asst_abc123XYZ").unwrap().as_str(), "asst_abc123XYZ");
    }

    #[test]
    fn ids_with_foreign_characters_or_no_unique_part_are_refused() {
        for text in ["thread_", "thread_a b", "thread_ä", "thread_a\0", &format!("thread_{}", "a".repeat(129))] {
            assert!(matches!(ThreadId::parse(text), Err(IdError::Shape { .. })), "{text:?}");
        }
    }
}
