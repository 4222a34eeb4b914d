//! Each guard is taken away once, and the checker must notice.
