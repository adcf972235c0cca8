//! Posting as a part of somebody else's database transaction: the money moves in the same COMMIT as
//! the row that says why.

use std::sync::Arc;

use sqlx::PgConnection;

use super::directory::Directory;
use super::job::{Fence, Job, Step, answer};
use super::{PostError, Request};
use crate::ledger::{Ledger, Outcome};
use crate::postgres::posting;

/// Posts one request within the transaction that `conn` is in: one outcome a command. Its events go
/// to `topic`.
///
/// It locks the wallets in order of their ids. Where the caller posts more than once in a
/// transaction, two such transactions may deadlock; the server then undoes one of them with 40P01,
/// and the caller runs it again. So it does where a key of the request took effect elsewhere in the
/// meantime, which is a unique violation: the next run finds it.
///
/// # Errors
/// [`PostError::Database`] where the database fails, [`PostError::Event`] where an event can't be
/// written. The transaction is then of no use but to be rolled back. A lost connection is a
/// `Database` error here: whether the COMMIT took effect is the caller's question.
pub async fn post_within(
    conn: &mut PgConnection,
    ledger: &Ledger,
    request: &Request,
    topic: &str,
) -> Result<Vec<Outcome>, PostError> {
    attempt(conn, ledger, request, topic)
        .await
        .map_err(|step| match step {
            Step::Database(error) => PostError::Database(Arc::new(error)),
            Step::Event(message) => PostError::Event(message),
        })
}

async fn attempt(
    conn: &mut PgConnection,
    ledger: &Ledger,
    request: &Request,
    topic: &str,
) -> Result<Vec<Outcome>, Step> {
    let job = Job::new(ledger, std::slice::from_ref(request), topic);
    let mut directory = Directory::default();
    let wallet_ids = directory.resolve(conn, ledger.id, job.requests).await?;
    let found = posting::lock(conn, ledger.id, &wallet_ids, &job.keys).await?;
    let decided = job.decide(conn, &found).await?;
    let stored = job.stored(conn, &decided).await?;
    match job.write_fenced(conn, &decided).await? {
        Fence::Held { .. } | Fence::NothingToWrite => answer(decided, &stored, &[]),
        // Nobody can write to a locked wallet.
        Fence::Broken => Err(Step::Database(sqlx::Error::Protocol(
            "a wallet changed though its row was locked".to_owned(),
        ))),
    }
}
