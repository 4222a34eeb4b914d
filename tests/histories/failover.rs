//! One fault at a time, in the middle of a turn.
