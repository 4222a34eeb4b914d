//! Reading a request of the Responses wire, refusing what OpenAI refuses in the same order and words.

use serde_json::{Map, Value};

use super::{input, tools};
use crate::simulator::{check, models, prompt::Prompt, rejection::Rejection};

const FIELDS: [&str; 30] = [
    "background",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];
const OLDER_FIELD: &str = "user";
const OUTPUT_TOKENS_MIN: u64 = 16;
const STATE_FIELDS: [&str; 3] = ["conversation", "previous_response_id", "prompt"];

type Fields = Map<String, Value>;

/// The order of the checks is OpenAI's: model, input, unknown fields, each field, state, what the model can do.
pub fn parse(mut fields: Fields) -> Result<Prompt, Rejection> {
    let model = check::required_string(&fields, "", "model")?.to_owned();
    let input = input_of(&mut fields)?;
    check::known(&fields, "", &FIELDS).or_else(|rejection| match rejection.param.as_deref() {
        Some(OLDER_FIELD) => Ok(()),
        _ => Err(rejection),
    })?;
    let stream = check::boolean(&fields, "stream")?;
    stream_options(&fields)?;
    check::boolean(&fields, "store")?;
    check::boolean(&fields, "parallel_tool_calls")?;
    check::decimal(&fields, "temperature", &(0.0..=2.0))?;
    check::decimal(&fields, "top_p", &(0.0..=1.0))?;
    check::metadata(&fields)?;
    check::integer(&fields, "max_tool_calls", 1)?;
    text_format(&fields)?;
    let output_tokens_max = check::integer(&fields, "max_output_tokens", OUTPUT_TOKENS_MIN)?;
    let instructions = check::string(&fields, "", "instructions")?.map(str::to_owned);
    let tools = tools::parse(check::array(&fields, "tools")?)?;
    let history = input::parse(input)?;
    state(&fields)?;
    models::usable(&model)?;
    capabilities(&model, &fields)?;
    Ok(Prompt { model, instructions, history, tools, stream, output_tokens_max, fields })
}

/// Whether deltas hide their length, as they do unless the request declines.
pub fn obfuscates(prompt: &Prompt) -> bool {
    let options = prompt.fields.get("stream_options");
    let asked = options.and_then(|options| options.get("include_obfuscation"));
    asked.and_then(Value::as_bool).unwrap_or(true)
}

/// The input, taken out of the fields; an empty one is as good as none.
fn input_of(fields: &mut Fields) -> Result<Value, Rejection> {
    let has_state = STATE_FIELDS.iter().any(|key| check::present(fields, key).is_some());
    let input = fields.remove("input").unwrap_or_default();
    let empty = match &input {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match (empty, input.is_null()) {
        (true, _) if has_state => Ok(Value::Array(Vec::new())),
        (true, true) => Err(Rejection::missing("input")),
        (true, false) => Err(Rejection::invalid(
            Some("missing_required_parameter"),
            "input",
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' \
             must be provided."
                .to_owned(),
        )),
        (false, _) => Ok(input),
    }
}

/// `include_usage` is unknown here: usage comes with the last event anyway.
fn stream_options(fields: &Fields) -> Result<(), Rejection> {
    let Some(options) = check::present(fields, "stream_options") else {
        return Ok(());
    };
    check::known(check::object(options, "stream_options")?, "stream_options.", &["include_obfuscation"])
}

/// `text.format` is flat here: a nested `json_schema` lacks its name.
fn text_format(fields: &Fields) -> Result<(), Rejection> {
    let Some(text) = check::present(fields, "text") else {
        return Ok(());
    };
    let Some(format) = check::present(check::object(text, "text")?, "format") else {
        return Ok(());
    };
    let format = check::object(format, "text.format")?;
    let kind = check::required_string(format, "text.format.", "type")?;
    match kind {
        "text" | "json_object" => Ok(()),
        "json_schema" => {
            check::required_string(format, "text.format.", "name")?;
            let schema = check::present(format, "schema");
            schema.map_or_else(|| Err(Rejection::missing("text.format.schema")), |_| Ok(()))
        }
        other => Err(Rejection::unsupported_value("text.format.type", other, &["json_object", "json_schema", "text"])),
    }
}

fn state(fields: &Fields) -> Result<(), Rejection> {
    let given = |key| check::present(fields, key).is_some();
    if given("previous_response_id") && given("conversation") {
        return Err(Rejection::unnamed(
            400,
            Some("mutually_exclusive_parameters"),
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. \
             Ensure you are only providing one of them."
                .to_owned(),
        ));
    }
    if let Some(key) = STATE_FIELDS.into_iter().find(|key| given(key)) {
        let sentence = "it keeps no state; send the whole conversation as 'input'";
        return Err(Rejection::not_simulated(key, sentence));
    }
    if check::boolean(fields, "background")? {
        let sentence = "it answers in the foreground only";
        return Err(Rejection::not_simulated("background", sentence));
    }
    Ok(())
}

fn capabilities(model: &str, fields: &Fields) -> Result<(), Rejection> {
    let refused = ["temperature", "top_p"].into_iter().find(|key| check::present(fields, key).is_some());
    match refused {
        Some(key) if model == models::REASONING => Err(Rejection::invalid(
            None,
            key,
            format!("Unsupported parameter: '{key}' is not supported with this model."),
        )),
        _ => Ok(()),
    }
}
