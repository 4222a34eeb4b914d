//! `/admin/projects/{project}/limits`.

use actix_web::web::{Json, Path, ThinData};
use serde::{Deserialize, Serialize};

use crate::domain::Limits;
use crate::http::error::ApiError;
use crate::http::extract::{AdminCaller, ValidJson};
use crate::service::Service;
use crate::service::limits::{self, Limited, Subject};

/// All limits of a project.
#[derive(Debug, Serialize)]
pub struct All {
    data: Vec<Limited>,
}

/// Lists the limits of a project and of its users and keys.
pub async fn list(
    _admin: AdminCaller,
    service: ThinData<Service>,
    project: Path<String>,
) -> Result<Json<All>, ApiError> {
    Ok(Json(All { data: limits::list(service.pool(), &project).await? }))
}

/// Sets limits in place of those there are; an empty object lifts them.
pub async fn set(
    admin: AdminCaller,
    service: ThinData<Service>,
    names: Path<(String, Named)>,
    wanted: ValidJson<Limits>,
) -> Result<Json<Limited>, ApiError> {
    let (project, subject) = names.into_inner();
    Ok(Json(limits::set(service.pool(), &admin.0, &project, &subject.0, &wanted.body).await?))
}

/// `project`, `each_user`, `each_key`, or the id of a user or a key.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Named(Subject);

impl TryFrom<String> for Named {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(Self(match text.as_str() {
            "project" => Subject::Project,
            "each_user" => Subject::EachUser,
            "each_key" => Subject::EachKey,
            user if user.starts_with("user_") => Subject::User(text),
            _ => match text.try_into() {
                Ok(key_id) => Subject::Key(key_id),
                Err(_) => return Err("expected 'project', 'each_user', 'each_key', 'user_…' or 'key_…'".to_owned()),
            },
        }))
    }
}
