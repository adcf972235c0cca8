//! What does not agree between the ledger and the world.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way};
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM discrepancies WHERE ledger_id = $1 AND reference = $2
         ORDER BY id LIMIT $3",
    )
    .bind(wanted.ledger.id)
    .bind(wanted.text)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Discrepancy);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: i64,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT class, source, psp, reference, subject_kind, subject_id, found_amount,
                found_currency, detail, opened_at, status, proposed_by, proposed_at, reason,
                transaction_id, resolved_by, resolved_at, line_id
         FROM discrepancies WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger.id)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    let (Some(row), thing) = (row, Thing::Discrepancy(id)) else {
        return Ok(());
    };
    let (class, source): (&str, &str) = (row.try_get("class")?, row.try_get("source")?);
    let (status, detail): (&str, &str) = (row.try_get("status")?, row.try_get("detail")?);
    let opened = Moment::new(&thing, "discrepancy.opened", row.try_get("opened_at")?)
        .state(status)
        .name("reference", row.try_get("reference")?)
        .detail(Some(format!("{class}, found by {source}: {detail}")));
    let found: (Option<i64>, Option<&str>) =
        (row.try_get("found_amount")?, row.try_get("found_currency")?);
    told.moment(match found {
        (Some(amount), Some(currency)) => opened.sum(amount, currency),
        _ => opened,
    });
    for (what, at, by) in [
        ("discrepancy.proposed", "proposed_at", "proposed_by"),
        ("discrepancy.resolved", "resolved_at", "resolved_by"),
    ] {
        let at: Option<time::OffsetDateTime> = row.try_get(at)?;
        let (by, reason): (Option<&str>, Option<&str>) = (row.try_get(by)?, row.try_get("reason")?);
        let why = reason.map_or(String::new(), |reason| format!(": {reason}"));
        let detail = by.map(|by| format!("by {by}{why}"));
        let moment = at.map(|at| Moment::new(&thing, what, at).detail(detail));
        told.moments.extend(moment);
    }
    let subject: Option<Uuid> = row.try_get("subject_id")?;
    let subject = subject.and_then(|id| match row.try_get("subject_kind").ok()? {
        "payment" => Some(Thing::Payment(id)),
        "payout" => Some(Thing::Payout(id)),
        "refund" => Some(Thing::Refund(id)),
        _ => None,
    });
    told.links.extend(subject.map(|thing| (Way::Same, thing)));
    let line: Option<Uuid> = row.try_get("line_id")?;
    told.links
        .extend(line.map(|id| (Way::Same, Thing::StatementLine(id))));
    let correction: Option<Uuid> = row.try_get("transaction_id")?;
    told.links
        .extend(correction.map(|id| (Way::Same, Thing::Transaction(id))));
    Ok(())
}

/// What does not agree about one of ours, by its id or by its PSP's name for it.
pub(super) async fn about(
    conn: &mut PgConnection,
    ledger: &Ledger,
    subject: Uuid,
    reference: Option<&str>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "(SELECT id FROM discrepancies WHERE ledger_id = $1 AND subject_id = $2
          ORDER BY id LIMIT $4)
         UNION (SELECT id FROM discrepancies WHERE ledger_id = $1 AND reference = $3
                ORDER BY id LIMIT $4)",
    )
    .bind(ledger.id)
    .bind(subject)
    .bind(reference)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Discrepancy);
    Ok(())
}

/// What a transaction put right.
pub(super) async fn of_transaction(
    conn: &mut PgConnection,
    ledger: &Ledger,
    transaction: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM discrepancies WHERE ledger_id = $1 AND transaction_id = $2 LIMIT $3",
    )
    .bind(ledger.id)
    .bind(transaction)
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Discrepancy);
    Ok(())
}

/// What a line of a statement does not agree with.
pub(super) async fn of_line(
    conn: &mut PgConnection,
    ledger: &Ledger,
    line: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM discrepancies WHERE ledger_id = $1 AND line_id = $2 LIMIT $3",
    )
    .bind(ledger.id)
    .bind(line)
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Discrepancy);
    Ok(())
}
