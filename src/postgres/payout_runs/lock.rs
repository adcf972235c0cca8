//! Who works on a run: one at a time, for as long as a connection of its own lives, so that a
//! process that died works on none. The lock keeps work from being done twice; that nobody is paid
//! twice rests on the items' and payouts' rows.

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::postgres::advisory;

/// The number of a lock by its name.
fn number(name: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(name).into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

fn of_run(ledger_id: i32, key: &str) -> i64 {
    number(&format!("aegis payout run {ledger_id}/{key}"))
}

/// Takes a run for as long as the connection lives: whether it was free.
///
/// # Errors
/// Where the database fails.
pub async fn try_take(conn: &mut PgConnection, ledger_id: i32, key: &str) -> sqlx::Result<bool> {
    advisory::try_take(conn, of_run(ledger_id, key)).await
}

/// Whether somebody works on a run.
///
/// # Errors
/// Where the database fails.
pub async fn is_taken(conn: &mut PgConnection, ledger_id: i32, key: &str) -> sqlx::Result<bool> {
    let taken = advisory::are_taken(conn, &[of_run(ledger_id, key)]).await?;
    Ok(taken.contains(&true))
}

/// Sees that the connection lives, and with it the lock.
///
/// # Errors
/// Where it doesn't.
pub async fn keep(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(conn).await.map(|_| ())
}

/// Keeps other lists of what is due from being frozen until the end of the transaction, since they
/// would hold the same merchants.
///
/// # Errors
/// Where the database fails.
pub async fn take_due(conn: &mut PgConnection, ledger_id: i32) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(number(&format!("aegis payouts due {ledger_id}")))
        .execute(conn)
        .await
        .map(|_| ())
}
