//! The list of models: `GET /v1/models`.

use serde_json::json;
use threadkeep::domain::{Cause, Failure};

use crate::fake::{Fake, Script};
use crate::scene::{config, upstream};
use crate::wire::{JSON, error, head, replying, response};

async fn models(scripts: impl Into<Vec<Script>>) -> (Result<Vec<String>, Failure>, Fake) {
    let fake = Fake::play(scripts);
    (upstream(&config(&fake.base_url())).models().await, fake)
}

#[actix_rt::test]
async fn ids_come_in_the_providers_order() {
    let list = json!({ "object": "list", "has_more": false, "data": [
        { "id": "gpt-b", "object": "model", "created": 1, "owned_by": "x", "shutdown_date": null },
        { "id": "gpt-a" }, { "object": "model" }, { "id": 7 }, { "id": "ü" },
    ] });
    let (models, fake) = models([replying(response(200, &[JSON], list.to_string()))]).await;
    assert_eq!(models.unwrap(), ["gpt-b", "gpt-a", "ü"]);
    let request = fake.request();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/models"));
    assert_eq!(request.header("authorization"), Some("Bearer sk-test-0123456789"));
    assert_eq!((request.header("content-length"), request.body.len()), (None, 0));
}

#[actix_rt::test]
async fn a_list_of_another_shape_is_malformed() {
    for body in ["{}", "[]", "{\"data\": 1}", "<html>", "", "{\"data\": []} x"] {
        let (models, _) = models([replying(response(200, &[JSON], body))]).await;
        assert_eq!(models.unwrap_err().cause, Cause::ResponseMalformed, "{body}");
    }
}

#[actix_rt::test]
async fn a_list_that_breaks_off_is_cut() {
    let (models, _) = models([replying([&head(200, &["content-length: 50"])[..], b"{\"data\": []}"].concat())]).await;
    assert_eq!(models.unwrap_err().cause, Cause::ResponseCut);
}

#[actix_rt::test]
async fn refusals_are_those_of_any_call() {
    let (models, _) = models([replying(error(401, Some("invalid_api_key"), "x", &[]))]).await;
    let failure = models.unwrap_err();
    assert_eq!((failure.cause, failure.request_id.as_deref()), (Cause::Unauthorized, Some("req_1")));
}

#[actix_rt::test]
async fn asking_for_the_list_again_does_no_harm() {
    let list = replying(response(200, &[JSON], "{\"data\": [{\"id\": \"gpt-a\"}]}"));
    let (models, fake) = models([Script::new().expect(), list]).await;
    assert_eq!((models.unwrap(), fake.requests().len()), (vec!["gpt-a".to_owned()], 2));
}
