//! Acts that happen once per key. (A turn's key is part of its opening.)

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{Caller, IdempotencyKey};
use crate::service::{Error, Service};
use crate::store::{self, idempotency};

/// A result, and whether an earlier request with the same key had it already.
#[derive(Debug)]
pub struct Once<T> {
    /// The result.
    pub value: T,
    /// Whether nothing was done this time.
    pub replayed: bool,
}

/// Acts within one transaction with the keeping of its answer; a failed act keeps nothing, so that it may be tried
/// again with the same key.
pub async fn once<T: Serialize + DeserializeOwned>(
    service: &Service,
    caller: &Caller,
    key: Option<&IdempotencyKey>,
    route: &str,
    act: impl AsyncFn(&mut store::Connection) -> Result<T, Error>,
) -> Result<Once<T>, Error> {
    let Some(key) = key else {
        let mut connection = store::acquire(service.pool()).await?;
        return Ok(Once { value: act(&mut connection).await?, replayed: false });
    };
    loop {
        if let Some(value) = kept(service, caller, key).await? {
            return Ok(Once { value, replayed: true });
        }
        let mut transaction = store::begin(service.pool()).await?;
        let value = match act(&mut transaction).await {
            Ok(value) => value,
            // The same act, committed by the same key a moment ago, may be why this one fails.
            Err(error) => {
                drop(transaction);
                return match kept(service, caller, key).await? {
                    Some(value) => Ok(Once { value, replayed: true }),
                    None => Err(error),
                };
            }
        };
        let answer = serde_json::to_value(&value).map_err(store::undecodable)?;
        if idempotency::keep(&mut *transaction, caller, key, route, &answer).await? {
            store::commit(transaction).await?;
            return Ok(Once { value, replayed: false });
        }
    }
}

async fn kept<T: DeserializeOwned>(
    service: &Service,
    caller: &Caller,
    key: &IdempotencyKey,
) -> Result<Option<T>, Error> {
    let Some(kept) = idempotency::find(service.pool(), caller, key).await? else { return Ok(None) };
    match kept.answer {
        Some(answer) if kept.fingerprint == key.fingerprint => {
            Ok(Some(serde_json::from_value(answer).map_err(store::undecodable)?))
        }
        _ => Err(Error::KeyReused),
    }
}
