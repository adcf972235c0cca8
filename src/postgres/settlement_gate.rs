//! Keeps payments out of a period while it is settled: payments that succeed share the gate of their
//! merchant and currency, a settlement run has it to itself. Held until the transaction ends.

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use crate::ledger::Currency;
use crate::merchant::MerchantId;

/// Waits until no settlement run has the gate, and keeps runs out.
///
/// # Errors
/// Where the database fails.
pub async fn share(
    conn: &mut PgConnection,
    ledger_id: i32,
    merchant: &MerchantId,
    currency: Currency,
) -> sqlx::Result<()> {
    share_all(conn, ledger_id, &[(merchant, currency)]).await
}

/// The same for many merchants.
///
/// # Errors
/// Where the database fails.
pub async fn share_all(
    conn: &mut PgConnection,
    ledger_id: i32,
    gates: &[(&MerchantId, Currency)],
) -> sqlx::Result<()> {
    let mut keys: Vec<i64> = gates
        .iter()
        .map(|(merchant, currency)| key(ledger_id, merchant, *currency))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    sqlx::query("SELECT pg_advisory_xact_lock_shared(key) FROM unnest($1::bigint[]) AS k (key)")
        .bind(keys)
        .execute(conn)
        .await?;
    Ok(())
}

/// Waits until nobody has the gate, and keeps all others out.
///
/// # Errors
/// Where the database fails.
pub async fn take(
    conn: &mut PgConnection,
    ledger_id: i32,
    merchant: &MerchantId,
    currency: Currency,
) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(key(ledger_id, merchant, currency))
        .execute(conn)
        .await?;
    Ok(())
}

/// Two gates of one key wait for each other, and no harm is done.
fn key(ledger_id: i32, merchant: &MerchantId, currency: Currency) -> i64 {
    let mut hash = Sha256::new();
    hash.update("settlement gate ");
    hash.update(ledger_id.to_be_bytes());
    hash.update(currency.code());
    hash.update(merchant.as_str());
    let hash: [u8; 32] = hash.finalize().into();
    let (first, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    i64::from_be_bytes(*first)
}
