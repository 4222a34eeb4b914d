//! The driver for OpenAI's `/v1/responses`: the whole history with each call, nothing kept at the provider.

mod output;
mod request;
mod stream;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::Reply;
use super::call::Call;
use super::client::{Client, Request};
use super::failure::malformed;
use super::provider::Provider;
use super::words;
use crate::domain::{Answer, Failure, ModelCall};
use stream::Reading;

/// A driver bound to the thread that built it.
pub struct Responses {
    client: Client,
    provider: Provider,
}

/// `GET /models`: `{"data": [{"id": "…"}, …]}`.
#[derive(Deserialize)]
struct ModelList<'a> {
    #[serde(borrow)]
    data: Option<Vec<Model<'a>>>,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

impl Responses {
    /// A driver with a pool of its own; must be called within an actix runtime.
    pub fn new(provider: &Provider) -> Self {
        Self { client: Client::new(provider), provider: provider.clone() }
    }

    /// Has one turn answered; see [`super::Upstream::answer`].
    pub async fn answer(&self, call: &ModelCall<'_>, deltas: &mut dyn FnMut(&str)) -> Result<Answer, Failure> {
        let answer = self.ask(call, deltas).await;
        answer.map_err(|failure| self.client.without_key(failure))
    }

    /// The ids of the provider's models, in its order; entries without an id are left out.
    pub async fn models(&self) -> Result<Vec<String>, Failure> {
        let models = self.list().await;
        models.map_err(|failure| self.client.without_key(failure))
    }

    async fn ask(&self, call: &ModelCall<'_>, deltas: &mut dyn FnMut(&str)) -> Result<Answer, Failure> {
        let place = Call::begin(&self.client).await?;
        let model = call.agent.model.as_str();
        let request = Request {
            uri: self.provider.responses(),
            body: request::body(call)?,
            run_id: Some(call.run_id),
            model: Some(model),
        };
        let read = async |reply: Reply| {
            let request_id = reply.request_id.clone();
            let mut reading = Reading::new(deltas, model, self.provider.key());
            let outcome = reading.read(reply).await;
            let response_id = reading.response_id();
            match outcome {
                Ok(answer) => Ok(Answer { response_id, request_id, ..answer }),
                Err(failure) => Err(Failure { response_id, ..failure }),
            }
        };
        place.make(&request, read).await
    }

    async fn list(&self) -> Result<Vec<String>, Failure> {
        let request = Request { uri: self.provider.models(), body: Bytes::new(), run_id: None, model: None };
        let read = async |mut reply: Reply| read_models(&reply.bytes(Bytes::new()).await?);
        Call::begin(&self.client).await?.make(&request, read).await
    }
}

fn read_models(body: &[u8]) -> Result<Vec<String>, Failure> {
    let list: ModelList<'_> = serde_json::from_slice(body).map_err(|error| malformed(format!("models: {error}")))?;
    let models = list.data.ok_or_else(|| malformed("models: no data"))?;
    Ok(models.into_iter().filter_map(|model| words::text(model.id)).collect())
}
