//! Tokens of the customer's own issuer: whether one is to be believed, and what it claims. Whose project and user that
//! is in the database is for others to find.

mod config;
mod keys;
mod signatures;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::domain::{AccessRole, Label};
use crate::upstream::{Jwks, JwksError};

use keys::KeySet;

pub use config::{Accepted, Config};

/// Believes tokens or does not; cheap to clone.
#[derive(Debug, Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    keys: RwLock<KeySet>,
    read: watch::Sender<Option<Instant>>,
    missed: Notify,
}

/// What a token that is believed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The project, by id or name.
    pub project: String,
    /// The user, by the project's own id.
    pub user: Option<Label>,
    /// What the bearer may do.
    pub role: AccessRole,
    /// Whom the audit names.
    pub subject: Label,
}

/// Why a token is not believed; for the log, never for its bearer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too long, or no token at all.
    #[error("it is no token")]
    Malformed,
    /// Its header asks for what is not accepted.
    #[error("its algorithm or its header is not accepted")]
    Header,
    /// No key of the issuer has its id.
    #[error("it is signed with a key that the issuer does not publish")]
    UnknownKey,
    /// The signature, or one of the registered claims, does not hold.
    #[error("{0}")]
    Invalid(String),
    /// A claim that is needed is missing or cannot be used.
    #[error("its claim '{0}' is missing or cannot be used")]
    Claim(String),
}

/// The longest token.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How long a flood of unknown keys waits before the issuer is asked again.
const MISS_PAUSE: Duration = Duration::from_secs(5);

/// How long a token waits for keys that are being read.
const READ_PATIENCE: Duration = Duration::from_secs(3);

impl Verifier {
    /// A verifier that knows a shared secret, or no key until [`keep_fresh`] has read some.
    pub fn new(config: &Config) -> Self {
        signatures::install();
        let secret = config.hs256_secret.expose_secret();
        let keys = if secret.is_empty() { KeySet::default() } else { KeySet::of_secret(secret) };
        let (read, _) = watch::channel(None);
        let shared = Shared { config: config.clone(), keys: RwLock::new(keys), read, missed: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Believes a token and says what it claims; waits a moment for fresh keys where its key is unknown.
    pub async fn verify(&self, token: &str) -> Result<Claims, Refused> {
        match self.believe(token) {
            Err(Refused::UnknownKey) if self.has_fresh_keys().await => self.believe(token),
            outcome => outcome,
        }
    }

    fn believe(&self, token: &str) -> Result<Claims, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let config = &self.shared.config;
        let header = decode_header(token).map_err(|_| Refused::Malformed)?;
        let is_accepted = config.algorithms.iter().any(|accepted| accepted.algorithm() == header.alg);
        if !is_accepted || header.crit.is_some() {
            return Err(Refused::Header);
        }
        let claims = self.decode(token, &header)?;
        claimed(config, &claims)
    }

    fn decode(&self, token: &str, header: &Header) -> Result<Map<String, Value>, Refused> {
        let config = &self.shared.config;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = u64::from(config.clock_skew_ms.div_ceil(1000));
        let keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.find(header.kid.as_deref(), header.alg).ok_or(Refused::UnknownKey)?;
        let token = decode(token, key, &validation).map_err(|error| match error.kind() {
            ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::InvalidToken => Refused::Malformed,
            kind => Refused::Invalid(format!("{kind:?}")),
        })?;
        Ok(token.claims)
    }

    /// Has the keys read once more, unless that happened a moment ago.
    async fn has_fresh_keys(&self) -> bool {
        let mut read = self.shared.read.subscribe();
        let before = *read.borrow();
        if before.is_some_and(|at| at.elapsed() < MISS_PAUSE) {
            return false;
        }
        self.shared.missed.notify_one();
        timeout(READ_PATIENCE, read.wait_for(|at| *at != before)).await.is_ok()
    }

    fn replace(&self, document: &[u8]) -> Result<(), serde_json::Error> {
        let (keys, left_out) = KeySet::parse(document)?;
        if left_out > 0 {
            log::debug!("keys={left_out} Some of the issuer's keys cannot be used here");
        }
        *self.shared.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

/// Reads the issuer's keys at the start, every `auth.jwt.jwks_refresh_ms`, and when a token names an unknown one; the last
/// good ones stay in use while the issuer is away. Never ends; without a verifier or published keys it only waits.
pub async fn keep_fresh(verifier: Option<Verifier>, config: &Config) {
    let has_keys = verifier.filter(|_| config.hs256_secret.expose_secret().is_empty());
    let Some(verifier) = has_keys else { return std::future::pending().await };
    let jwks = match Jwks::new(&config.jwks_url, config.jwks_file.clone()) {
        Ok(jwks) => jwks,
        Err(error) => {
            log::error!("cause={error:?} The issuer's keys cannot be read, so no token is believed");
            return std::future::pending().await;
        }
    };
    let refresh = Duration::from_millis(verifier.shared.config.jwks_refresh_ms.into());
    let mut is_away = false;
    loop {
        let outcome = jwks.read().await;
        let outcome = outcome.and_then(|document| verifier.replace(&document).map_err(JwksError::Document));
        if let (Err(error), false) = (&outcome, is_away) {
            log::warn!("cause={error:?} The issuer's keys cannot be read; those known so far stay in use");
        }
        is_away = outcome.is_err();
        verifier.shared.read.send_replace(Some(Instant::now()));
        tokio::select! {
            () = sleep(refresh) => {}
            () = verifier.shared.missed.notified() => {}
        }
    }
}

fn claimed(config: &Config, claims: &Map<String, Value>) -> Result<Claims, Refused> {
    let skew_s = u64::from(config.clock_skew_ms.div_ceil(1000));
    let is_early = |issued_at: &Value| {
        let now = jsonwebtoken::get_current_timestamp();
        issued_at.as_f64().is_none_or(|at| {
            !at.is_finite() || Duration::try_from_secs_f64(at.max(0.0)).is_ok_and(|at| at.as_secs() > now + skew_s)
        })
    };
    if claims.get("iat").is_some_and(is_early) {
        return Err(Refused::Claim("iat".to_owned()));
    }
    let user = label(claims, &config.user_claim)?;
    let role = match text(claims, &config.role_claim)? {
        Some(role) => AccessRole::try_from(role).map_err(|_| Refused::Claim(config.role_claim.clone()))?,
        None => config.role_default,
    };
    let project = text(claims, &config.project_claim)?.or_else(|| Some(config.project_default.clone()));
    let project = project.filter(|project| !project.is_empty());
    let project = project.ok_or_else(|| Refused::Claim(config.project_claim.clone()))?;
    let subject = match label(claims, "sub")? {
        Some(subject) => subject,
        None => user.clone().ok_or_else(|| Refused::Claim("sub".to_owned()))?,
    };
    let user = match role {
        AccessRole::User => Some(user.ok_or_else(|| Refused::Claim(config.user_claim.clone()))?),
        AccessRole::Service | AccessRole::Admin => None,
    };
    Ok(Claims { project, user, role, subject })
}

fn label(claims: &Map<String, Value>, name: &str) -> Result<Option<Label>, Refused> {
    let label = |text: String| Label::try_from(text).map_err(|_| Refused::Claim(name.to_owned()));
    text(claims, name)?.map(label).transpose()
}

fn text(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, Refused> {
    match claims.get(name).filter(|_| !name.is_empty()) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refused::Claim(name.to_owned())),
    }
}
