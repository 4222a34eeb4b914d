//! Answers that break off, are none, or are too much: each fails for its cause, and none is asked for again.

use serde_json::json;
use threadkeep::domain::Cause;

use crate::fake::Script;
use crate::scene::assert_fails_once;
use crate::wire::{
    EVENT_STREAM, JSON, answer, chunk, completed, created, delta, event, head, object, replying, response, stream_head,
    text_item,
};

#[actix_rt::test]
async fn a_connection_closed_before_the_head_is_doubtful_and_not_tried_again() {
    for script in [Script::new().expect(), Script::new().expect().reset(), replying("HTTP/1.1 200 OK\r\ncontent-")] {
        let failure = assert_fails_once(script, Cause::ResponseCut).await;
        assert_eq!(&*failure.sentence, "The provider's answer broke off before its end.");
        assert!(!failure.detail.contains("connect to host"), "it was connected: {failure:?}");
    }
}

#[actix_rt::test]
async fn a_stream_cut_anywhere_is_no_answer() {
    let whole = event(&created()) + &event(&delta("Hel")) + &event(&completed(&json!([text_item("Hello")])));
    let terminal_at = whole.find("event: response.completed").unwrap();
    for length in [terminal_at, terminal_at + 10, terminal_at + 60, whole.trim_end().len() - 1] {
        let body = &whole[..length];
        let open = Script::new().expect().send(stream_head()).send(chunk(body));
        for script in [open.clone(), open.clone().reset(), open.send(chunk(""))] {
            let failure = assert_fails_once(script, Cause::ResponseCut).await;
            assert_eq!(failure.response_id.as_deref(), Some("resp_1"), "{length}");
            assert_eq!(failure.request_id.as_deref(), Some("req_1"));
        }
        let short = head(200, &[EVENT_STREAM, &format!("content-length: {}", whole.len())]);
        assert_fails_once(replying([&short, body.as_bytes()].concat()), Cause::ResponseCut).await;
    }
}

#[actix_rt::test]
async fn a_done_marker_without_a_terminal_event_is_no_answer() {
    let body = event(&delta("Hello")) + "data: [DONE]\n\n";
    assert_fails_once(replying(response(200, &[EVENT_STREAM], body)), Cause::ResponseCut).await;
    assert_fails_once(replying(response(200, &[EVENT_STREAM], "")), Cause::ResponseCut).await;
}

#[actix_rt::test]
async fn an_object_that_lacks_its_end_is_no_answer() {
    let body = object("completed", &json!([text_item("Hello")])).to_string();
    let lacking = head(200, &[JSON, &format!("content-length: {}", body.len() + 1)]);
    assert_fails_once(replying([&lacking, body.as_bytes()].concat()), Cause::ResponseCut).await;
    let failure =
        assert_fails_once(replying(response(200, &[JSON], &body[..body.len() - 1])), Cause::ResponseMalformed);
    assert!(failure.await.detail.contains("Eof"));
}

#[actix_rt::test]
async fn what_is_neither_json_nor_events_is_malformed() {
    for (headers, body) in [
        (&["content-type: text/html"][..], "<html>Sign in</html>"),
        (&[][..], "<html>Sign in</html>"),
        (&["content-type: text/plain"], "upstream connect error"),
        (&[JSON], "[1, 2]"),
        (&[JSON], "{\"hello\": \"world\"}"),
        (&[JSON], "{\"id\": "),
        (&[EVENT_STREAM], "data: not json\n\n"),
        (&[EVENT_STREAM], "data: {\"type\": \"response.created\"\n\n"),
        (&[EVENT_STREAM], "data: \"a string\"\n\n"),
        (&[EVENT_STREAM], "data: {\"type\": \"response.output_text.delta\", \"delta\": \"\u{fffd}\n\n"),
    ] {
        let failure = assert_fails_once(replying(response(200, headers, body)), Cause::ResponseMalformed).await;
        assert_eq!(&*failure.sentence, "The provider's answer is not of the documented form.");
    }
}

#[actix_rt::test]
async fn what_is_not_http_is_malformed() {
    assert_fails_once(replying("SSH-2.0-OpenSSH_9.2\r\n\r\n"), Cause::ResponseMalformed).await;
    let wrong_chunk = [&stream_head()[..], b"zz\r\n"].concat();
    assert_fails_once(replying(wrong_chunk), Cause::ResponseMalformed).await;
    let headers: Vec<String> = (0..200).map(|number| format!("x-{number}: y")).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    assert_fails_once(replying(response(200, &headers, "")), Cause::ResponseMalformed).await;
}

#[actix_rt::test]
async fn a_body_that_cannot_be_read_rightly_is_malformed() {
    let body = event(&completed(&json!([text_item("Hello")])));
    let compressed = response(200, &[EVENT_STREAM, "content-encoding: gzip"], &body);
    let failure = assert_fails_once(replying(compressed), Cause::ResponseMalformed).await;
    assert!(failure.detail.contains("compressed"), "{failure:?}");
    let endless = [&head(200, &[EVENT_STREAM, "connection: close"])[..], body.as_bytes()].concat();
    let failure = assert_fails_once(replying(endless), Cause::ResponseMalformed).await;
    assert!(failure.detail.contains("Content-Length"), "{failure:?}");
}

#[actix_rt::test]
async fn an_answer_over_the_limit_is_refused_however_it_comes() {
    let huge = "x".repeat(250_000);
    let stated = head(200, &[JSON, "content-length: 250000", "x-request-id: req_1"]);
    let failure = assert_fails_once(replying(stated), Cause::ResponseTooLarge).await;
    assert!(failure.sentence.contains("200000 bytes (upstream.response_bytes_max)"), "{failure:?}");
    assert_eq!(failure.request_id.as_deref(), Some("req_1"));
    assert_fails_once(replying(answer(&huge)), Cause::ResponseTooLarge).await;
    let one_line = [stream_head(), chunk(format!("data: {{{huge}"))].concat();
    assert_fails_once(replying(one_line), Cause::ResponseTooLarge).await;
    let comments = Script::new().expect().send(stream_head()).send(chunk(": x\n".repeat(70_000)));
    assert_fails_once(comments, Cause::ResponseTooLarge).await;
}
