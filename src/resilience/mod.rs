//! How calls to others fail well.

pub mod backoff;
