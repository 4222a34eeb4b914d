//! Every URL of every surface, and nothing else.

use std::future::ready;

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, get, head, post, resource, to};
use actix_web::{Resource, Route};

use crate::http::authenticate::authenticate;
use crate::http::openai::{cancel, chat, delete_agent, initialize, models};
use crate::http::{error, health};

/// Registers every route.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(open("/healthz", "GET, HEAD", get().to(health::healthz)).route(head().to(health::healthz)))
        .service(open("/readyz", "GET, HEAD", get().to(health::readyz)).route(head().to(health::readyz)))
        .service(at("/openai/get_models", "GET", get().to(models::get_models)))
        .service(at("/openai/initialize", "POST", post().to(initialize::initialize)))
        .service(at("/openai/chat", "POST", post().to(chat::chat)))
        .service(at("/openai/cancel", "POST", post().to(cancel::cancel)))
        .service(at("/openai/delete_agent", "POST", post().to(delete_agent::delete_agent)))
        .default_service(to(error::route_not_found));
}

/// One route for callers with a credential.
fn at(path: &str, methods: &'static str, route: Route) -> impl HttpServiceFactory + 'static {
    open(path, methods, route).wrap(from_fn(authenticate))
}

/// One route for everybody; any other method on its path is answered in the common envelope.
fn open(path: &str, methods: &'static str, route: Route) -> Resource {
    resource(path).route(route).default_service(to(move || ready(error::method_not_allowed(methods))))
}
