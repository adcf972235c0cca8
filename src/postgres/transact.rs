//! Work that is run again where the server undoes it.

use sqlx::{Connection as _, PgConnection, PgPool};

use super::{Failure, classify};

/// How often work is run at most.
const ATTEMPTS_MAX: u32 = 8;

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

async fn attempt<T, E: Undone>(
    pool: &PgPool,
    work: &mut impl AsyncFnMut(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    let mut conn = pool.acquire().await?;
    let mut transaction = conn.begin().await?;
    let done = work(&mut transaction).await?;
    transaction.commit().await?;
    Ok(done)
}
