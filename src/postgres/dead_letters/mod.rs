//! The index over the `.dlq` topics: every dead letter, and what became of it.

pub mod decide;
pub mod index;
pub mod list;
pub mod lock;
pub mod replays;
