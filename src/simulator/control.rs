//! The simulator's own routes: its health, its queue of faults and its journal; nothing that a provider has.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::json;

use super::{State, faults::Queued, rejection::Rejection};

/// `GET /healthz`
pub async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok", "simulator": true}))
}

/// `GET /simulator/faults`: what waits in the queue.
pub async fn waiting(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.faults.waiting())
}

/// `POST /simulator/faults`: a list of `{"kind", "value"?, "times"? = 1, "path"?}` to append to the queue.
pub async fn enqueue(state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    let entries = serde_json::from_slice::<Vec<Queued>>(&body).map_err(|error| error.to_string());
    match entries.and_then(|entries| state.faults.enqueue(entries)) {
        Ok(()) => HttpResponse::Ok().json(state.faults.waiting()),
        Err(sentence) => refuse(&Rejection::unnamed(400, Some("invalid_fault"), sentence)),
    }
}

/// `DELETE /simulator/faults`: empties the queue.
pub async fn clear_faults(state: web::Data<State>) -> HttpResponse {
    state.faults.clear();
    HttpResponse::NoContent().finish()
}

/// `GET /simulator/journal`: the last requests, oldest first.
pub async fn journal(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.journal.entries())
}

/// `DELETE /simulator/journal`: forgets them.
pub async fn clear_journal(state: web::Data<State>) -> HttpResponse {
    state.journal.clear();
    HttpResponse::NoContent().finish()
}

/// Any URL that a provider would not know either.
pub async fn unknown_url(request: actix_web::HttpRequest) -> HttpResponse {
    let message = format!("Invalid URL ({} {})", request.method(), request.path());
    refuse(&Rejection::unnamed(404, None, message))
}

fn refuse(rejection: &Rejection) -> HttpResponse {
    let status = StatusCode::from_u16(rejection.status).unwrap_or(StatusCode::BAD_REQUEST);
    HttpResponse::build(status).json(rejection.envelope())
}
