//! Whether the wallets that money only passes through are explained.

use sqlx::PgConnection;

use crate::postgres::reconciliations::clearing::{self, NOT_IN_STATEMENT, Part};

pub use crate::postgres::reconciliations::clearing::Standing;

impl Standing {
    /// What of the balance nothing accounts for, minor units.
    #[must_use]
    pub fn unexplained(&self) -> i64 {
        let is_known = |part: &&Part| part.what != NOT_IN_STATEMENT;
        let parts = self.parts.iter().filter(is_known);
        parts.fold(self.balance, |rest, part| rest.saturating_sub(part.amount))
    }

    /// Whether all of it is accounted for, and nothing about it is disputed.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        let is_missing = |part: &Part| part.what == NOT_IN_STATEMENT;
        self.unexplained() == 0 && self.discrepancies == 0 && !self.parts.iter().any(is_missing)
    }
}

/// The clearing wallets of a ledger as they stand, in order of address and currency.
///
/// # Errors
/// Where the database fails.
pub async fn standings(conn: &mut PgConnection, ledger_id: i32) -> sqlx::Result<Vec<Standing>> {
    clearing::standings(conn, ledger_id).await
}
