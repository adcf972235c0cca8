//! Lines that were recorded and that a corrected file of their time lacks, and those that come again.
//!
//! A file answers for what it has some of: lines of the same account, currency, kind and batch, that
//! were recorded from a file of its format. The days on which it begins and ends may be cut, so that it
//! answers only for those between, unless the time that it covers was said.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::findings::{CLOSER, closing, opening};
use super::matching::{ENTRIES_BEFORE, Scope, first_id};

/// A file that may lack lines.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// How it is written.
    pub format: &'a str,
    /// Its SHA-256.
    pub hash: &'a [u8; 32],
    /// Whether all of its lines could be read.
    pub readable: bool,
    /// The time that it covers.
    pub covers: Option<(OffsetDateTime, OffsetDateTime)>,
    /// What of that somebody said.
    pub said: (Option<OffsetDateTime>, Option<OffsetDateTime>),
}

/// Finds the lines that stand for something in the ledger and that a file lacks, while all of its own
/// are staged: `pg_temp.lacking`. The same file again lacks nothing new, but what came again in
/// between.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    file: &Whole<'_>,
) -> sqlx::Result<()> {
    let (from, to) = file.covers.unzip();
    let oldest = from.and_then(|from| from.checked_sub(ENTRIES_BEFORE));
    sqlx::query(
        "CREATE TEMP TABLE lacking ON COMMIT DROP AS
         WITH edges AS (
             SELECT account,
                    coalesce($3::timestamptz,
                             date_trunc('day', min(booked_at), 'UTC') + interval '1 day') AS first,
                    coalesce($4::timestamptz,
                             date_trunc('day', max(booked_at), 'UTC') - interval '1 us') AS last
             FROM pg_temp.lines GROUP BY account
         ), had AS (
             SELECT DISTINCT account, currency, kind, batch FROM pg_temp.lines
         ), stands AS (
             SELECT id AS line_id, transaction_id FROM statement_lines
             WHERE ledger_id = $1 AND wallet = $2 AND transaction_id >= $5
             UNION ALL
             SELECT line_id, transaction_id FROM statement_matches
             WHERE ledger_id = $1 AND wallet = $2 AND transaction_id >= $5
             UNION ALL
             SELECT line_id, transaction_id FROM discrepancies
             WHERE ledger_id = $1 AND wallet = $2 AND transaction_id >= $5
               AND class = 'missing_here'
         )
         SELECT DISTINCT ON (s.id) s.id, t.transaction_id
         FROM stands t
         JOIN statement_lines s ON s.ledger_id = $1 AND s.id = t.line_id
         JOIN reconciliations r ON r.ledger_id = $1 AND r.id = s.reconciliation_id
         JOIN edges e ON e.account = s.account AND s.booked_at BETWEEN e.first AND e.last
         JOIN had h ON h.account = s.account AND h.currency = s.currency AND h.kind = s.kind
             AND coalesce(h.batch, '') = coalesce(s.batch, '')
         WHERE $6 AND r.format = $7
           AND NOT EXISTS (SELECT FROM reconciliations o
                           WHERE o.ledger_id = $1 AND o.wallet = $2 AND o.file_hash = $8
                             AND o.covers_from = $9 AND o.covers_to = $10
                             AND o.started_at > coalesce((
                                 SELECT max(d.resolved_at) FROM discrepancies d
                                 WHERE d.ledger_id = $1 AND d.line_id = s.id
                                   AND d.class = 'missing_there' AND d.resolved_by = $11),
                                 '-infinity'))
           AND NOT EXISTS (SELECT FROM pg_temp.lines l WHERE l.id = s.id)
           AND NOT EXISTS (SELECT FROM discrepancies d
                           WHERE d.ledger_id = $1 AND d.line_id = s.id
                             AND CASE WHEN d.status = 'resolved'
                                 THEN d.class = 'missing_there' AND d.resolved_by <> $11
                                 ELSE d.class <> 'late'
                                     AND d.subject_kind IS DISTINCT FROM 'batch' END)
         ORDER BY s.id, t.transaction_id",
    )
    .bind(scope.ledger_id)
    .bind(scope.wallet)
    .bind(file.said.0)
    .bind(file.said.1)
    .bind(first_id(oldest.unwrap_or(OffsetDateTime::UNIX_EPOCH)))
    .bind(file.readable)
    .bind(file.format)
    .bind(&file.hash[..])
    .bind(from)
    .bind(to)
    .bind(CLOSER)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down what the file lacks: the ledger has it and a statement of its time does not.
///
/// # Errors
/// Where the database fails.
pub async fn open(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    reconciliation: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    opening(
        scope,
        reconciliation,
        now,
        "INSERT INTO discrepancies (
             ledger_id, fingerprint, class, source, psp, reference, subject_kind, subject_id,
             expected_amount, expected_currency, detail, occurred_at, opened_at, wallet, line_id,
             reconciliation_id)
         SELECT $1, discrepancy_fingerprint('missing_there', 'reconciliation',
                                            'line:' || s.id || ' ' || $5),
                'missing_there', 'reconciliation', $3, s.reference, 'transaction',
                x.transaction_id, s.amount, s.currency,
                'the ledger has it as an earlier statement had, a later one of that time does not',
                s.booked_at, $4, $2, s.id, $5
         FROM pg_temp.lacking x
         JOIN statement_lines s ON s.ledger_id = $1 AND s.id = x.id
         ORDER BY s.booked_at, s.line
         ON CONFLICT ON CONSTRAINT discrepancies_fingerprint_key DO NOTHING",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes note, while all lines of a file are staged, of those that an earlier one had lacked: nothing is
/// missing any more, or what was corrected meanwhile is missing here.
///
/// # Errors
/// Where the database fails.
pub async fn came_again(
    conn: &mut PgConnection,
    scope: &Scope<'_>,
    reconciliation: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    closing(
        scope,
        now,
        "UPDATE discrepancies d
         SET status = 'resolved', resolved_by = $3, resolved_at = $4,
             reason = 'a later statement has it'
         FROM pg_temp.lines l
         WHERE d.ledger_id = $1 AND d.wallet = $2 AND d.line_id = l.id
           AND d.class = 'missing_there' AND d.status <> 'resolved'",
    )
    .execute(&mut *conn)
    .await?;
    opening(
        scope,
        reconciliation,
        now,
        "INSERT INTO discrepancies (
             ledger_id, fingerprint, class, source, psp, reference, found_amount, found_currency,
             detail, occurred_at, opened_at, wallet, line_id, reconciliation_id)
         SELECT $1, discrepancy_fingerprint('missing_here', 'reconciliation', 'again:' || d.id),
                'missing_here', 'reconciliation', $3, l.reference, l.amount, l.currency,
                'the statement has it again, and it was corrected when one of its time had it not',
                l.booked_at, $4, $2, l.id, $5
         FROM discrepancies d JOIN pg_temp.lines l ON l.id = d.line_id
         WHERE d.ledger_id = $1 AND d.wallet = $2 AND d.class = 'missing_there'
           AND d.transaction_id IS NOT NULL
         ON CONFLICT ON CONSTRAINT discrepancies_fingerprint_key DO NOTHING",
    )
    .execute(conn)
    .await?;
    Ok(())
}
