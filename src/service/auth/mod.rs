//! From a credential to the caller: whose it is, what it may do, and for which user; what a role may do is for the
//! handlers to ask.

mod config;
mod memory;

use std::net::IpAddr;
use std::time::Duration;

use time::OffsetDateTime;

use crate::domain::{AccessRole, Caller, KeyDigest, Label, ProjectId, UserId};
use crate::service::jwt::Verifier;
use crate::service::{Error, Service};
use crate::store::keys::{self, Grant};
use crate::store::users::{self, Appearance};
use crate::store::{self, PgPool, projects};

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
    projects: Memory<String, ProjectId>,
    tokens: Option<Verifier>,
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
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// The id of the request.
    pub request_id: String,
}

impl Authenticator {
    /// Asks this database about credentials.
    pub fn new(pool: PgPool, config: &Config, open: Open) -> Self {
        let keep = Duration::from_millis(config.recheck_ms.into());
        Self {
            pool,
            mode: config.mode,
            open,
            grants: Memory::new(config.remembered_max, keep),
            users: Memory::new(config.remembered_max, keep),
            projects: Memory::new(config.remembered_max, keep),
            tokens: config.mode.takes_tokens().then(|| Verifier::new(&config.jwt)),
        }
    }

    /// The verifier of tokens, where they are credentials; it knows no published key until somebody reads them.
    pub fn tokens(&self) -> Option<&Verifier> {
        self.tokens.as_ref()
    }

    async fn caller(&self, shown: Shown<'_>) -> Result<Caller, Error> {
        let mut caller = self.bearer(shown.credential, shown.request_id).await?;
        caller.address = shown.address;
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
            let actor = "open".to_owned();
            return Ok(Caller { project_id, user_id: None, role, key_id: None, address: None, actor, request_id });
        }
        let credential = credential.ok_or(Error::Unauthenticated)?;
        let digest = KeyDigest::of(credential).filter(|_| self.mode.takes_keys());
        match (digest, &self.tokens) {
            (Some(digest), _) => self.key(digest, request_id).await,
            (None, Some(tokens)) => self.token(tokens, credential, request_id).await,
            (None, None) => Err(Error::Unauthenticated),
        }
    }

    async fn key(&self, digest: KeyDigest, request_id: String) -> Result<Caller, Error> {
        let load = async { keys::grant(&self.pool, &digest).await?.ok_or(Error::Unauthenticated) };
        let grant = self.grants.recall(&digest, load, is_denial).await?;
        if grant.expires_at.is_some_and(|end| end <= OffsetDateTime::now_utc()) {
            return Err(Error::Unauthenticated);
        }
        Ok(Caller {
            actor: format!("key:{}", grant.key_id),
            project_id: grant.project_id,
            user_id: grant.user_id,
            role: grant.role,
            key_id: Some(grant.key_id),
            address: None,
            request_id,
        })
    }

    async fn token(&self, tokens: &Verifier, token: &str, request_id: String) -> Result<Caller, Error> {
        let claims = tokens.verify(token).await.map_err(|why| {
            log::info!("request_id={request_id} cause=\"{why}\" A token is not believed");
            Error::Unauthenticated
        })?;
        let mut caller = Caller {
            project_id: self.project(claims.project.as_str()).await?,
            user_id: None,
            role: claims.role,
            key_id: None,
            address: None,
            actor: format!("jwt:{}", claims.subject),
            request_id,
        };
        if let Some(user) = claims.user {
            caller.user_id = Some(self.user(&caller, user).await?);
        }
        Ok(caller)
    }

    async fn project(&self, id_or_name: &str) -> Result<ProjectId, Error> {
        let load = async {
            let project = projects::find(&self.pool, id_or_name).await?;
            project
                .filter(|project| project.revoked_at.is_none())
                .map(|project| project.id)
                .ok_or(Error::Unauthenticated)
        };
        self.projects.recall(&id_or_name.to_owned(), load, is_denial).await
    }

    async fn user(&self, caller: &Caller, external_id: Label) -> Result<UserId, Error> {
        let load = async {
            // Whoever makes the same user at this moment has made them by the second look.
            for _ in 0..2 {
                match users::appear(&self.pool, caller, &UserId::generate(), &external_id).await? {
                    Some(Appearance::Welcome(user_id)) => return Ok(user_id),
                    Some(Appearance::Revoked) => return Err(Error::UserRevoked),
                    None => {}
                }
            }
            Err(Error::Unavailable(store::Error::Waited))
        };
        self.users.recall(&(caller.project_id.clone(), external_id.clone()), load, is_denial).await
    }
}

/// Whether the database was asked and said no; an error says nothing.
const fn is_denial(error: &Error) -> bool {
    matches!(error, Error::Unauthenticated | Error::UserRevoked)
}

/// Whether everybody may come in because only this machine can call: then a page in its browser must not be able to, which
/// shows in the name that it calls the service by.
pub fn is_for_this_machine(service: &Service) -> bool {
    service.process.authenticator.mode == Mode::Auto
}

/// Whether nobody is asked for credentials, so that a browser would call on behalf of any page.
pub fn is_open(service: &Service) -> bool {
    service.process.authenticator.mode.is_open()
}

/// Whether a credential may be looked at although its address failed too often: a key that worked here before, and any
/// token, which costs no question to the database.
pub fn is_known(service: &Service, credential: &str) -> bool {
    let authenticator = &service.process.authenticator;
    match KeyDigest::of(credential) {
        Some(digest) => authenticator.grants.holds(&digest),
        None => authenticator.tokens.is_some(),
    }
}

/// Who calls; [`Error::Unauthenticated`] for every credential that does not work, whatever the reason.
pub async fn authenticate(service: &Service, shown: Shown<'_>) -> Result<Caller, Error> {
    service.process.authenticator.caller(shown).await
}
