//! A response object as the provider sends it: whatever is known of it is read, everything else is passed over.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::redact;
use super::super::words;
use crate::domain::Usage;

/// A response object; no field is relied upon.
#[derive(Deserialize, Default)]
pub struct Response<'a> {
    /// A text of any length.
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    /// `completed`, `incomplete`, `failed`, `cancelled`, `in_progress` or `queued`.
    #[serde(borrow, default)]
    pub status: Option<&'a RawValue>,
    /// The dated model.
    #[serde(borrow, default)]
    pub model: Option<&'a RawValue>,
    /// A list of items.
    #[serde(borrow, default)]
    pub output: Option<&'a RawValue>,
    /// Counts of tokens.
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
    /// `{"code", "message"}` of a failed response.
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
    /// `{"reason"}` of an incomplete response.
    #[serde(borrow, default)]
    pub incomplete_details: Option<&'a RawValue>,
}

/// What a list of output items comes to.
#[derive(Debug, Default)]
pub struct Output {
    /// The words of the answer, all parts of all its items joined.
    pub text: String,
    /// The words of items with `phase: commentary`: remarks on the way to an answer, which are no part of it.
    pub commentary: String,
    /// The model refused to answer.
    pub refused: bool,
    /// The model waits for somebody to act, such as the result of a function.
    pub called: bool,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    phase: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Count {
    #[serde(rename = "input_tokens")]
    input: u64,
    #[serde(rename = "output_tokens")]
    output: u64,
    #[serde(rename = "total_tokens")]
    total: Option<u64>,
}

#[derive(Deserialize)]
struct IncompleteDetails<'a> {
    #[serde(borrow, default)]
    reason: Option<&'a RawValue>,
}

/// Items with which a model hands over to its caller.
const CALLS: [&str; 7] = [
    "function_call",
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "mcp_approval_request",
];

/// A plain name such as an event's type; empty where it is missing or no string.
pub fn name(raw: Option<&RawValue>) -> &str {
    raw.map_or("", |raw| raw.get().trim_matches('"'))
}

/// Whether an output item is a remark on the way to the answer.
pub fn is_commentary(item: &RawValue) -> bool {
    serde_json::from_str::<Item<'_>>(item.get()).is_ok_and(|item| name(item.phase) == "commentary")
}

impl Response<'_> {
    /// The tokens, where the provider counted them.
    pub fn usage(&self) -> Option<Usage> {
        let count: Count = serde_json::from_str(self.usage?.get()).ok()?;
        let sum = count.input.saturating_add(count.output);
        let total_tokens = count.total.unwrap_or(sum);
        Some(Usage { input_tokens: count.input, output_tokens: count.output, total_tokens })
    }

    /// Why an incomplete response ended, as a code.
    pub fn incomplete_reason(&self) -> Option<String> {
        let details: IncompleteDetails<'_> = serde_json::from_str(self.incomplete_details?.get()).ok()?;
        redact::code(name(details.reason)).map(str::to_owned)
    }

    /// What its output items come to.
    pub fn output(&self) -> Output {
        let mut output = Output::default();
        for item in list(self.output) {
            output.add(item);
        }
        output
    }
}

impl Output {
    /// Takes one more item into account.
    pub fn add(&mut self, item: &RawValue) {
        let Ok(item) = serde_json::from_str::<Item<'_>>(item.get()) else { return };
        if CALLS.contains(&name(item.kind)) {
            self.called = true;
        }
        if name(item.kind) != "message" {
            return;
        }
        let words = if name(item.phase) == "commentary" { &mut self.commentary } else { &mut self.text };
        for part in list(item.content) {
            let Ok(part) = serde_json::from_str::<ContentPart<'_>>(part.get()) else { continue };
            match name(part.kind) {
                "output_text" | "text" => words.push_str(&words::text(part.text).unwrap_or_default()),
                "refusal" => self.refused = true,
                _ => {}
            }
        }
    }
}

fn list(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}
