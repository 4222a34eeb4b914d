//! Plain data and rules that every layer shares; no I/O, no SQL, no HTTP.

mod access_role;
mod agent;
mod call;
mod caller;
mod causes;
mod id;
mod key;
mod label;
mod limit;
mod message;
mod on_busy;
mod page;
mod run;
mod secret;

pub use access_role::AccessRole;
pub use agent::{AgentConfig, AgentName, AgentRef, NameError};
pub use call::{Answer, Cause, Failure, ModelCall, Usage};
pub use caller::Caller;
pub use causes::causes;
pub use id::{AgentId, Id, IdError, KeyId, Kind, MessageId, ProjectId, RunId, ThreadId, UserId, kind};
pub use key::IdempotencyKey;
pub use label::{LABEL_CHARS_MAX, Label, LabelError};
pub use limit::{LimitKind, LimitOwner, Limits, OverLimit};
pub use message::{Content, Message, Part, Role, TEXT_CHARS_MAX, Text, TextError, UserInput};
pub use on_busy::OnBusy;
pub use page::{PAGE_ENTRIES_MAX, Page, Piece};
pub use run::RunStatus;
pub use secret::{KeyDigest, KeySecret};
