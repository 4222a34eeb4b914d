//! A project's threads and what was said in them, as an administrator reads them.

use crate::domain::{AgentRef, Caller, Page, Piece, ProjectId, ThreadId};
use crate::service::{Error, agents, projects, users};
use crate::store::{PgPool, messages, threads};

pub use crate::store::messages::Message;
pub use crate::store::threads::Thread;

/// Whose threads are meant.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only this user's, by id or by the project's own id.
    pub user: Option<String>,
    /// Only this living agent's, by id or name.
    pub agent: Option<AgentRef>,
}

/// A project's threads, newest first.
pub async fn list(
    pool: &PgPool,
    caller: &Caller,
    project: &str,
    filter: &Filter,
    page: &Page,
) -> Result<Piece<Thread>, Error> {
    let caller = projects::enter(pool, caller, project).await?;
    let user_id = match &filter.user {
        Some(user) => Some(users::find(pool, caller.project_id.as_str(), user).await?.id),
        None => None,
    };
    let agent_id = match &filter.agent {
        Some(AgentRef::Id(agent_id)) => Some(agent_id.clone()),
        Some(agent) => Some(agents::known(pool, &caller, agent).await?.id),
        None => None,
    };
    let filter = threads::Filter { thread_id: None, user_id, agent_id };
    Ok(threads::list(pool, &caller.project_id, &filter, page).await?)
}

/// One thread.
pub async fn find(pool: &PgPool, project: &str, thread_id: &ThreadId) -> Result<Thread, Error> {
    let project = projects::find(pool, project).await?;
    known(pool, &project.id, thread_id).await
}

/// What was said in a thread, newest first; the audit remembers who read it.
pub async fn read(
    pool: &PgPool,
    caller: &Caller,
    project: &str,
    thread_id: &ThreadId,
    page: &Page,
) -> Result<Piece<Message>, Error> {
    let caller = projects::enter(pool, caller, project).await?;
    known(pool, &caller.project_id, thread_id).await?;
    Ok(messages::read(pool, &caller, thread_id, page).await?)
}

async fn known(pool: &PgPool, project_id: &ProjectId, thread_id: &ThreadId) -> Result<Thread, Error> {
    let filter = threads::Filter { thread_id: Some(thread_id.clone()), ..threads::Filter::default() };
    let found = threads::list(pool, project_id, &filter, &Page::of_one()).await?.data.pop();
    found.ok_or_else(|| Error::NotFound { kind: "thread", name: thread_id.to_string() })
}
