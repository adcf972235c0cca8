//! Statements of the other side and what became of their lines. A run is one database transaction:
//! its lines are staged by COPY, matched as sets, and written with what was found.

pub mod clearing;
mod fees;
mod findings;
mod list;
mod matching;
mod stage;

pub use fees::{Fee, take as take_fees, taken as fees_taken};
pub use findings::{News, news, open, resolve_matched};
pub use list::{Reconciliation, find, insert, page};
pub use matching::{Scope, Tally, matched, tally};
pub use stage::{StagedLine, begin, copy, known, write};
