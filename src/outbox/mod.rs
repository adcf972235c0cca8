//! Carries events from the outbox to the bus.
//!
//! Claims rows in order, publishes them, and removes those that the bus has acknowledged.
//! At-least-once: a crash after the acknowledgement publishes again; consumers drop repeats by
//! event id. In order per key, since a failed event holds back all behind it of its key.

mod measured;
mod relay;
mod wakeup;

pub use relay::{Relay, RelayError, RelayOptions, Relayed};
