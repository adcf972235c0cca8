//! Transactions of the program's own: what payments, settlements and payouts post.

use sqlx::PgConnection;

use super::{PostError, Request, post_within};
use crate::ledger::{
    Address, Command, Currency, Details, IdempotencyKey, Ledger, LegDraft, Outcome, Receipt,
    Rejection,
};

/// A transaction to post, under a key that no caller can have.
#[derive(Clone, Debug)]
pub struct Posting {
    key: IdempotencyKey,
    legs: Vec<LegDraft>,
    /// What stands beside the legs.
    pub details: Details,
}

impl Posting {
    /// What belongs under `aegis:<name>`: the same name with the same legs takes effect once.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            key: IdempotencyKey::own(name),
            legs: Vec::new(),
            details: Details::default(),
        }
    }

    /// Says what stands beside the legs.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    /// Moves a wallet: credit positive, debit negative. A leg of nothing is left out.
    #[must_use]
    pub fn leg(mut self, wallet: Address, currency: Currency, amount: i64) -> Self {
        if amount != 0 {
            self.legs.push(LegDraft {
                wallet: wallet.into(),
                currency: currency.code().to_owned(),
                amount,
            });
        }
        self
    }

    /// Whether nothing moves: then there is nothing to post.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    fn command(self) -> Command {
        Command::journal(self.key, &self.legs, self.details)
    }
}

/// Posts transactions within the database transaction that `conn` is in: all of them, or none. The
/// rejection says why not; the caller rolls back.
///
/// # Errors
/// As of [`post_within`].
pub async fn post_own(
    conn: &mut PgConnection,
    ledger: &Ledger,
    postings: Vec<Posting>,
    topic: &str,
) -> Result<Result<Vec<Receipt>, Rejection>, PostError> {
    let commands: Vec<Command> = postings.into_iter().map(Posting::command).collect();
    if commands.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let request = Request {
        commands,
        atomic: true,
    };
    let outcomes = post_within(conn, ledger, &request, topic).await?;
    let receipts = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Posted(receipt) | Outcome::Replayed(receipt) => Ok(receipt),
        Outcome::Rejected(rejection) => Err(rejection),
    });
    Ok(receipts.collect())
}
