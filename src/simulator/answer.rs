//! What the simulator says: texts, their digest, their size in tokens, and their deltas; nothing of HTTP.

use sha2::{Digest, Sha256};

/// How every answer begins, so that nobody takes it for a model's.
pub const NOTICE: &str = "[Threadkeep simulator, not a model]";

const MESSAGE_QUOTE_CHARS: usize = 200;
const INSTRUCTIONS_QUOTE_CHARS: usize = 80;
const DIGEST_BYTES: usize = 6;
pub(super) const CHARS_PER_TOKEN: usize = 4;

/// The answer to a conversation: the same conversation always gets the same answer, any other one another.
///
/// `history` holds `(role, text)` pairs, oldest first, as the simulator reads them from either wire:
/// - a message has its own role (`user`, `assistant`, `system`, `developer`) and its text parts joined by a line feed;
///   a part that is not text counts as its type in brackets, such as `[input_image]`;
/// - a call of a function is `("function_call", "name(arguments)")`, its result `("function_call_output", output)`;
/// - any other item is its type and its compact JSON.
///
/// `instructions` are the request's; on the Chat Completions wire, a `system` or `developer` message that comes first.
///
/// ```text
/// [Threadkeep simulator, not a model] This is message 2 of our conversation. You first said: "Hi". You now say:
/// "And?". My instructions: "Be brief". Context digest: 0a1b2c3d4e5f.
/// ```
/// (one line; 2 is the number of `user` messages). Quotes end after 200 characters, those of instructions after 80,
/// with an ellipsis; the [`digest`] covers everything in full.
pub fn text<R: AsRef<str>, T: AsRef<str>>(history: &[(R, T)], instructions: Option<&str>) -> String {
    text_with_digest(history, instructions, &digest(history, instructions))
}

/// The first 12 hex digits of the SHA-256 over role, 0x1F, text, 0x1E of each entry of the history, the newest
/// included; instructions come first, as an entry with the role `instructions`.
pub fn digest<R: AsRef<str>, T: AsRef<str>>(history: &[(R, T)], instructions: Option<&str>) -> String {
    let mut hash = Sha256::new();
    let instructions = instructions.map(|text| ("instructions", text));
    let history = history.iter().map(|(role, text)| (role.as_ref(), text.as_ref()));
    for (role, text) in instructions.into_iter().chain(history) {
        hash.update(role);
        hash.update([0x1f]);
        hash.update(text);
        hash.update([0x1e]);
    }
    hex::encode(hash.finalize().get(..DIGEST_BYTES).unwrap_or_default())
}

/// The size in tokens of a text of so many characters (Unicode scalar values): a quarter, rounded up.
pub fn tokens(chars: usize) -> usize {
    chars.div_ceil(CHARS_PER_TOKEN)
}

pub(super) fn text_with_digest<R: AsRef<str>, T: AsRef<str>>(
    history: &[(R, T)],
    instructions: Option<&str>,
    digest: &str,
) -> String {
    let said: Vec<&str> =
        history.iter().filter(|(role, _)| role.as_ref() == "user").map(|(_, text)| text.as_ref()).collect();
    let mut sentences = vec![NOTICE.to_owned()];
    sentences.extend(remembered_name(&said));
    sentences.push(place(&said));
    if let Some((role, text)) = history.last()
        && role.as_ref() == "function_call_output"
    {
        sentences.push(format!("The function returned: {}.", quote(text.as_ref(), MESSAGE_QUOTE_CHARS)));
    }
    if let Some(text) = instructions {
        sentences.push(format!("My instructions: {}.", quote(text, INSTRUCTIONS_QUOTE_CHARS)));
    }
    sentences.push(format!("Context digest: {digest}."));
    sentences.join(" ")
}

/// The words of a text, each with the space after it: what one delta carries.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

/// The pieces of a function's arguments: what one delta carries of them.
pub(super) fn argument_pieces(arguments: &str) -> impl Iterator<Item = &str> {
    arguments.split_inclusive([':', ','])
}

/// The size in tokens of a whole context.
pub(super) fn context_tokens<R, T: AsRef<str>>(history: &[(R, T)], instructions: Option<&str>) -> usize {
    let said: usize = history.iter().map(|(_, text)| text.as_ref().chars().count()).sum();
    tokens(said + instructions.map_or(0, |text| text.chars().count()))
}

pub(super) fn head(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars).map(|(index, _)| index);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn place(said: &[&str]) -> String {
    match said {
        [] => "There is no message of yours in our conversation.".to_owned(),
        [only] => format!("This is message 1 of our conversation. You say: {}.", quote(only, MESSAGE_QUOTE_CHARS)),
        [first, .., newest] => format!(
            "This is message {} of our conversation. You first said: {}. You now say: {}.",
            said.len(),
            quote(first, MESSAGE_QUOTE_CHARS),
            quote(newest, MESSAGE_QUOTE_CHARS)
        ),
    }
}

fn quote(text: &str, chars: usize) -> String {
    let shown = head(text, chars);
    let ellipsis = if shown.len() < text.len() { "…" } else { "" };
    format!("\"{shown}{ellipsis}\"")
}

/// Whoever asks for a name given earlier hears it: the shortest proof for a person that context is kept.
fn remembered_name(said: &[&str]) -> Option<String> {
    const GIVEN: &str = "my name is ";
    let (question, earlier) = said.split_last()?;
    let question = question.to_ascii_lowercase();
    if !(question.contains("my name") && question.contains('?')) {
        return None;
    }
    let name = earlier.iter().rev().find_map(|text| {
        let start = text.to_ascii_lowercase().find(GIVEN)? + GIVEN.len();
        let rest = text.get(start..)?;
        let ends = |letter: char| !(letter.is_alphanumeric() || "-'’".contains(letter));
        let end = rest.find(ends).unwrap_or(rest.len());
        rest.get(..end).filter(|name| !name.is_empty())
    })?;
    Some(format!("You told me that your name is {}.", head(name, MESSAGE_QUOTE_CHARS)))
}
