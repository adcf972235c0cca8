//! How calls to others fail well, and how their failing is tried out.

pub mod backoff;
pub mod breaker;
pub mod failpoint;
pub mod held_up;
pub mod panicked;
pub mod rounds;
