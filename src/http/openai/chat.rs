//! `POST /openai/chat`.

use actix_web::HttpResponse;
use actix_web::web::ThinData;
use serde::{Deserialize, Serialize};

use crate::domain::{AgentId, AgentRef, Caller, MessageId, OnBusy, RunId, ThreadId, Usage, UserInput};
use crate::http::error::ApiError;
use crate::http::extract::ValidJson;
use crate::http::idempotency::REPLAYED;
use crate::http::sse::{self, Frame};
use crate::service::Service;
use crate::service::chat::{self, Event, Question, Reply, Turn};

/// What is asked.
#[derive(Debug, Deserialize)]
pub struct Request {
    #[serde(alias = "message")]
    user_input: UserInput,
    agent_id: AgentRef,
    thread_id: ThreadId,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    on_busy: Option<OnBusy>,
}

/// What is answered, in one piece or as the stream's last event.
#[derive(Debug, Serialize)]
pub struct Answered {
    message: &'static str,
    response: String,
    thread_id: ThreadId,
    agent_id: AgentId,
    run_id: RunId,
    message_id: MessageId,
    usage: Option<Usage>,
}

#[derive(Debug, Serialize)]
struct Delta {
    text: String,
}

/// Asks a thread's agent; with `stream`, the answer comes as server-sent events once the turn is opened.
pub async fn chat(
    service: ThinData<Service>,
    caller: Caller,
    request: ValidJson<Request>,
) -> Result<HttpResponse, ApiError> {
    let streamed = request.body.stream.unwrap_or(false);
    let mut turn = chat::start(&service, caller, request.into());
    let mut answer = HttpResponse::Ok();
    if turn.opened().await? {
        answer.insert_header(REPLAYED);
    }
    if streamed {
        return Ok(sse::response(answer, turn, next_frame));
    }
    let reply = turn.reply().await?;
    Ok(answer.json(Answered::from(reply)))
}

async fn next_frame(turn: &mut Turn) -> Frame {
    match turn.next().await {
        Event::Opened => Frame::comment("opened"),
        Event::Delta(text) => Frame::new("delta", &Delta { text }),
        Event::Completed(reply) => Frame::last("completed", &Answered::from(*reply)),
        Event::Failed(error) => {
            let error = ApiError::from(error);
            error.log(turn.request_id());
            Frame::last("error", &error.envelope())
        }
    }
}

impl From<ValidJson<Request>> for Question {
    fn from(request: ValidJson<Request>) -> Self {
        let ValidJson { body, key } = request;
        Self {
            user_input: body.user_input,
            agent: body.agent_id,
            thread_id: body.thread_id,
            on_busy: body.on_busy,
            key,
        }
    }
}

impl From<Reply> for Answered {
    fn from(reply: Reply) -> Self {
        Self {
            message: "Answered.",
            response: reply.response,
            thread_id: reply.thread_id,
            agent_id: reply.agent_id,
            run_id: reply.run_id,
            message_id: reply.message_id,
            usage: reply.usage,
        }
    }
}
