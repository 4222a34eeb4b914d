//! `/admin/keys`.

use actix_web::web::{Json, Path, Query, ThinData};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::domain::{AccessRole, KeyId, Label, Piece};
use crate::http::admin::query::{self, Limit};
use crate::http::error::ApiError;
use crate::http::extract::{AdminCaller, ValidJson};
use crate::service::Service;
use crate::service::keys::{self, Key, Order};

/// Which keys are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    after: Option<String>,
}

/// A key that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    name: Label,
    project: Label,
    role: AccessRole,
    #[serde(default)]
    user: Option<Label>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// A new key, the only time that it is shown.
#[derive(Debug, Serialize)]
pub struct Made {
    id: KeyId,
    key: String,
}

/// A key that works no more.
#[derive(Debug, Serialize)]
pub struct Revoked {
    id: KeyId,
    message: &'static str,
}

/// Lists keys without their secrets, newest first: all, or one project's.
pub async fn list(
    _admin: AdminCaller,
    service: ThinData<Service>,
    query: Query<Listing>,
) -> Result<Json<Piece<Key>>, ApiError> {
    let Listing { project, limit, after } = query.into_inner();
    let page = query::page(limit, after);
    query::answer(&page, keys::list(service.pool(), project.as_deref(), &page).await?)
}

/// Makes a key. Its secret is kept nowhere, so the answer cannot be repeated, and an `Idempotency-Key` is refused.
pub async fn create(
    admin: AdminCaller,
    service: ThinData<Service>,
    wanted: ValidJson<Wanted>,
) -> Result<Json<Made>, ApiError> {
    if wanted.key.is_some() {
        let sentence = "Idempotency-Key: a new key is shown once and kept nowhere, so this request cannot be repeated.";
        return Err(ApiError::bad_payload("invalid_idempotency_key", sentence));
    }
    let made = keys::create(service.pool(), &admin.0, &wanted.body.into()).await?;
    Ok(Json(Made { id: made.key_id, key: made.secret.expose().to_owned() }))
}

/// Revokes a key for good.
pub async fn revoke(
    admin: AdminCaller,
    service: ThinData<Service>,
    key_id: Path<KeyId>,
) -> Result<Json<Revoked>, ApiError> {
    let id = keys::revoke(service.pool(), &admin.0, &key_id).await?;
    Ok(Json(Revoked { id, message: "The key is revoked; it stops working everywhere within auth.recheck_ms." }))
}

impl From<Wanted> for Order {
    fn from(wanted: Wanted) -> Self {
        let Wanted { name, project, role, user, expires_at } = wanted;
        Self { project: project.into(), role, user, name, expires_at }
    }
}
