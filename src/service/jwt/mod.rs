//! Tokens of the customer's own issuer: whether one is to be believed, and what it claims. Whose project and user that
//! is in the database is for others to find.

mod claims;
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

use crate::domain::causes;
use crate::upstream::{Jwks, JwksError};

use keys::KeySet;

pub use claims::Claims;
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
        let mut read = self.shared.read.subscribe();
        let before = *read.borrow_and_update();
        match self.believe(token) {
            Err(Refused::UnknownKey) => {}
            outcome => return outcome,
        }
        // Keys that were read while the token was looked at count as fresh.
        if !read.has_changed().unwrap_or(false) {
            if before.is_some_and(|at| at.elapsed() < MISS_PAUSE) {
                return Err(Refused::UnknownKey);
            }
            self.shared.missed.notify_one();
            if timeout(READ_PATIENCE, read.changed()).await.is_err() {
                return Err(Refused::UnknownKey);
            }
        }
        self.believe(token)
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
        Claims::read(config, &claims)
    }

    fn decode(&self, token: &str, header: &Header) -> Result<Map<String, Value>, Refused> {
        let config = &self.shared.config;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = config.clock_skew_s();
        let keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.find(header.kid.as_deref(), header.alg).ok_or(Refused::UnknownKey)?;
        let token = decode(token, key, &validation).map_err(|error| match error.kind() {
            ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::InvalidToken => Refused::Malformed,
            kind => Refused::Invalid(format!("{kind:?}")),
        })?;
        Ok(token.claims)
    }

    fn replace(&self, document: &[u8]) -> Result<usize, serde_json::Error> {
        let (keys, left_out) = KeySet::parse(document)?;
        *self.shared.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(left_out)
    }
}

/// Reads the issuer's keys at the start, every `auth.jwt.jwks_refresh_ms`, and when a token names an unknown one; the last
/// good ones stay in use while the issuer is away. Never ends; without a verifier or published keys it only waits.
pub async fn keep_fresh(verifier: Option<Verifier>, config: &Config) {
    let has_keys = verifier.filter(|_| config.has_published_keys());
    let Some(verifier) = has_keys else { return std::future::pending().await };
    let jwks = match Jwks::new(&config.jwks_url, config.jwks_file.clone()) {
        Ok(jwks) => jwks,
        Err(error) => {
            log::error!("cause={error:?} The issuer's keys cannot be read, so no token is believed");
            return std::future::pending().await;
        }
    };
    let refresh = Duration::from_millis(verifier.shared.config.jwks_refresh_ms.into());
    let mut last = Reading::Whole;
    loop {
        let outcome = jwks.read().await;
        let outcome = outcome.and_then(|document| verifier.replace(&document).map_err(JwksError::Document));
        let reading = Reading::of(&outcome);
        if reading != last {
            tell(&outcome);
            last = reading;
        }
        verifier.shared.read.send_replace(Some(Instant::now()));
        // Tokens that miss a key while this waits have asked in vain already.
        sleep(MISS_PAUSE.min(refresh)).await;
        tokio::select! {
            () = sleep(refresh.saturating_sub(MISS_PAUSE)) => {}
            () = verifier.shared.missed.notified() => {}
        }
    }
}

/// What a reading of the keys came to; said once, when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Whole,
    InPart,
    None,
}

impl Reading {
    const fn of(outcome: &Result<usize, JwksError>) -> Self {
        match outcome {
            Ok(0) => Self::Whole,
            Ok(_) => Self::InPart,
            Err(_) => Self::None,
        }
    }
}

fn tell(outcome: &Result<usize, JwksError>) {
    match outcome {
        Ok(0) => log::info!("The issuer's keys are read"),
        Ok(left_out) => log::warn!("keys={left_out} Some of the issuer's keys cannot be used here"),
        Err(error) => log::warn!("cause={:?} The issuer's keys cannot be read; those known stay in use", causes(error)),
    }
}
