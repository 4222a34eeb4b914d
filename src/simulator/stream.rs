//! Server-sent events as one buffer that knows where each event ends; not what the events say.

use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;

/// Events under construction.
pub struct Events {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    first_delta: Option<usize>,
    sequence_number: u64,
    event_lines: bool,
}

/// A finished stream, cheap to slice.
pub struct Recording {
    bytes: Bytes,
    ends: Vec<usize>,
    first_delta: usize,
}

impl Events {
    pub fn new(event_lines: bool) -> Self {
        Self {
            bytes: Vec::with_capacity(16 * 1024),
            ends: Vec::with_capacity(64),
            first_delta: None,
            sequence_number: 0,
            event_lines,
        }
    }

    /// An event with its `type` and `sequence_number` in front of the payload, which is an object with fields.
    pub fn typed(&mut self, kind: &str, payload: &impl Serialize) -> serde_json::Result<()> {
        if self.event_lines {
            self.text(&["event: ", kind, "\n"]);
        }
        let number = self.sequence_number.to_string();
        self.sequence_number += 1;
        self.text(&["data: {\"type\":\"", kind, "\",\"sequence_number\":", &number]);
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, payload)?;
        if let Some(brace) = self.bytes.get_mut(start) {
            *brace = b',';
        }
        self.end();
        Ok(())
    }

    /// An event that is nothing but its payload.
    pub fn bare(&mut self, payload: &impl Serialize) -> serde_json::Result<()> {
        self.text(&["data: "]);
        serde_json::to_writer(&mut self.bytes, payload)?;
        self.end();
        Ok(())
    }

    pub fn done_marker(&mut self) {
        self.text(&["data: [DONE]"]);
        self.end();
    }

    /// Says that the next event is the first that carries a part of the answer.
    pub fn deltas_begin(&mut self) {
        self.first_delta.get_or_insert(self.ends.len());
    }

    pub fn finish(self) -> Recording {
        Recording {
            first_delta: self.first_delta.unwrap_or(self.ends.len()),
            bytes: self.bytes.into(),
            ends: self.ends,
        }
    }

    fn end(&mut self) {
        self.text(&["\n\n"]);
        self.ends.push(self.bytes.len());
    }

    fn text(&mut self, parts: &[&str]) {
        for part in parts {
            self.bytes.extend_from_slice(part.as_bytes());
        }
    }
}

impl Recording {
    pub fn all(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Each event by itself.
    pub fn each(&self) -> impl Iterator<Item = Bytes> {
        (0..self.ends.len()).map(|index| self.bytes.slice(self.span(index)))
    }

    /// Parts the stream after so many deltas, or at its last event when there are fewer.
    pub fn part(&self, deltas: usize) -> (Bytes, Bytes) {
        let index = self.first_delta.saturating_add(deltas);
        let index = index.min(self.ends.len().saturating_sub(1));
        let at = self.span(index).start;
        (self.bytes.slice(..at), self.bytes.slice(at..))
    }

    /// The first event that carries a part of the answer.
    pub fn first_delta(&self) -> Bytes {
        self.bytes.slice(self.span(self.first_delta))
    }

    fn span(&self, index: usize) -> Range<usize> {
        let end = self.ends.get(index).copied().unwrap_or(self.bytes.len());
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before));
        before.copied().unwrap_or(0).min(end)..end
    }
}
