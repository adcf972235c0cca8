//! Lines of PSPs' and banks' statements, and what they were matched with.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way, discrepancies};
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "WITH statements AS (
             SELECT DISTINCT wallet FROM reconciliations WHERE ledger_id = $1
         )
         SELECT id FROM statement_lines WHERE ledger_id = $1 AND id = $3
         UNION SELECT l.id FROM statements s CROSS JOIN LATERAL (
             (SELECT id FROM statement_lines
              WHERE ledger_id = $1 AND wallet = s.wallet AND reference = $2 LIMIT $4)
             UNION ALL
             (SELECT id FROM statement_lines
              WHERE ledger_id = $1 AND wallet = s.wallet AND batch = $2 LIMIT $4)
         ) l",
    )
    .bind(wanted.ledger.id)
    .bind(wanted.text)
    .bind(wanted.uuid)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::StatementLine);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT l.line, l.wallet::text, l.kind, l.reference, l.external_id, l.batch, l.currency,
                l.amount, l.booked_at, l.match, l.transaction_id, b.id AS fee_transaction_id, r.file_name,
                r.started_at
         FROM statement_lines l
         JOIN reconciliations r ON r.ledger_id = l.ledger_id AND r.id = l.reconciliation_id
         LEFT JOIN transactions b ON b.ledger_id = l.ledger_id AND l.kind <> 'payout'
             AND b.idempotency_key =
             'aegis:reconciliation:' || l.fee_taken_by || ':psp_fees:' || l.currency
         WHERE l.ledger_id = $1 AND l.id = $2",
    )
    .bind(ledger.id)
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let (Some(row), thing) = (row, Thing::StatementLine(id)) else {
        return Ok(());
    };
    let (wallet, kind): (&str, &str) = (row.try_get("wallet")?, row.try_get("kind")?);
    let (file, line): (&str, i64) = (row.try_get("file_name")?, row.try_get("line")?);
    let (matched, batch): (Option<&str>, Option<String>) =
        (row.try_get("match")?, row.try_get("batch")?);
    told.moment(
        Moment::new(&thing, "statement_line.booked", row.try_get("booked_at")?)
            .sum(row.try_get("amount")?, row.try_get("currency")?)
            .name("reference", row.try_get("reference")?)
            .name("external_id", row.try_get("external_id")?)
            .name("batch", batch)
            .detail(Some(format!("{kind} on {wallet}"))),
    );
    let state = matched.map_or("open".to_owned(), |how| format!("matched by {how}"));
    told.moment(
        Moment::new(&thing, "statement_line.read", row.try_get("started_at")?)
            .state(state)
            .detail(Some(format!("{file}, line {line}"))),
    );
    let own: [Option<Uuid>; 2] = [
        row.try_get("transaction_id")?,
        row.try_get("fee_transaction_id")?,
    ];
    for transaction in own.into_iter().flatten() {
        told.links
            .push((Way::Same, Thing::Transaction(transaction)));
    }
    let many: Vec<Uuid> = sqlx::query_scalar(
        "SELECT transaction_id FROM statement_matches WHERE ledger_id = $1 AND line_id = $2 LIMIT $3",
    )
    .bind(ledger.id)
    .bind(id)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(&mut *conn)
    .await?;
    told.link(Way::Back, many, Thing::Transaction);
    together(conn, ledger, id, told).await?;
    discrepancies::of_line(conn, ledger, id, told).await
}

/// The PSP pays many of its lines to the bank as one: onward to the bank's line, back from there.
async fn together(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let lines: Vec<(Uuid, bool)> = sqlx::query_as(
        "WITH own AS (
             SELECT wallet, batch, reference FROM statement_lines WHERE ledger_id = $1 AND id = $2
         ), statements AS (
             SELECT DISTINCT r.wallet FROM reconciliations r, own
             WHERE r.ledger_id = $1 AND r.wallet <> own.wallet
         )
         SELECT l.id, true FROM own CROSS JOIN statements s CROSS JOIN LATERAL (
             SELECT id FROM statement_lines
             WHERE ledger_id = $1 AND wallet = s.wallet AND reference = own.batch LIMIT $3
         ) l WHERE s.wallet LIKE 'bank:%'
         UNION ALL
         SELECT l.id, false FROM own CROSS JOIN statements s CROSS JOIN LATERAL (
             SELECT id FROM statement_lines
             WHERE ledger_id = $1 AND wallet = s.wallet AND batch = own.reference LIMIT $3
         ) l WHERE own.wallet LIKE 'bank:%'",
    )
    .bind(ledger.id)
    .bind(id)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    let (onward, back): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(_, onward)| *onward);
    told.link(Way::Onward, onward, |(line, _)| Thing::StatementLine(line));
    told.link(Way::Back, back, |(line, _)| Thing::StatementLine(line));
    Ok(())
}

/// The lines that a transaction was found in: its own, or one for many.
pub(super) async fn of_transaction(
    conn: &mut PgConnection,
    ledger: &Ledger,
    transaction: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let lines: Vec<(Uuid, bool)> = sqlx::query_as(
        "WITH statements AS (
             SELECT DISTINCT wallet FROM reconciliations WHERE ledger_id = $1
         )
         SELECT l.id, true FROM statements s CROSS JOIN LATERAL (
             SELECT id FROM statement_lines
             WHERE ledger_id = $1 AND wallet = s.wallet AND transaction_id = $2 OFFSET 0
         ) l
         UNION ALL
         SELECT m.line_id, false FROM statements s CROSS JOIN LATERAL (
             SELECT line_id FROM statement_matches
             WHERE ledger_id = $1 AND wallet = s.wallet AND transaction_id = $2 OFFSET 0
         ) m",
    )
    .bind(ledger.id)
    .bind(transaction)
    .fetch_all(conn)
    .await?;
    let (own, of_many): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(_, own)| *own);
    told.link(Way::Same, own, |(line, _)| Thing::StatementLine(line));
    told.link(Way::Onward, of_many, |(line, _)| Thing::StatementLine(line));
    Ok(())
}
