//! Which piece of a list is asked for, and what is wrong with a path or a query that cannot be read.

use actix_web::HttpRequest;
use actix_web::error::{PathError, QueryPayloadError};
use actix_web::web::{Json, PathConfig, QueryConfig};
use serde::Deserialize;

use crate::domain::{PAGE_ENTRIES_MAX, Page, Piece};
use crate::http::error::ApiError;

/// `limit` and `after` of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    after: Option<String>,
}

/// How many entries, 1 to 100; 20 where nothing is said.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub struct Limit(u32);

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(entries: u32) -> Result<Self, String> {
        match entries {
            1..=PAGE_ENTRIES_MAX => Ok(Self(entries)),
            _ => Err(format!("limit must lie between 1 and {PAGE_ENTRIES_MAX}")),
        }
    }
}

impl PageQuery {
    /// The page that is asked for.
    pub fn page(self) -> Page {
        page(self.limit, self.after)
    }
}

/// The page of a query that has more to it.
pub fn page(limit: Limit, after: Option<String>) -> Page {
    Page { after, limit: limit.0 }
}

/// Answers a piece of a list; an empty one behind an entry means that there is no such entry, as nobody who was told
/// that a list ends asks what comes then.
pub fn answer<T>(page: &Page, piece: Piece<T>) -> Result<Json<Piece<T>>, ApiError> {
    if piece.data.is_empty() && page.after.is_some() {
        return Err(ApiError::bad_payload(
            "invalid_cursor",
            "after: no entry of this list has this id, or the last one.",
        ));
    }
    Ok(Json(piece))
}

/// Answers ids in a path that are none.
pub fn paths() -> PathConfig {
    PathConfig::default().error_handler(|error: PathError, _: &HttpRequest| {
        ApiError::bad_payload("invalid_path", format!("The path cannot be read: {}.", reason(&error.to_string())))
            .into()
    })
}

/// Answers parameters that are unknown or cannot be used.
pub fn queries() -> QueryConfig {
    QueryConfig::default().error_handler(|error: QueryPayloadError, _: &HttpRequest| {
        ApiError::bad_payload("invalid_query", format!("The query cannot be read: {}.", reason(&error.to_string())))
            .into()
    })
}

fn reason(text: &str) -> &str {
    text.rsplit_once(" error: ").map_or(text, |(_, reason)| reason)
}
