//! Reading a request's input items into roles and texts; no item is kept beyond that.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::simulator::{calls::Calls, check, prompt::Entry, rejection::Rejection};

const MESSAGE_FIELDS: [&str; 6] = ["type", "role", "content", "id", "status", "phase"];
const CALL_FIELDS: [&str; 8] = ["type", "id", "call_id", "name", "arguments", "status", "namespace", "caller"];
const OUTPUT_FIELDS: [&str; 8] = ["type", "id", "call_id", "output", "status", "name", "namespace", "caller"];
const SENT_PARTS: [&str; 4] = ["input_text", "input_image", "input_file", "input_audio"];
const OUTPUT_PARTS: [&str; 2] = ["output_text", "refusal"];
/// Accepted as they are: what a client that works without stored state sends back.
const OTHER_ITEMS: [&str; 9] = [
    "file_search_call",
    "code_interpreter_call",
    "web_search_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
    "custom_tool_call",
    "custom_tool_call_output",
    "compaction",
];

type Fields = Map<String, Value>;

pub fn parse(input: Value) -> Result<Vec<Entry>, Rejection> {
    let items = match input {
        Value::String(text) => return Ok(vec![("user".into(), text)]),
        Value::Array(items) => items,
        other => {
            return Err(Rejection::wrong_type("input", "a string or an array", &other));
        }
    };
    let mut entries = Vec::with_capacity(items.len());
    let mut calls = Calls::default();
    for (index, item) in items.into_iter().enumerate() {
        let path = format!("input[{index}]");
        match item {
            Value::Object(item) => entries.extend(entry(item, &format!("{path}."), &mut calls)?),
            other => return Err(Rejection::wrong_type(path, "an object", &other)),
        }
    }
    if let Some(unpaired) = calls.unpaired() {
        return Err(Rejection::invalid(None, "input", unpaired.sentence()));
    }
    Ok(entries)
}

fn entry(item: Fields, path: &str, calls: &mut Calls) -> Result<Option<Entry>, Rejection> {
    let kind = check::string(&item, path, "type")?.unwrap_or("message").to_owned();
    match kind.as_str() {
        "message" => message(&item, path).map(Some),
        "function_call" => {
            check::known(&item, path, &CALL_FIELDS)?;
            check::id_prefix(&item, path, "fc")?;
            calls.called(check::required_string(&item, path, "call_id")?);
            let name = check::required_string(&item, path, "name")?;
            let arguments = check::required_string(&item, path, "arguments")?;
            Ok(Some(("function_call".into(), format!("{name}({arguments})"))))
        }
        "function_call_output" => {
            check::known(&item, path, &OUTPUT_FIELDS)?;
            calls.returned(check::required_string(&item, path, "call_id")?);
            let output = content(&item, path, "output", &SENT_PARTS)?;
            Ok(Some(("function_call_output".into(), output)))
        }
        "reasoning" => {
            check::id_prefix(&item, path, "rs")?;
            Ok(Some(("reasoning".into(), Value::Object(item).to_string())))
        }
        "item_reference" => {
            let id = check::required_string(&item, path, "id")?;
            let message = format!("Item with id '{id}' not found.");
            Err(Rejection::unnamed(404, None, message))
        }
        other if OTHER_ITEMS.contains(&other) => {
            let text = Value::Object(item).to_string();
            Ok(Some((Cow::Owned(kind), text)))
        }
        other => Err(Rejection::unsupported_value(
            format!("{path}type"),
            other,
            &["message", "function_call", "function_call_output", "reasoning"],
        )),
    }
}

fn message(item: &Fields, path: &str) -> Result<Entry, Rejection> {
    let role = check::required_string(item, path, "role")?;
    let parts: &[&str] = match role {
        "assistant" => &OUTPUT_PARTS,
        "user" | "system" | "developer" => &SENT_PARTS,
        other => {
            let roles = ["assistant", "system", "developer", "user"];
            return Err(Rejection::unsupported_value(format!("{path}role"), other, &roles));
        }
    };
    let fields = match role {
        "assistant" => MESSAGE_FIELDS.as_slice(),
        _ => MESSAGE_FIELDS.split_last().map_or(&[][..], |(_, fields)| fields),
    };
    check::known(item, path, fields)?;
    check::id_prefix(item, path, "msg")?;
    let text = content(item, path, "content", parts)?;
    Ok((Cow::Owned(role.to_owned()), text))
}

/// A text, or the parts of one: their texts, line by line, and the type of whatever is no text.
fn content(item: &Fields, path: &str, key: &str, kinds: &[&str]) -> Result<String, Rejection> {
    let path = format!("{path}{key}");
    let parts = match check::present(item, key) {
        None => return Err(Rejection::missing(path)),
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(Rejection::wrong_type(path, "a string or an array", other)),
    };
    let texts: Vec<Cow<'_, str>> = parts
        .iter()
        .enumerate()
        .map(|(index, value)| part(value, &format!("{path}[{index}]"), kinds))
        .collect::<Result<_, _>>()?;
    Ok(texts.join("\n"))
}

fn part<'a>(value: &'a Value, path: &str, kinds: &[&str]) -> Result<Cow<'a, str>, Rejection> {
    let part = check::object(value, path)?;
    let fields_path = format!("{path}.");
    let kind = check::required_string(part, &fields_path, "type")?;
    if !kinds.contains(&kind) {
        return Err(Rejection::unsupported_value(path.to_owned(), kind, kinds));
    }
    match kind {
        "input_text" | "output_text" => check::required_string(part, &fields_path, "text").map(Cow::Borrowed),
        "refusal" => check::required_string(part, &fields_path, "refusal").map(Cow::Borrowed),
        other => Ok(Cow::Owned(format!("[{other}]"))),
    }
}
