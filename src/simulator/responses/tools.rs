//! Reading a request's tools, flat as the Responses wire wants them; only functions can be called here.

use serde_json::Value;

use crate::simulator::{check, prompt::Tool, rejection::Rejection};

const FUNCTION_FIELDS: [&str; 8] =
    ["type", "name", "description", "parameters", "output_schema", "strict", "defer_loading", "allowed_callers"];

pub fn parse(tools: &[Value]) -> Result<Vec<Tool>, Rejection> {
    let functions =
        tools.iter().enumerate().filter_map(|(index, tool)| function(tool, &format!("tools[{index}]")).transpose());
    functions.collect()
}

fn function(tool: &Value, path: &str) -> Result<Option<Tool>, Rejection> {
    let tool = check::object(tool, path)?;
    let path = format!("{path}.");
    if check::required_string(tool, &path, "type")? != "function" {
        return Ok(None);
    }
    let name = check::required_string(tool, &path, "name")?.to_owned();
    check::known(tool, &path, &FUNCTION_FIELDS)?;
    let parameters = tool.get("parameters").cloned().unwrap_or_default();
    Ok(Some(Tool { name, parameters }))
}
