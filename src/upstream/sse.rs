//! Server-sent events as bytes come in: the data of each event, nothing of its name. Lines are split by `sseer`; its
//! own stream has neither a bound nor a place for a timeout per chunk, which the caller needs. Whoever pushes bounds
//! the buffer.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};
use sseer::parser::{RawEventLineOwned, parse_line_from_buffer};

/// Turns pushed bytes into events (WHATWG HTML, section 9.2.6).
#[derive(Debug, Default)]
pub struct Parser {
    buffer: BytesMut,
    scanned: usize,
    data: Data,
    began: bool,
    found: bool,
}

#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    Line(Bytes),
    Lines(BytesMut),
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Parser {
    /// Takes in the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if !self.began && self.buffer.len() >= BYTE_ORDER_MARK.len() {
            self.began = true;
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.advance(BYTE_ORDER_MARK.len());
            }
        }
    }

    /// The data of the next event that is complete.
    pub fn next(&mut self) -> Option<Bytes> {
        while self.began {
            match parse_line_from_buffer(&mut self.buffer, &mut self.scanned)? {
                RawEventLineOwned::Empty => {
                    if let Some(data) = mem::take(&mut self.data).whole() {
                        self.found = true;
                        return Some(data);
                    }
                }
                RawEventLineOwned::Field { field_name, field_value } if field_name == "data" => {
                    self.data.add(field_value.unwrap_or_default());
                }
                RawEventLineOwned::Field { .. } | RawEventLineOwned::Comment => {}
            }
        }
        None
    }

    /// Whether there was any event.
    pub fn found_events(&self) -> bool {
        self.found
    }

    /// The data of an event that lacks only its closing blank line when the stream ends.
    pub fn rest(&mut self) -> Option<Bytes> {
        self.push(b"\n\n");
        self.next()
    }
}

impl Data {
    fn add(&mut self, line: Bytes) {
        *self = match mem::take(self) {
            Self::None => Self::Line(line),
            Self::Line(first) => {
                let mut lines = BytesMut::with_capacity(first.len() + 1 + line.len());
                lines.extend_from_slice(&first);
                lines.extend_from_slice(b"\n");
                lines.extend_from_slice(&line);
                Self::Lines(lines)
            }
            Self::Lines(mut lines) => {
                lines.extend_from_slice(b"\n");
                lines.extend_from_slice(&line);
                Self::Lines(lines)
            }
        };
    }

    fn whole(self) -> Option<Bytes> {
        match self {
            Self::None => None,
            Self::Line(line) => Some(line),
            Self::Lines(lines) => Some(lines.freeze()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        "\u{feff}event: a\r\ndata: one\r\n\r\n: ping\n\ndata:two\ndata:  three\nid: 7\n\nretry: 5\rdata\r\rdata: x";

    fn events(chunk_bytes: usize) -> (Vec<String>, Option<Bytes>) {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for chunk in STREAM.as_bytes().chunks(chunk_bytes) {
            parser.push(chunk);
            while let Some(data) = parser.next() {
                events.push(String::from_utf8(data.to_vec()).unwrap());
            }
        }
        (events, parser.rest())
    }

    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_cut() {
        for chunk_bytes in 1..STREAM.len() {
            let (events, rest) = events(chunk_bytes);
            assert_eq!(events, ["one", "two\n three", ""], "{chunk_bytes}");
            assert_eq!(rest.as_deref(), Some(&b"x"[..]), "{chunk_bytes}");
        }
    }
}
