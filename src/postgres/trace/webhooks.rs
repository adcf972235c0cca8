//! What PSPs told by themselves. Webhooks belong to no ledger: those about something of another one
//! are not told.

use sqlx::{PgConnection, Row};

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way};
use crate::ledger::Ledger;

/// The PSPs that references and webhooks know: one probe of an index each.
pub(super) async fn psps(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "WITH RECURSIVE told (psp) AS (
             (SELECT psp FROM psp_webhooks ORDER BY psp LIMIT 1)
             UNION ALL
             SELECT (SELECT w.psp FROM psp_webhooks w WHERE w.psp > t.psp ORDER BY w.psp LIMIT 1)
             FROM told t WHERE t.psp IS NOT NULL
         ), known (psp) AS (
             (SELECT psp FROM psp_references ORDER BY psp LIMIT 1)
             UNION ALL
             SELECT (SELECT r.psp FROM psp_references r WHERE r.psp > k.psp ORDER BY r.psp LIMIT 1)
             FROM known k WHERE k.psp IS NOT NULL
         )
         SELECT psp FROM told WHERE psp IS NOT NULL
         UNION SELECT psp FROM known WHERE psp IS NOT NULL",
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT w.id FROM (
             SELECT id, psp, reference FROM psp_webhooks
             WHERE psp = ANY($3) AND event_id = $2
             UNION (SELECT id, psp, reference FROM psp_webhooks
                    WHERE psp = ANY($3) AND reference = $2 LIMIT $4)
         ) w
         WHERE NOT EXISTS (
             SELECT FROM psp_references r
             WHERE r.psp = w.psp AND r.reference = w.reference AND r.ledger_id <> $1)
         ORDER BY w.id",
    )
    .bind(wanted.ledger.id)
    .bind(wanted.text)
    .bind(&wanted.psps)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Webhook);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: i64,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT w.psp, w.event_id, w.kind, w.reference, w.received_at, w.status, w.attempts,
                w.last_error, w.processed_at, r.kind AS subject, r.subject_id
         FROM psp_webhooks w
         LEFT JOIN psp_references r ON r.psp = w.psp AND r.reference = w.reference
         WHERE w.id = $2 AND coalesce(r.ledger_id, $1) = $1",
    )
    .bind(ledger.id)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    let (Some(row), thing) = (row, Thing::Webhook(id)) else {
        return Ok(());
    };
    let (psp, kind): (&str, Option<&str>) = (row.try_get("psp")?, row.try_get("kind")?);
    let said = kind.unwrap_or("what can't be read");
    let (processed_at, status): (Option<time::OffsetDateTime>, &str) =
        (row.try_get("processed_at")?, row.try_get("status")?);
    let received = Moment::new(&thing, "webhook.received", row.try_get("received_at")?)
        .name("event_id", row.try_get("event_id")?)
        .name("reference", row.try_get("reference")?)
        .detail(Some(format!("{psp}: {said}")));
    let last_error: Option<String> = row.try_get("last_error")?;
    match processed_at {
        Some(processed_at) => {
            let handled = Moment::new(&thing, "webhook.handled", processed_at).state(status);
            told.moment(received);
            told.moment(handled.detail(last_error));
        }
        None => {
            told.moment(received.state(status));
            if let Some(error) = last_error {
                let attempts: i32 = row.try_get("attempts")?;
                let at = row.try_get("received_at")?;
                let failed = Moment::new(&thing, "webhook.failed", at);
                told.moment(failed.detail(Some(format!("{attempts} times, the last: {error}"))));
            }
        }
    }
    let subject: Option<uuid::Uuid> = row.try_get("subject_id")?;
    let subject = subject.map(|id| match row.try_get("subject") {
        Ok("payout") => Thing::Payout(id),
        _ => Thing::Payment(id),
    });
    told.links.extend(subject.map(|thing| (Way::Same, thing)));
    Ok(())
}

/// What a PSP told about a reference.
pub(super) async fn about(
    conn: &mut PgConnection,
    psp: &str,
    reference: &str,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM psp_webhooks WHERE psp = $1 AND reference = $2 ORDER BY id LIMIT $3",
    )
    .bind(psp)
    .bind(reference)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Webhook);
    Ok(())
}
