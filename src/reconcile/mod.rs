//! Holds the ledger against what PSPs and banks say.
//!
//! A statement is read line by line ([`Statement`]), staged, and matched as sets with the entries
//! of its wallet (`postgres::reconciliations`); what does not agree becomes a discrepancy, which a
//! second person resolves ([`resolve`]). A run is one COMMIT: killed anywhere, nothing of it stands,
//! and the same file may be run again.

mod camt053;
pub mod clearing;
mod counted;
mod csv_file;
mod entry;
mod error;
mod fees;
mod format;
mod layout;
mod line;
mod news;
pub mod resolve;
mod run;
mod statement;
mod value;

pub use error::ReconcileError;
pub use format::{Format, Unusable};
pub use line::{Broken, Kind, Line, Standing};
pub use run::{Report, Source, run};
pub use statement::Statement;

/// Where events go.
#[derive(Clone, Debug)]
pub struct Options {
    /// Topic of the ledger's events.
    pub topic_transactions: String,
    /// Topic of what happens to discrepancies and runs.
    pub topic_settlements: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            topic_transactions: "aegis.transactions".to_owned(),
            topic_settlements: "aegis.settlements".to_owned(),
        }
    }
}

impl Options {
    /// As the configuration says.
    #[must_use]
    pub fn from_config(config: &crate::config::Config) -> Self {
        Self {
            topic_transactions: config.kafka.topic_transactions.clone(),
            topic_settlements: config.kafka.topic_settlements.clone(),
        }
    }
}
