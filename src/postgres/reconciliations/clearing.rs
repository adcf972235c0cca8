//! What stands in the wallets that money only passes through.

use sqlx::{Connection as _, PgConnection, Row};
use time::OffsetDateTime;

use super::matching::FEE_KEYS;

/// A clearing wallet in a currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its address.
    pub wallet: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units.
    pub balance: i64,
    /// When it was last 0, and was left; `None`: it is 0 now.
    pub since: Option<OffsetDateTime>,
    /// Findings about its statements that nobody resolved.
    pub discrepancies: i64,
    /// What stands in it.
    pub parts: Vec<Part>,
}

/// Money in a clearing wallet for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The reason.
    pub what: String,
    /// Of how many.
    pub count: i64,
    /// Minor units of the wallet's balance.
    pub amount: i64,
    /// The oldest of them, UTC.
    pub since: Option<OffsetDateTime>,
}

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

/// Entries that the statements of their time don't have.
const NOT_IN_STATEMENT: &str = "not_in_statement";

/// Lets a connection of one's own read a long history for as long as that takes.
///
/// # Errors
/// Where the database fails.
pub async fn without_limit(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("SET statement_timeout = 0")
        .execute(conn)
        .await
        .map(|_| ())
}

/// All clearing wallets of a ledger, in order of address and currency.
///
/// # Errors
/// Where the database fails, or a sum is beyond 64 bits.
pub async fn standings(conn: &mut PgConnection, ledger_id: i32) -> sqlx::Result<Vec<Standing>> {
    let mut transaction = conn.begin().await?;
    let standings = read(&mut transaction, ledger_id).await;
    // Not left to whoever takes the connection next: the settings end with it.
    transaction.rollback().await?;
    standings
}

async fn read(conn: &mut PgConnection, ledger_id: i32) -> sqlx::Result<Vec<Standing>> {
    // Balances and what stands in them are of one moment.
    sqlx::raw_sql(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
         SET LOCAL work_mem = '64MB'",
    )
    .execute(&mut *conn)
    .await?;
    let wallets = sqlx::query(
        "SELECT w.address, w.currency, w.balance, CASE WHEN w.balance <> 0 THEN (
                    SELECT min(t.recorded_at) FROM ledger_entries e
                    JOIN transactions t ON t.ledger_id = e.ledger_id AND t.id = e.transaction_id
                    WHERE e.ledger_id = w.ledger_id AND e.wallet_id = w.id
                      AND e.version = 1 + coalesce((
                          SELECT max(z.version) FROM ledger_entries z
                          WHERE z.ledger_id = w.ledger_id AND z.wallet_id = w.id
                            AND z.balance_after = 0), 0)) END AS since,
                (SELECT count(*) FROM discrepancies d
                 WHERE d.ledger_id = w.ledger_id AND d.status <> 'resolved' AND d.class <> 'late'
                   AND (d.wallet = w.address
                     OR (d.wallet IS NULL AND ('psp:' || d.psp = w.address
                         OR d.subject_kind || 's:in_transit' = w.address)))
                   AND (w.currency IN (d.found_currency, d.expected_currency)
                     OR NOT EXISTS (
                         SELECT FROM wallets v
                         WHERE v.ledger_id = w.ledger_id AND v.address = w.address
                           AND v.currency IN (d.found_currency, d.expected_currency))))
                    AS discrepancies
         FROM wallets w
         WHERE w.ledger_id = $1 AND (w.address LIKE 'psp:%'
               OR w.address IN ('payouts:in_transit', 'refunds:in_transit'))
         ORDER BY w.address, w.currency",
    )
    .bind(ledger_id)
    .fetch_all(&mut *conn)
    .await?;
    let mut all = Vec::with_capacity(wallets.len());
    for row in wallets {
        let (wallet, currency): (String, String) =
            (row.try_get("address")?, row.try_get("currency")?);
        let statement = match wallet.as_str() {
            "payouts:in_transit" => PAYOUTS,
            "refunds:in_transit" => REFUNDS,
            _ => STATEMENTS,
        };
        let found = sqlx::query(statement)
            .bind(ledger_id)
            .bind(&currency)
            .bind(&wallet)
            .bind(&FEE_KEYS[..])
            .fetch_all(&mut *conn)
            .await?;
        let parts = found.iter().map(|row| {
            Ok(Part {
                what: row.try_get("what")?,
                count: row.try_get("count")?,
                amount: row.try_get("amount")?,
                since: row.try_get("since")?,
            })
        });
        all.push(Standing {
            parts: parts.collect::<sqlx::Result<_>>()?,
            balance: row.try_get("balance")?,
            since: row.try_get("since")?,
            discrepancies: row.try_get("discrepancies")?,
            wallet,
            currency,
        });
    }
    Ok(all)
}

const PAYOUTS: &str = "
    SELECT 'payout ' || status AS what, count(*) AS count, sum(amount)::bigint AS amount,
           min(created_at) AS since
    FROM payouts WHERE ledger_id = $1 AND currency = $2 AND $3 <> '' AND $4::text[] IS NOT NULL
      AND status IN ('requested', 'sent', 'unknown')
    GROUP BY status ORDER BY status";

const REFUNDS: &str = "
    SELECT 'refund ' || status AS what, count(*) AS count, sum(amount)::bigint AS amount,
           min(created_at) AS since
    FROM refunds WHERE ledger_id = $1 AND currency = $2 AND $3 <> '' AND $4::text[] IS NOT NULL
      AND status IN ('requested', 'sent', 'unknown')
    GROUP BY status ORDER BY status";

/// Fees, and what corrects a discrepancy of this wallet's statements, stand for no line of their own,
/// and are true by what they were made from.
const STATEMENTS: &str = "
    WITH covered AS (
        SELECT max(covers_to) AS until FROM reconciliations WHERE ledger_id = $1 AND wallet = $3
    ), lacked AS (
        SELECT DISTINCT d.subject_id AS transaction_id FROM discrepancies d
        WHERE d.ledger_id = $1 AND d.wallet = $3 AND d.subject_kind = 'transaction'
          AND d.class = 'missing_there' AND d.status = 'resolved'
    ), entries AS (
        SELECT e.amount, coalesce(p.paid_at, x.occurred_at, t.effective_at) AS at, CASE
            WHEN s.transaction_id IS NOT NULL OR m.transaction_id IS NOT NULL
                OR l.transaction_id IS NOT NULL OR x.wallet = $3
                OR t.idempotency_key LIKE ANY ($4)
                OR t.idempotency_key LIKE 'aegis:reconciliation:%'
                THEN 'in_statement'
            WHEN c.until IS NULL
                OR coalesce(p.paid_at, x.occurred_at, t.effective_at) > c.until
                THEN 'not_in_statement_yet'
            ELSE 'not_in_statement' END AS what
        FROM wallets w
        JOIN ledger_entries e ON e.ledger_id = w.ledger_id AND e.wallet_id = w.id
        JOIN transactions t ON t.ledger_id = w.ledger_id AND t.id = e.transaction_id
        LEFT JOIN statement_lines s ON s.ledger_id = $1 AND s.wallet = $3 AND s.transaction_id = t.id
        LEFT JOIN statement_matches m ON m.ledger_id = $1 AND m.wallet = $3
            AND m.transaction_id = t.id
        LEFT JOIN lacked l ON l.transaction_id = t.id
        LEFT JOIN payments p ON 'psp:' || p.psp = $3 AND p.reference = t.reference
            AND p.ledger_id = w.ledger_id AND t.idempotency_key LIKE 'aegis:payment:%:succeeded'
        LEFT JOIN discrepancies x ON x.ledger_id = w.ledger_id AND x.transaction_id = t.id
        CROSS JOIN covered c
        WHERE w.ledger_id = $1 AND w.address = $3 AND w.currency = $2
    )
    SELECT what, count(*) AS count, sum(amount)::bigint AS amount, min(at) AS since
    FROM entries GROUP BY what HAVING sum(amount) <> 0 OR what = 'not_in_statement_yet'
    ORDER BY what";
