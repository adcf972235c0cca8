//! Work that is run again where the server undoes it.

use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};

use super::{Failure, classify};

/// How often work is run at most.
pub(crate) const ATTEMPTS_MAX: u32 = 8;

/// Whether an error says that the work left no trace and may be run again at once.
pub trait Undone: From<sqlx::Error> {
    /// Deadlock, serialisation failure, lock timeout, or somebody was first with a key.
    fn is_undone(&self) -> bool;
}

impl Undone for sqlx::Error {
    fn is_undone(&self) -> bool {
        matches!(classify(self), Failure::Conflict | Failure::Unique)
    }
}

/// Runs work in a database transaction and commits it; an error rolls it back. Work that the server
/// undid is run again, a few times: nothing outside the database may come of it.
///
/// # Errors
/// The work's own; those of the database where the transaction can't be begun or committed. After a
/// lost connection at the COMMIT it may have taken effect: what is done carries a key that tells.
pub async fn transact<T, E: Undone>(
    pool: &PgPool,
    mut work: impl AsyncFnMut(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt(pool, &mut work).await {
            Err(error) if error.is_undone() && attempts < ATTEMPTS_MAX => {}
            done => return done,
        }
    }
}

/// [`transact`] for futures that move between threads, as tasks and HTTP handlers do:
/// `atomically!(pool, |conn| payments::find(conn, ledger.id, id))`.
///
/// A macro, since a function can't say yet that the future of a closure, which borrows both from
/// the connection and from its surroundings, may move between threads.
macro_rules! atomically {
    ($pool:expr, |$conn:ident| $work:expr) => {{
        let mut attempts: u32 = 0;
        loop {
            attempts = attempts.saturating_add(1);
            let done = match $pool.begin().await {
                Ok(mut transaction) => {
                    let $conn: &mut sqlx::PgConnection = &mut transaction;
                    match $work.await {
                        Ok(done) => match transaction.commit().await {
                            Ok(()) => Ok(done),
                            Err(error) => Err(error.into()),
                        },
                        Err(error) => {
                            $crate::postgres::roll_back(transaction).await;
                            Err(error)
                        }
                    }
                }
                Err(error) => Err(error.into()),
            };
            match done {
                Err(error)
                    if $crate::postgres::Undone::is_undone(&error)
                        && attempts < $crate::postgres::ATTEMPTS_MAX => {}
                done => break done,
            }
        }
    }};
}
pub(crate) use atomically;

async fn attempt<T, E: Undone>(
    pool: &PgPool,
    work: &mut impl AsyncFnMut(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    let mut conn = pool.acquire().await?;
    let mut transaction = conn.begin().await?;
    match work(&mut transaction).await {
        Ok(done) => {
            transaction.commit().await?;
            Ok(done)
        }
        Err(error) => {
            roll_back(transaction).await;
            Err(error)
        }
    }
}

/// Ends a transaction that comes to nothing. Dropped, it would keep its locks until its connection is
/// next looked at, and what follows would find them held.
pub(crate) async fn roll_back(transaction: Transaction<'_, Postgres>) {
    // Where this fails the connection is gone, and the transaction with it.
    if let Err(error) = transaction.rollback().await {
        tracing::debug!(%error, "a transaction could not be rolled back");
    }
}
