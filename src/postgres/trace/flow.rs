//! Which money in a merchant's `available` went out with which payout: first in, first out.
//!
//! Money has no name, so this is a reading of the wallet's entries, and the same for everybody who
//! asks. A credit that left the balance at B with its own amount c has gone once what left afterwards
//! exceeds B - c, and until that reaches B; backwards a debit took the oldest of what stood there.

use sqlx::PgConnection;
use uuid::Uuid;

/// The most entries of a wallet that are looked at.
const ENTRIES_MAX: i64 = 2_000;

/// The keys of the transactions that took what these ones brought to `available`, in order.
pub(super) async fn went_with(
    conn: &mut PgConnection,
    ledger_id: i32,
    transactions: &[Uuid],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "WITH brought AS (
             SELECT e.wallet_id, e.version, e.amount, e.balance_after
             FROM ledger_entries e
             JOIN wallets w ON w.ledger_id = e.ledger_id AND w.id = e.wallet_id
             WHERE e.ledger_id = $1 AND e.transaction_id = ANY($2) AND e.amount > 0
               AND w.address LIKE 'merchant:%:available'
         ), took AS (
             SELECT b.version AS brought, e.version, e.transaction_id, e.amount,
                    b.balance_after - b.amount AS before, b.balance_after AS after,
                    sum(least(e.amount, 0)) OVER (PARTITION BY b.wallet_id, b.version
                                                  ORDER BY e.version) AS gone
             FROM brought b CROSS JOIN LATERAL (
                 SELECT e.version, e.transaction_id, e.amount FROM ledger_entries e
                 WHERE e.ledger_id = $1 AND e.wallet_id = b.wallet_id AND e.version > b.version
                 ORDER BY e.version LIMIT $3
             ) e
         )
         SELECT t.idempotency_key
         FROM took k JOIN transactions t ON t.ledger_id = $1 AND t.id = k.transaction_id
         WHERE k.amount < 0 AND -k.gone > k.before AND k.amount - k.gone < k.after
         GROUP BY t.id, t.idempotency_key ORDER BY t.id",
    )
    .bind(ledger_id)
    .bind(transactions)
    .bind(ENTRIES_MAX)
    .fetch_all(conn)
    .await
}

/// The keys of the transactions that brought to `available` what these ones took, in order.
pub(super) async fn came_from(
    conn: &mut PgConnection,
    ledger_id: i32,
    transactions: &[Uuid],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "WITH took AS (
             SELECT e.wallet_id, e.version, -e.amount AS amount, e.balance_after
             FROM ledger_entries e
             JOIN wallets w ON w.ledger_id = e.ledger_id AND w.id = e.wallet_id
             WHERE e.ledger_id = $1 AND e.transaction_id = ANY($2) AND e.amount < 0
               AND w.address LIKE 'merchant:%:available'
         ), brought AS (
             SELECT e.transaction_id, e.amount,
                    -- What stays, and what there was: the newest of what came before.
                    k.balance_after AS stays, k.balance_after + k.amount AS stood,
                    sum(greatest(e.amount, 0)) OVER (PARTITION BY k.wallet_id, k.version
                                                     ORDER BY e.version DESC) AS newest
             FROM took k CROSS JOIN LATERAL (
                 SELECT e.version, e.transaction_id, e.amount FROM ledger_entries e
                 WHERE e.ledger_id = $1 AND e.wallet_id = k.wallet_id AND e.version < k.version
                 ORDER BY e.version DESC LIMIT $3
             ) e
         )
         SELECT t.idempotency_key
         FROM brought b JOIN transactions t ON t.ledger_id = $1 AND t.id = b.transaction_id
         WHERE b.amount > 0 AND b.newest > b.stays AND b.newest - b.amount < b.stood
         GROUP BY t.id, t.idempotency_key ORDER BY t.id",
    )
    .bind(ledger_id)
    .bind(transactions)
    .bind(ENTRIES_MAX)
    .fetch_all(conn)
    .await
}
