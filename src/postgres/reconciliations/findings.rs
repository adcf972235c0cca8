//! Discrepancies of a run, as sets: what is amiss is written down, what came to agree is closed.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::batches;
use super::matching::{Scope, hash_joins_only};
use crate::postgres::discrepancies::{self, Discrepancy};

/// Who closes what a later statement brought.
pub(super) const CLOSER: &str = "aegis:reconciliation";

/// A statement that writes discrepancies of a run down. Its first five parameters are the ledger, the
/// wallet, the PSP, the time and the run.
pub(super) fn opening<'q>(
    scope: &Scope<'q>,
    reconciliation: Uuid,
    now: OffsetDateTime,
    statement: &'static str,
) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(statement)
        .bind(scope.ledger_id)
        .bind(scope.wallet)
        .bind(scope.psp)
        .bind(now)
        .bind(reconciliation)
}

/// A statement that closes discrepancies. Its parameters are the ledger, the wallet, who closes them,
/// and the time.
pub(super) fn closing<'q>(
    scope: &Scope<'q>,
    now: OffsetDateTime,
    statement: &'static str,
) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(statement)
        .bind(scope.ledger_id)
        .bind(scope.wallet)
        .bind(CLOSER)
        .bind(now)
}

/// Writes down what is amiss with lines, and which entries the statement should have and doesn't.
/// `covers`: the time that it speaks of, and the keys of transactions that it would have.
///
/// # Errors
/// Where the database fails.
pub async fn open(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    reconciliation: Uuid,
    covers: Option<(OffsetDateTime, OffsetDateTime)>,
    keys: &str,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    opening(
        scope,
        reconciliation,
        now,
        "INSERT INTO discrepancies (
             ledger_id, fingerprint, class, source, psp, reference, subject_kind, subject_id,
             expected_amount, expected_currency, found_amount, found_currency, detail, occurred_at,
             opened_at, wallet, line_id, reconciliation_id)
         SELECT $1, discrepancy_fingerprint(class, 'reconciliation', 'line:' || id), class,
                'reconciliation', $3, reference, subject_kind, subject_id, expected_amount,
                expected_currency, amount, currency, detail, booked_at, $4, $2, id, $5
         FROM pg_temp.fresh WHERE class IS NOT NULL ORDER BY booked_at, line
         ON CONFLICT ON CONSTRAINT discrepancies_fingerprint_key DO NOTHING",
    )
    .execute(&mut *conn)
    .await?;
    batches::open(conn, scope, reconciliation, now).await?;
    let Some((from, to)) = covers else {
        return Ok(());
    };
    // What came and went again under one reference is nothing to the other side.
    opening(
        scope,
        reconciliation,
        now,
        "INSERT INTO discrepancies (
             ledger_id, fingerprint, class, source, psp, reference, subject_kind, subject_id,
             expected_amount, expected_currency, detail, occurred_at, opened_at, wallet,
             reconciliation_id)
         SELECT $1, discrepancy_fingerprint('missing_there', 'reconciliation', $2 || ' ' || id),
                'missing_there', 'reconciliation', $3, reference, 'transaction', id, -amount,
                currency, 'the ledger has it, the statement of that time does not', at, $4, $2, $5
         FROM (SELECT e.*, sum(e.amount) OVER (PARTITION BY e.reference, e.currency) AS rest
               FROM pg_temp.entries e) e
         WHERE at >= $6 AND at <= $7 AND key LIKE $8 AND (rest <> 0 OR reference IS NULL)
         ORDER BY at, id
         ON CONFLICT ON CONSTRAINT discrepancies_fingerprint_key DO NOTHING",
    )
    .bind(from)
    .bind(to)
    .bind(keys)
    .execute(conn)
    .await?;
    Ok(())
}

/// Closes what was missing on one side and is matched by now, also where something else about it is
/// amiss. Proposals about it are over with it.
/// What a batch lacks it lacks all the same.
///
/// # Errors
/// Where the database fails.
pub async fn resolve_matched(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    hash_joins_only(conn, true).await?;
    // By line and by entry each for itself: with one OR of both there is nothing to hash.
    closing(
        scope,
        now,
        "WITH matched AS (
             SELECT f.id AS line_id, f.transaction_id,
                    f.match NOT IN ('differs', 'duplicate')
                        AND (f.class IS NULL OR f.class = 'late') AS agrees
             -- What was matched before agrees no more than it did.
             FROM pg_temp.fresh f WHERE f.match IS NOT NULL AND NOT f.was_matched
             UNION ALL
             SELECT m.line_id, m.transaction_id, false FROM pg_temp.many m
         )
         UPDATE discrepancies d
         SET status = 'resolved', resolved_by = $3, resolved_at = $4,
             reason = CASE d.class WHEN 'missing_there'
                 THEN 'a later statement has it' ELSE 'the ledger has it by now' END
         FROM (SELECT d.id FROM matched f JOIN discrepancies d ON d.line_id = f.line_id
               WHERE d.ledger_id = $1 AND d.wallet = $2 AND d.status <> 'resolved'
                 AND d.class IN ('missing_here', 'amount', 'currency')
                 AND d.subject_kind IS DISTINCT FROM 'batch'
                 AND (f.agrees OR d.class = 'missing_here')
               UNION
               SELECT d.id FROM matched f JOIN discrepancies d ON d.subject_id = f.transaction_id
               WHERE d.ledger_id = $1 AND d.wallet = $2 AND d.status <> 'resolved'
                 AND d.class = 'missing_there' AND d.subject_kind = 'transaction') c
         WHERE d.ledger_id = $1 AND d.id = c.id AND d.source = 'reconciliation'
           AND d.status <> 'resolved'",
    )
    .execute(&mut *conn)
    .await?;
    hash_joins_only(conn, false).await
}

/// How many discrepancies of this statement are not resolved, whichever run found them: those of its
/// lines, those that this run opened, and what the ledger has in the time that it `covers` and it
/// lacks.
///
/// # Errors
/// Where the database fails.
pub async fn count_open(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    reconciliation: Uuid,
    covers: Option<(OffsetDateTime, OffsetDateTime)>,
    keys: &str,
) -> sqlx::Result<i64> {
    let (from, to) = covers.unzip();
    sqlx::query_scalar(
        "SELECT count(*) FROM discrepancies d
         WHERE d.ledger_id = $1 AND d.wallet = $2 AND d.source = 'reconciliation'
           AND d.status <> 'resolved'
           AND (d.reconciliation_id = $3
             OR d.id IN (SELECT a.id FROM pg_temp.amiss a)
             OR (d.class = 'missing_there' AND d.occurred_at >= $4 AND d.occurred_at <= $5
                 AND EXISTS (SELECT FROM transactions t
                             WHERE t.ledger_id = d.ledger_id AND t.id = d.subject_id
                               AND t.idempotency_key LIKE $6)))",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .bind(reconciliation)
    .bind(from)
    .bind(to)
    .bind(keys)
    .fetch_one(conn)
    .await
}

/// What a run changed, to be told.
#[derive(Clone, Debug)]
pub enum News {
    /// It was opened.
    Opened(Discrepancy),
    /// It was closed.
    Resolved(Discrepancy),
}

/// A page of what this run opened and closed, behind a number.
///
/// # Errors
/// Where the database fails, or holds what is not known here.
pub async fn news(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    reconciliation: Uuid,
    now: OffsetDateTime,
    after: i64,
    rows: i64,
) -> sqlx::Result<Vec<News>> {
    let found = sqlx::query(
        "SELECT d.*, d.proposal::text AS proposal_text, l.kind AS line_kind, l.fee AS line_fee
         FROM discrepancies d
         LEFT JOIN statement_lines l ON l.ledger_id = d.ledger_id AND l.id = d.line_id
         WHERE d.ledger_id = $1 AND d.id > $2 AND d.wallet = $3
           AND (d.reconciliation_id = $4 OR (d.resolved_by = $5 AND d.resolved_at = $6))
         ORDER BY d.id LIMIT $7",
    )
    .bind(scope.ledger_id)
    .bind(after)
    .bind(scope.wallet)
    .bind(reconciliation)
    .bind(CLOSER)
    .bind(now)
    .bind(rows)
    .fetch_all(conn)
    .await?;
    let news = found.iter().map(|row| {
        let discrepancy = discrepancies::read(row)?;
        let status: &str = row.try_get("status")?;
        Ok(match status {
            "resolved" => News::Resolved(discrepancy),
            _ => News::Opened(discrepancy),
        })
    });
    news.collect()
}
