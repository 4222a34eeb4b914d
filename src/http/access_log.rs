//! One line per request: who asked for what, and how it was answered; never what was said.

use std::time::Instant;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};

use crate::domain::Caller;
use crate::http::{address, request_id};

/// Where `RUST_LOG` finds these lines.
const TARGET: &str = "access";

/// The longest path that is written out.
const PATH_CHARS_MAX: usize = 200;

/// Middleware: writes the line when the answer's head is known; a stream goes on after it.
pub async fn write(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begun = Instant::now();
    let answer = next.call(request).await?;
    if log::log_enabled!(target: TARGET, log::Level::Info) {
        line(answer.request(), answer.status().as_u16(), answer.response().body().size(), begun);
    }
    Ok(answer)
}

fn line(request: &HttpRequest, status: u16, size: BodySize, begun: Instant) {
    let extensions = request.extensions();
    let caller = extensions.get::<Caller>().cloned();
    let actor = caller.as_ref().map_or("-", |caller| caller.actor.as_str());
    let user = caller.as_ref().and_then(|caller| caller.user_id.as_ref()).map_or("-", |user_id| user_id.as_str());
    drop(extensions);
    let address = address::of(request).map_or_else(|| "-".to_owned(), |address| address.to_string());
    let bytes = match size {
        BodySize::Sized(bytes) => bytes.to_string(),
        BodySize::None | BodySize::Stream => "-".to_owned(),
    };
    let (method, path) = (request.method(), path(request));
    let (request_id, ms) = (request_id::of(request), begun.elapsed().as_millis());
    log::info!(
        target: TARGET,
        "request_id={request_id} method={method} path={path} status={status} duration_ms={ms} bytes={bytes} \
         caller={actor:?} user_id={user} address={address} Answered"
    );
}

/// The route's pattern, so that equal requests look alike; of a path that no route has, its harmless characters.
fn path(request: &HttpRequest) -> String {
    request.match_pattern().unwrap_or_else(|| {
        let harmless = |character: char| if character.is_ascii_graphic() { character } else { '?' };
        request.path().chars().take(PATH_CHARS_MAX).map(harmless).collect()
    })
}
