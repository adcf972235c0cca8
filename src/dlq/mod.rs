//! Dead letters: what is decided on them.
//!
//! A person decides, and sees before what will be done: a [`plan`] is made, shown, and carried out
//! as it was shown, letter by letter. A [`replay`] publishes messages again, in batches: publish,
//! wait for the acknowledgements, mark. A crash between the two publishes a message twice, under
//! the same id, which consumers drop; it never loses one. [`discard`] gives letters up. Whoever
//! decides is written down in the same transaction (`postgres::audit`).

pub mod discard;
mod error;
mod indexer;
mod lanes;
mod pace;
pub mod plan;
mod record;
pub mod replay;
mod replayer;
pub mod runs;
pub mod selection;
mod under_way;

pub use error::DlqError;
pub use indexer::Indexer;
pub use replayer::Replayer;

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
