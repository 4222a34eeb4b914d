//! Who calls: a request's credential becomes its caller before any handler sees it.

use std::net::IpAddr;
use std::time::Instant;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap};
use actix_web::http::uri::Authority;
use actix_web::middleware::Next;
use actix_web::web::{Data, ThinData};
use actix_web::{Error, HttpMessage};

use crate::domain::{Caller, Label};
use crate::http::error::ApiError;
use crate::http::{Attempts, Config, address, request_id};
use crate::service::auth::{self, Shown};
use crate::service::{self, Service};

/// The header that names the user for whom a trusted backend acts, by the project's own id.
const ACTS_FOR: &str = "threadkeep-user";

/// The longest credential; a token of an issuer has a few thousand characters at most.
const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;

/// Middleware: gives the request its caller, or answers 401.
pub async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    match caller(&request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
    }
}

async fn caller(request: &ServiceRequest) -> Result<Caller, ApiError> {
    if request.uri().path_and_query().is_some_and(|asked| asked.as_str().contains("%00")) {
        return Err(ApiError::bad_payload("invalid_path", "The path holds a NUL character (%00)."));
    }
    let service = request.app_data::<ThinData<Service>>().ok_or(service::Error::Unauthenticated)?;
    if auth::is_for_this_machine(service) && !is_named_locally(host(request)) {
        return Err(ApiError::foreign_host());
    }
    if auth::is_open(service) && is_from_another_page(request) {
        return Err(ApiError::foreign_origin());
    }
    let shown = Shown {
        credential: bearer(request.headers()),
        acts_for: acts_for(request.headers())?,
        address: address::of(request.request()),
        request_id: request_id::of(request.request()),
    };
    watched(request, service, shown).await
}

/// Counts a credential that nobody knows as a failure until it is found to work, so that no burst outruns the count.
async fn watched(request: &ServiceRequest, service: &Service, shown: Shown<'_>) -> Result<Caller, ApiError> {
    let is_shown = request.headers().contains_key(AUTHORIZATION);
    let watched = request.app_data::<Data<Attempts>>().zip(shown.address).filter(|_| is_shown);
    let Some((attempts, address)) = watched else { return Ok(auth::authenticate(service, shown).await?) };
    let is_known = shown.credential.is_some_and(|credential| auth::is_known(service, credential));
    if !is_known {
        if let Some(wait) = attempts.blocked(address, Instant::now()) {
            return Err(ApiError::too_many_failures(wait));
        }
        attempts.failed(address, Instant::now());
    }
    let outcome = auth::authenticate(service, shown).await;
    match (&outcome, is_known) {
        (Err(service::Error::Unauthenticated), true) => attempts.failed(address, Instant::now()),
        (Err(service::Error::Unauthenticated), false) | (_, true) => {}
        (_, false) => attempts.forgiven(address),
    }
    Ok(outcome?)
}

/// Whether a browser says that another page than one of ours, or of those that may, makes the call.
fn is_from_another_page(request: &ServiceRequest) -> bool {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let named = request.app_data::<Data<Config>>().map(|config| config.cors_origins.as_slice()).unwrap_or_default();
    match (text("origin"), text("sec-fetch-site")) {
        (Some(origin), _) => {
            let is_ours = origin.split_once("://").is_some_and(|(_, authority)| authority == host(request));
            !is_ours && !named.iter().any(|may| may == "*" || may == origin)
        }
        (None, site) => matches!(site, Some("cross-site" | "same-site")),
    }
}

/// The name that the service is called by, as the client's own connection says it and no header that a page can set.
fn host(request: &ServiceRequest) -> &str {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| request.uri().authority().map(Authority::as_str)).unwrap_or_default()
}

/// Whether a host is `localhost` or an address, and no name that somebody else's DNS can point here.
fn is_named_locally(host: &str) -> bool {
    let port_at = host.rfind(':').filter(|at| !host.ends_with(']') && host.get(*at + 1..).is_some_and(is_number));
    let name = port_at.and_then(|at| host.get(..at)).unwrap_or(host).trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The bearer of exactly one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION);
    let (first, None) = (given.next()?, given.next()) else { return None };
    let (scheme, credential) = first.to_str().ok()?.split_once(' ')?;
    let credential = credential.trim();
    (scheme.eq_ignore_ascii_case("bearer") && credential.len() <= CREDENTIAL_BYTES_MAX).then_some(credential)
}

fn acts_for(headers: &HeaderMap) -> Result<Option<Label>, ApiError> {
    let mut given = headers.get_all(ACTS_FOR);
    let Some(first) = given.next() else { return Ok(None) };
    let refused = |reason: &str| ApiError::bad_payload("invalid_user_header", format!("Threadkeep-User: {reason}."));
    if given.next().is_some() {
        return Err(refused("must be given once"));
    }
    let text = str::from_utf8(first.as_bytes()).map_err(|_| refused("must be UTF-8"))?;
    Label::try_from(text.to_owned()).map(Some).map_err(|reason| refused(&reason.to_string()))
}

#[cfg(test)]
mod tests {
    use super::is_named_locally;

    #[test]
    fn only_addresses_and_localhost_are_names_of_this_machine() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080", "10.0.0.7:80"]
        {
            assert!(is_named_locally(host), "{host}");
        }
        for host in ["evil.test", "evil.test:8080", "localhost.evil.test", "127.0.0.1.evil.test:80", "", ":8080"] {
            assert!(!is_named_locally(host), "{host}");
        }
    }
}
