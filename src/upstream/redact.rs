//! Texts of others made fit to be shown: short, on one line, and free of anything that looks like a key.

/// What stands in a key's place.
pub const REDACTED: &str = "[redacted]";

/// The most characters of a foreign sentence that are passed on.
const CHARS_MAX: usize = 300;

/// The longest text that is taken for a code.
const CODE_CHARS_MAX: usize = 64;

/// The provider's sentence as it may be shown to a caller; `key` is our own.
pub fn quote(text: &str, key: Option<&str>) -> String {
    let clean: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let clean = key.map_or(clean.clone(), |key| clean.replace(key, REDACTED));
    let clean = after_each(&after_each(&clean, "sk-"), "bearer ");
    let mut short: String = clean.trim().chars().take(CHARS_MAX).collect();
    if clean.trim().chars().nth(CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// A code such as `rate_limit_exceeded`; none where the text is anything else.
pub fn code(text: &str) -> Option<&str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    (is_plain && !text.is_empty() && text.len() <= CODE_CHARS_MAX && !text.starts_with("sk-")).then_some(text)
}

/// Replaces what follows `mark`, in any case, wherever it begins a word.
fn after_each(text: &str, mark: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut clean, mut rest_at) = (String::with_capacity(text.len()), 0);
    for (at, _) in lower.match_indices(mark) {
        let begins_word = !text.get(..at).is_some_and(|before| before.ends_with(|char: char| char.is_alphanumeric()));
        if at < rest_at || !begins_word {
            continue;
        }
        let secret = text.get(at + mark.len()..).unwrap_or_default();
        let secret = secret.split(|char: char| char.is_whitespace() || "\"'`,;()<>{}[]".contains(char)).next();
        clean.push_str(text.get(rest_at..at).unwrap_or_default());
        clean.push_str(REDACTED);
        rest_at = at + mark.len() + secret.unwrap_or_default().len();
    }
    clean.push_str(text.get(rest_at..).unwrap_or_default());
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_looks_like_a_key_is_removed_and_the_rest_stays() {
        let quoted = quote("Wrong key: sk-proj-abc_DEF; got 'Authorization: BEARER eyJhbGci.x' in a task-force.", None);
        assert_eq!(quoted, "Wrong key: [redacted]; got 'Authorization: [redacted]' in a task-force.");
    }

    #[test]
    fn the_configured_key_is_removed_before_the_sentence_is_shortened() {
        let text = format!("{} my-own-key", "x".repeat(CHARS_MAX - 5));
        let quoted = quote(&text, Some("my-own-key"));
        assert!(!quoted.contains("my-o"), "{quoted}");
        assert_eq!(quoted.chars().count(), CHARS_MAX + 1);
    }

    #[test]
    fn control_characters_do_not_reach_a_sentence() {
        assert_eq!(quote("\u{1b}[31mred\r\nline\0 ", None), "[31mred  line");
    }

    #[test]
    fn a_code_is_short_and_plain() {
        assert_eq!(code("rate_limit_exceeded"), Some("rate_limit_exceeded"));
        for text in ["", "two words", "sk-abc", "ä", &"a".repeat(CODE_CHARS_MAX + 1)] {
            assert_eq!(code(text), None, "{text:?}");
        }
    }
}
