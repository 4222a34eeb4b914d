//! Which function calls of a history have their result; both wires refuse a history where one lacks the other.

use std::collections::HashSet;

#[derive(Default)]
pub struct Calls {
    open: Vec<String>,
    closed: HashSet<String>,
    unexpected: Option<String>,
}

pub enum Unpaired {
    Call(String),
    Output(String),
}

impl Calls {
    pub fn called(&mut self, call_id: &str) {
        self.open.push(call_id.to_owned());
    }

    pub fn returned(&mut self, call_id: &str) {
        match self.open.iter().position(|open| open == call_id) {
            Some(index) => {
                self.closed.insert(self.open.swap_remove(index));
            }
            None if self.closed.contains(call_id) => {}
            None => {
                self.unexpected.get_or_insert_with(|| call_id.to_owned());
            }
        }
    }

    pub fn unpaired(self) -> Option<Unpaired> {
        let output = self.unexpected.map(Unpaired::Output);
        output.or_else(|| self.open.into_iter().next().map(Unpaired::Call))
    }
}

impl Unpaired {
    pub fn sentence(&self) -> String {
        match self {
            Self::Call(call_id) => format!("No tool output found for function call {call_id}."),
            Self::Output(call_id) => {
                format!("No tool call found for function call output with call_id {call_id}.")
            }
        }
    }
}
