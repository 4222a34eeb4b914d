//! From a credential to the caller: whose it is, what it may do, and for which user; what a role may do is for the
//! handlers to ask.

mod config;
mod memory;

use std::time::Duration;

use crate::domain::{AccessRole, Caller, KeyDigest, Label, ProjectId, UserId};
use crate::service::{Error, Service};
use crate::store::keys::{self, Grant};
use crate::store::users::{self, Appearance};
use crate::store::{self, PgPool};

use memory::Memory;

pub use config::{Config, Mode};

/// What a process knows of credentials; cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticator {
    pool: PgPool,
    mode: Mode,
    open: Open,
    grants: Memory<KeyDigest, Grant>,
    users: Memory<(ProjectId, Label), UserId>,
}

/// What everybody may do where no credentials are asked for.
#[derive(Debug, Clone)]
pub struct Open {
    /// The project that everything belongs to.
    pub project_id: ProjectId,
    /// [`AccessRole::Admin`] where only this machine can call.
    pub role: AccessRole,
}

/// What a request shows of itself.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The bearer of `Authorization`.
    pub credential: Option<&'a str>,
    /// The user for whom the caller acts, by the project's own id.
    pub acts_for: Option<Label>,
    /// The id of the request.
    pub request_id: String,
}

impl Authenticator {
    /// Asks this database about credentials.
    pub fn new(pool: PgPool, config: &Config, open: Open) -> Self {
        let keep = Duration::from_millis(config.recheck_ms.into());
        let (grants, users) = (Memory::new(config.remembered_max, keep), Memory::new(config.remembered_max, keep));
        Self { pool, mode: config.mode, open, grants, users }
    }

    async fn caller(&self, shown: Shown<'_>) -> Result<Caller, Error> {
        let mut caller = self.bearer(shown.credential, shown.request_id).await?;
        if let Some(external_id) = shown.acts_for {
            if caller.user_id.is_some() {
                return Err(Error::ActsForItself);
            }
            caller.user_id = Some(self.user(&caller, external_id).await?);
        }
        Ok(caller)
    }

    async fn bearer(&self, credential: Option<&str>, request_id: String) -> Result<Caller, Error> {
        if self.mode.is_open() {
            let Open { project_id, role } = self.open.clone();
            return Ok(Caller { project_id, user_id: None, role, key_id: None, actor: "open".to_owned(), request_id });
        }
        let digest = credential.filter(|_| self.mode.takes_keys()).and_then(KeyDigest::of);
        let grant = self.grant(digest.ok_or(Error::Unauthenticated)?).await?;
        Ok(Caller {
            actor: format!("key:{}", grant.key_id),
            project_id: grant.project_id,
            user_id: grant.user_id,
            role: grant.role,
            key_id: Some(grant.key_id),
            request_id,
        })
    }

    async fn grant(&self, digest: KeyDigest) -> Result<Grant, Error> {
        let load = async { keys::grant(&self.pool, &digest).await?.ok_or(Error::Unauthenticated) };
        self.grants.recall(&digest, load).await
    }

    async fn user(&self, caller: &Caller, external_id: Label) -> Result<UserId, Error> {
        let load = async {
            // Whoever makes the same user at this moment has made them by the second look.
            for _ in 0..2 {
                match users::appear(&self.pool, caller, &UserId::generate(), &external_id).await? {
                    Some(Appearance::Welcome(user_id)) => return Ok(user_id),
                    Some(Appearance::Revoked) => return Err(Error::Unauthenticated),
                    None => {}
                }
            }
            Err(Error::Unavailable(store::Error::Waited))
        };
        self.users.recall(&(caller.project_id.clone(), external_id.clone()), load).await
    }
}

/// Who calls; [`Error::Unauthenticated`] for every credential that does not work, whatever the reason.
pub async fn authenticate(service: &Service, shown: Shown<'_>) -> Result<Caller, Error> {
    service.process.authenticator.caller(shown).await
}
