//! Reading a request of the Chat Completions wire, refusing what OpenAI refuses in its words.

use serde_json::{Map, Value};

use super::messages;
use crate::simulator::{
    check, models,
    prompt::{Prompt, Tool},
    rejection::Rejection,
};

const FIELDS: [&str; 37] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
const NOT_SIMULATED: [&str; 4] = ["audio", "function_call", "functions", "prediction"];

type Fields = Map<String, Value>;

pub fn parse(mut fields: Fields) -> Result<Prompt, Rejection> {
    let model = check::required_string(&fields, "", "model")?.to_owned();
    let messages = match fields.remove("messages") {
        None | Some(Value::Null) => return Err(Rejection::missing("messages")),
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(Rejection::wrong_type("messages", "an array", &other)),
    };
    if messages.is_empty() {
        return Err(Rejection::invalid(
            Some("empty_array"),
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, \
             but got an empty array instead."
                .to_owned(),
        ));
    }
    check::known(&fields, "", &FIELDS)?;
    let stream = check::boolean(&fields, "stream")?;
    stream_options(&fields, stream)?;
    check::decimal(&fields, "temperature", &(0.0..=2.0))?;
    check::decimal(&fields, "top_p", &(0.0..=1.0))?;
    check::decimal(&fields, "frequency_penalty", &(-2.0..=2.0))?;
    check::decimal(&fields, "presence_penalty", &(-2.0..=2.0))?;
    check::metadata(&fields)?;
    let max_completion_tokens = check::integer(&fields, "max_completion_tokens", 1)?;
    let output_tokens_max = max_completion_tokens.or(check::integer(&fields, "max_tokens", 1)?);
    let tools = tools(check::array(&fields, "tools")?)?;
    let (instructions, history) = messages::parse(&messages)?;
    not_simulated(&fields)?;
    models::usable(&model)?;
    Ok(Prompt { model, instructions, history, tools, stream, output_tokens_max, fields })
}

/// Whether the stream ends with a chunk that holds the usage.
pub fn includes_usage(prompt: &Prompt) -> bool {
    let options = prompt.fields.get("stream_options");
    let asked = options.and_then(|options| options.get("include_usage"));
    asked.and_then(Value::as_bool).unwrap_or(false)
}

fn stream_options(fields: &Fields, stream: bool) -> Result<(), Rejection> {
    let Some(options) = check::present(fields, "stream_options") else {
        return Ok(());
    };
    let options = check::object(options, "stream_options")?;
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Rejection::invalid(None, "stream_options", message.to_owned()));
    }
    check::known(options, "stream_options.", &["include_usage", "include_obfuscation"])
}

fn not_simulated(fields: &Fields) -> Result<(), Rejection> {
    let given = |key| check::present(fields, key).is_some();
    if let Some(key) = NOT_SIMULATED.into_iter().find(|key| given(key)) {
        return Err(Rejection::not_simulated(key, "leave it out"));
    }
    match check::integer(fields, "n", 1)? {
        None | Some(1) => Ok(()),
        Some(_) => Err(Rejection::not_simulated("n", "it gives one choice only")),
    }
}

/// Tools are nested here: what describes a function stands in its `function` object.
fn tools(tools: &[Value]) -> Result<Vec<Tool>, Rejection> {
    let functions = tools.iter().enumerate().map(|(index, tool)| function(tool, &format!("tools[{index}]")));
    functions.collect()
}

fn function(tool: &Value, path: &str) -> Result<Tool, Rejection> {
    let tool = check::object(tool, path)?;
    let kind = check::required_string(tool, &format!("{path}."), "type")?;
    if kind != "function" {
        let path = format!("{path}.type");
        return Err(Rejection::unsupported_value(path, kind, &["function"]));
    }
    let path = format!("{path}.function");
    let Some(function) = check::present(tool, "function") else {
        return Err(Rejection::missing(path));
    };
    let function = check::object(function, &path)?;
    let path = format!("{path}.");
    let name = check::required_string(function, &path, "name")?.to_owned();
    check::known(function, &path, &["name", "description", "parameters", "strict"])?;
    let parameters = function.get("parameters").cloned().unwrap_or_default();
    Ok(Tool { name, parameters })
}
