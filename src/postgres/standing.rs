//! How much money is under way, and since when: over all ledgers, of what is not over. Each statement
//! goes by an index that holds only that.

use sqlx::PgConnection;
use time::OffsetDateTime;

/// The most clearing wallets that are told of.
const CLEARING_MAX: usize = 200;

/// How many stand so.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Count {
    /// The status or the class, as the schema names it.
    pub name: String,
    /// How many.
    pub count: i64,
    /// Since when the oldest of them does, UTC.
    pub since: OffsetDateTime,
}

/// Counts what came to a status, as it is written: what is rolled back afterwards counts as well.
pub(super) fn came_to(metric: &'static str, status: &'static str, count: u64) {
    metrics::counter!(metric, "status" => status).increment(count);
}

/// Payments that a call to the PSP is due for, by status, since they were created.
///
/// # Errors
/// Where the database fails.
pub async fn payments(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as(
        "SELECT status AS name, count(*) AS count, min(created_at) AS since
         FROM payments WHERE next_attempt_at IS NOT NULL GROUP BY status ORDER BY status",
    )
    .fetch_all(conn)
    .await
}

/// Payouts that are not over, by status: since the first call that may have sent them, where there
/// was one, and since they were requested otherwise.
///
/// # Errors
/// Where the database fails.
pub async fn payouts(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as(
        "SELECT status AS name, count(*) AS count,
                min(coalesce(doubtful_since, created_at)) AS since
         FROM payouts WHERE next_attempt_at IS NOT NULL GROUP BY status ORDER BY status",
    )
    .fetch_all(conn)
    .await
}

/// Refunds that are not over, by status: since the call that may have sent them, where there was one,
/// and since they were asked for otherwise.
///
/// # Errors
/// Where the database fails.
pub async fn refunds(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as(
        "SELECT status AS name, count(*) AS count,
                min(coalesce(doubtful_until, sending_since, created_at)) AS since
         FROM refunds WHERE next_attempt_at IS NOT NULL GROUP BY status ORDER BY status",
    )
    .fetch_all(conn)
    .await
}

/// Payout runs that are not over, by status, since they were started.
///
/// # Errors
/// Where the database fails.
pub async fn payout_runs(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as(
        "SELECT status AS name, count(*) AS count, min(started_at) AS since
         FROM payout_runs WHERE status IN ('waiting', 'running') GROUP BY status ORDER BY status",
    )
    .fetch_all(conn)
    .await
}

/// Discrepancies that nobody has resolved, by class, since they were found.
///
/// # Errors
/// Where the database fails.
pub async fn discrepancies(conn: &mut PgConnection) -> sqlx::Result<Vec<Count>> {
    sqlx::query_as(
        "SELECT class AS name, count(*) AS count, min(opened_at) AS since
         FROM discrepancies WHERE status <> 'resolved' GROUP BY class ORDER BY class",
    )
    .fetch_all(conn)
    .await
}

/// Disputes that the PSP has not decided.
///
/// # Errors
/// Where the database fails.
pub async fn disputes(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM disputes WHERE status = 'open'")
        .fetch_one(conn)
        .await
}

/// What stands in a wallet that money only passes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clearing {
    /// Its address.
    pub wallet: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units over all ledgers.
    pub balance: i128,
}

/// The wallets that money only passes through, in order of address and currency.
///
/// # Errors
/// Where the database fails.
pub async fn clearing(conn: &mut PgConnection) -> sqlx::Result<Vec<Clearing>> {
    // By ledger, since the index on addresses begins with it.
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT w.address, w.currency, w.balance
         FROM ledgers l CROSS JOIN LATERAL (
             SELECT address, currency, balance FROM wallets
             WHERE ledger_id = l.id AND address >= 'psp:' AND address < 'psp;'
             UNION ALL
             SELECT address, currency, balance FROM wallets
             WHERE ledger_id = l.id AND address IN ('payouts:in_transit', 'refunds:in_transit')) w
         ORDER BY w.address, w.currency",
    )
    .fetch_all(conn)
    .await?;
    let mut all: Vec<Clearing> = Vec::new();
    for (wallet, currency, balance) in rows {
        let (balance, is_full) = (i128::from(balance), all.len() == CLEARING_MAX);
        match all.last_mut() {
            Some(last) if last.wallet == wallet && last.currency == currency => {
                last.balance = last.balance.saturating_add(balance);
            }
            _ if is_full => break,
            _ => all.push(Clearing {
                wallet,
                currency,
                balance,
            }),
        }
    }
    Ok(all)
}
