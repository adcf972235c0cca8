//! Statements of the other side and what became of their lines. A run is one database transaction:
//! its lines are staged by COPY, matched as sets, and written with what was found.

mod batches;
pub mod clearing;
mod fees;
mod findings;
mod lacking;
mod list;
mod matching;
mod near;
mod stage;

pub use fees::{
    Fee, PayoutFee, find as find_fees, of_payouts as fees_of_payouts, take as take_fees,
    was_known as fee_was_known,
};
pub use findings::{News, count_open, news, open, resolve_matched};
pub use lacking::{Whole, came_again, find as find_lacking, open as open_lacking};
pub use list::{Reconciliation, find, insert, page};
pub use matching::{Scope, Tally, matched, tally};
pub use stage::{StagedLine, begin, copy, keep_runs_away, known, number, write};
