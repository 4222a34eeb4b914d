//! Every URL of every surface, and nothing else.

use std::future::ready;

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, get, head, post, resource, to};
use actix_web::{Resource, Route};

use crate::http::admin::{agents, keys, limits, projects, runs, threads, users};
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
        .configure(administration)
        .default_service(to(error::route_not_found));
}

fn administration(config: &mut ServiceConfig) {
    config
        .service(both("/admin/projects", get().to(projects::list), post().to(projects::create)))
        .service(at("/admin/projects/{project}", "GET", get().to(projects::show)))
        .service(at("/admin/projects/{project}/revoke", "POST", post().to(projects::revoke)))
        .service(at("/admin/projects/{project}/restore", "POST", post().to(projects::restore)))
        .service(both("/admin/projects/{project}/users", get().to(users::list), post().to(users::create)))
        .service(at("/admin/projects/{project}/users/{user}", "GET", get().to(users::show)))
        .service(at("/admin/projects/{project}/users/{user}/revoke", "POST", post().to(users::revoke)))
        .service(at("/admin/projects/{project}/users/{user}/restore", "POST", post().to(users::restore)))
        .service(both("/admin/projects/{project}/agents", get().to(agents::list), post().to(agents::apply)))
        .service(at("/admin/projects/{project}/agents/{agent}", "GET", get().to(agents::show)))
        .service(at("/admin/projects/{project}/agents/{agent}/versions", "GET", get().to(agents::versions)))
        .service(at("/admin/projects/{project}/agents/{agent}/delete", "POST", post().to(agents::delete)))
        .service(at("/admin/projects/{project}/threads", "GET", get().to(threads::list)))
        .service(at("/admin/projects/{project}/threads/{thread}", "GET", get().to(threads::show)))
        .service(at("/admin/projects/{project}/threads/{thread}/messages", "GET", get().to(threads::messages)))
        .service(at("/admin/projects/{project}/runs", "GET", get().to(runs::list)))
        .service(at("/admin/projects/{project}/runs/{run}", "GET", get().to(runs::show)))
        .service(at("/admin/projects/{project}/limits", "GET", get().to(limits::list)))
        .service(at("/admin/projects/{project}/limits/{subject}", "POST", post().to(limits::set)))
        .service(both("/admin/keys", get().to(keys::list), post().to(keys::create)))
        .service(at("/admin/keys/{key}/revoke", "POST", post().to(keys::revoke)));
}

/// One route for callers with a credential.
fn at(path: &str, methods: &'static str, route: Route) -> impl HttpServiceFactory + 'static {
    open(path, methods, route).wrap(from_fn(authenticate))
}

/// A list and what adds to it, for callers with a credential.
fn both(path: &str, list: Route, add: Route) -> impl HttpServiceFactory + 'static {
    open(path, "GET, POST", list).route(add).wrap(from_fn(authenticate))
}

/// One route for everybody; any other method on its path is answered in the common envelope.
fn open(path: &str, methods: &'static str, route: Route) -> Resource {
    resource(path).route(route).default_service(to(move || ready(error::method_not_allowed(methods))))
}
