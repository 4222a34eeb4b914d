//! Reading a request's messages into roles and texts, the same that the Responses wire's items become.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::simulator::{calls::Calls, check, prompt::Entry, rejection::Rejection};

const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];
const SENT_PARTS: [&str; 4] = ["text", "image_url", "input_audio", "file"];
const ASSISTANT_PARTS: [&str; 2] = ["text", "refusal"];
const TEXT_PARTS: [&str; 1] = ["text"];

type Fields = Map<String, Value>;

/// The instructions, which are a `system` or `developer` message that comes first, and the rest.
pub fn parse(messages: &[Value]) -> Result<(Option<String>, Vec<Entry>), Rejection> {
    let mut entries = Vec::with_capacity(messages.len());
    let mut calls = Calls::default();
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages[{index}]");
        let message = check::object(message, &path)?;
        entry(message, &format!("{path}."), &mut calls, &mut entries)?;
    }
    if let Some(unpaired) = calls.unpaired() {
        return Err(Rejection::invalid(None, "messages", unpaired.sentence()));
    }
    let instructs = entries.first().is_some_and(|(role, _)| matches!(role.as_ref(), "system" | "developer"));
    let instructions = instructs.then(|| entries.remove(0).1);
    Ok((instructions, entries))
}

fn entry(message: &Fields, path: &str, calls: &mut Calls, entries: &mut Vec<Entry>) -> Result<(), Rejection> {
    match check::required_string(message, path, "role")? {
        "assistant" => assistant(message, path, calls, entries),
        "tool" => {
            calls.returned(check::required_string(message, path, "tool_call_id")?);
            let output = content(message, path, &TEXT_PARTS)?;
            let output = output.ok_or_else(|| Rejection::missing(format!("{path}content")))?;
            entries.push(("function_call_output".into(), output));
            Ok(())
        }
        role if ROLES.contains(&role) => {
            let parts: &[&str] = match role {
                "user" => &SENT_PARTS,
                _ => &TEXT_PARTS,
            };
            let text = content(message, path, parts)?;
            let text = text.ok_or_else(|| Rejection::missing(format!("{path}content")))?;
            entries.push((Cow::Owned(role.to_owned()), text));
            Ok(())
        }
        role => {
            let path = format!("{path}role");
            Err(Rejection::unsupported_value(path, role, &ROLES))
        }
    }
}

fn assistant(message: &Fields, path: &str, calls: &mut Calls, entries: &mut Vec<Entry>) -> Result<(), Rejection> {
    let text = content(message, path, &ASSISTANT_PARTS)?;
    let refusal = check::string(message, path, "refusal")?.map(str::to_owned);
    let tool_calls = check::array(message, "tool_calls")?;
    match text.or(refusal) {
        Some(text) => entries.push(("assistant".into(), text)),
        None if tool_calls.is_empty() => return Err(Rejection::missing(format!("{path}content"))),
        None => {}
    }
    for (index, call) in tool_calls.iter().enumerate() {
        let path = format!("{path}tool_calls[{index}]");
        let call = check::object(call, &path)?;
        calls.called(check::required_string(call, &format!("{path}."), "id")?);
        let path = format!("{path}.function");
        let Some(function) = check::present(call, "function") else {
            return Err(Rejection::missing(path));
        };
        let function = check::object(function, &path)?;
        let path = format!("{path}.");
        let name = check::required_string(function, &path, "name")?;
        let arguments = check::required_string(function, &path, "arguments")?;
        entries.push(("function_call".into(), format!("{name}({arguments})")));
    }
    Ok(())
}

/// A text, or the parts of one: their texts, line by line, and the type of whatever is no text.
fn content(message: &Fields, path: &str, kinds: &[&str]) -> Result<Option<String>, Rejection> {
    let path = format!("{path}content");
    let parts = match check::present(message, "content") {
        None => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text.clone())),
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(Rejection::wrong_type(path, "a string or an array", other)),
    };
    let texts: Vec<Cow<'_, str>> = parts
        .iter()
        .enumerate()
        .map(|(index, value)| part(value, &format!("{path}[{index}]"), kinds))
        .collect::<Result<_, _>>()?;
    Ok(Some(texts.join("\n")))
}

fn part<'a>(value: &'a Value, path: &str, kinds: &[&str]) -> Result<Cow<'a, str>, Rejection> {
    let part = check::object(value, path)?;
    let fields_path = format!("{path}.");
    let kind = check::required_string(part, &fields_path, "type")?;
    if !kinds.contains(&kind) {
        return Err(Rejection::unsupported_value(path.to_owned(), kind, kinds));
    }
    match kind {
        "text" | "refusal" => check::required_string(part, &fields_path, kind).map(Cow::Borrowed),
        other => Ok(Cow::Owned(format!("[{}]", responses_name(other)))),
    }
}

/// The Responses wire's name for a part, so that both wires get the same answer.
fn responses_name(kind: &str) -> &str {
    match kind {
        "image_url" => "input_image",
        "file" => "input_file",
        other => other,
    }
}
