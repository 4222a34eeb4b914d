//! Strings of foreign JSON, read with as few copies as their escapes allow and made fit to be stored.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A JSON string's content. JSON lets an escape name half of a surrogate pair, and providers that cut texts between
/// UTF-16 units send such halves; each is kept here in three bytes (WTF-8).
pub struct Words<'a>(Cow<'a, [u8]>);

/// Joins consecutive pieces of one text, halves of pairs included.
#[derive(Debug, Default)]
pub struct Joiner {
    half: Vec<u8>,
}

/// The string in `raw`, halves of pairs replaced; none where it is anything else.
pub fn text(raw: Option<&RawValue>) -> Option<String> {
    let words = Words::read(raw?)?;
    let mut joiner = Joiner::default();
    let text = joiner.push(words).into_owned();
    Some(text + joiner.rest())
}

impl<'a> Words<'a> {
    /// The string in `raw`; none where it is anything else.
    pub fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }
}

impl Joiner {
    /// The next piece as text. U+0000, which Postgres cannot store, and whatever is no character become U+FFFD; half
    /// of a pair at the end waits for its other half.
    pub fn push<'a>(&mut self, piece: Words<'a>) -> Cow<'a, str> {
        let bytes = if self.half.is_empty() {
            piece.0
        } else {
            let mut joined = std::mem::take(&mut self.half);
            joined.extend_from_slice(&piece.0);
            Cow::Owned(joined)
        };
        match into_text(bytes) {
            Ok(text) if text.contains('\0') => Cow::Owned(text.replace('\0', "\u{fffd}")),
            Ok(text) => text,
            Err(bytes) => Cow::Owned(self.decode(&bytes).replace('\0', "\u{fffd}")),
        }
    }

    /// What stands for a half whose other half never came.
    pub fn rest(&mut self) -> &'static str {
        if std::mem::take(&mut self.half).is_empty() { "" } else { "\u{fffd}" }
    }

    fn decode(&mut self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Err(error) = std::str::from_utf8(rest) {
            let (valid, broken) = rest.split_at(error.valid_up_to());
            text.push_str(&String::from_utf8_lossy(valid));
            rest = match broken {
                [0xed, 0xa0..=0xaf, _] => {
                    self.half = broken.to_vec();
                    return text;
                }
                [0xed, high @ 0xa0..=0xaf, low_of_high, 0xed, low @ 0xb0..=0xbf, low_of_low, tail @ ..] => {
                    let high = (u32::from(high & 0x0f) << 6) | u32::from(low_of_high & 0x3f);
                    let low = (u32::from(low & 0x0f) << 6) | u32::from(low_of_low & 0x3f);
                    text.push(char::from_u32(0x1_0000 + (high << 10) + low).unwrap_or('\u{fffd}'));
                    tail
                }
                [0xed, 0xa0..=0xbf, _, tail @ ..] | [_, tail @ ..] => {
                    text.push('\u{fffd}');
                    tail
                }
                [] => &[],
            };
        }
        text + &String::from_utf8_lossy(rest)
    }
}

fn into_text(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Cow<'_, [u8]>> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Cow::Borrowed(bytes)),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|error| Cow::Owned(error.into_bytes())),
    }
}

impl<'de> Deserialize<'de> for Words<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Words<'de>, E> {
        Ok(Words(Cow::Borrowed(bytes)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Words<'de>, E> {
        Ok(Words(Cow::Owned(bytes.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(pieces: &[&str]) -> String {
        let mut joiner = Joiner::default();
        let read = |piece: &&str| serde_json::from_str::<Box<RawValue>>(piece).unwrap();
        let mut whole = String::new();
        for raw in pieces.iter().map(read) {
            whole.push_str(&joiner.push(Words::read(&raw).unwrap()));
        }
        whole + joiner.rest()
    }

    #[test]
    fn pairs_cut_between_pieces_are_joined() {
        assert_eq!(join(&[r#""a\ud83d""#, r#""\ude00b\ud83d""#, r#""\ude01""#]), "a😀b😁");
        assert_eq!(join(&[r#""\uD800""#, r#""\uDC00""#, r#""\udbff""#, r#""\udfff""#]), "\u{10000}\u{10ffff}");
    }

    #[test]
    fn halves_that_stay_alone_and_nul_become_replacement_characters() {
        assert_eq!(join(&[r#""a\ud83d""#, r#""b""#]), "a\u{fffd}b");
        assert_eq!(join(&[r#""\ude00x\ud83d""#]), "\u{fffd}x\u{fffd}");
        assert_eq!(join(&[r#""a\u0000b""#, "\"\\u0000\\ud83d!\""]), "a\u{fffd}b\u{fffd}\u{fffd}!");
    }

    #[test]
    fn a_string_without_escapes_is_not_copied() {
        let raw: Box<RawValue> = serde_json::from_str("\"grüße 😀\"").unwrap();
        let text = Joiner::default().push(Words::read(&raw).unwrap());
        assert!(matches!(text, Cow::Borrowed("grüße 😀")));
    }

    #[test]
    fn what_is_no_string_has_no_text() {
        for other in ["null", "12", "[65]", "{}"] {
            let raw: Box<RawValue> = serde_json::from_str(other).unwrap();
            assert!(text(Some(&raw)).is_none(), "{other}");
        }
    }
}
