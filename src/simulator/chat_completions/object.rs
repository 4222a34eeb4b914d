//! The completion object and its usage; not the chunks of a stream.

use serde_json::{Value, json};

use crate::simulator::{
    issue::Issue,
    prompt::{Content, Ending, Prompt, Reply},
};

pub struct Object<'a> {
    pub prompt: &'a Prompt,
    pub reply: &'a Reply,
    pub issue: &'a Issue,
    pub unknown: bool,
}

impl Object<'_> {
    /// The body of an answer that is not streamed.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "id": self.issue.response_id,
            "object": "chat.completion",
            "created": self.issue.created_at,
            "model": self.prompt.model,
            "choices": [{
                "index": 0,
                "message": self.message(),
                "logprobs": null,
                "finish_reason": self.finish_reason(),
            }],
            "usage": self.usage(),
            "service_tier": "default",
            "system_fingerprint": null,
        });
        if self.unknown
            && let Some(fields) = document.as_object_mut()
        {
            fields.insert("simulated_unknown_field".to_owned(), json!({"nested": [null]}));
            fields.insert("service_tier".to_owned(), Value::Null);
        }
        document
    }

    pub fn finish_reason(&self) -> Option<&'static str> {
        match (&self.reply.ending, &self.reply.content) {
            (Ending::Missing, _) => None,
            (Ending::Incomplete("content_filter"), _) => Some("content_filter"),
            (Ending::Incomplete(_), _) => Some("length"),
            (_, Content::FunctionCall { .. }) => Some("tool_calls"),
            _ => Some("stop"),
        }
    }

    pub fn usage(&self) -> Value {
        let Reply { input_tokens, output_tokens, .. } = self.reply;
        json!({
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }

    fn message(&self) -> Value {
        let (text, refusal) = match &self.reply.content {
            Content::Text(text) => (Some(text), None),
            Content::Refusal(refusal) => (None, Some(refusal)),
            Content::FunctionCall { .. } | Content::Nothing => (None, None),
        };
        let mut message = json!({
            "role": "assistant",
            "content": text,
            "refusal": refusal,
            "annotations": [],
        });
        if let Content::FunctionCall { name, arguments } = &self.reply.content
            && let Some(fields) = message.as_object_mut()
        {
            let call = json!([{
                "id": self.issue.call_id,
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }]);
            fields.insert("tool_calls".to_owned(), call);
        }
        message
    }
}
