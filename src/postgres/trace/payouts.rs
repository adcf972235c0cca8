//! Payouts, and the calls to the PSP about them.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Moment, ROWS_MAX, Thing, Told, Wanted, Way, discrepancies, flow, transactions, webhooks,
};
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM payouts WHERE ledger_id = $1 AND id = $3
         UNION SELECT id FROM payouts WHERE ledger_id = $1 AND idempotency_key = $2
         UNION SELECT subject_id FROM psp_references
               WHERE psp = ANY($5) AND reference = $2 AND ledger_id = $1 AND kind = 'payout'
         UNION SELECT id FROM payouts WHERE ledger_id = $1 AND psp_code = $2
         UNION (SELECT id FROM payouts WHERE ledger_id = $1 AND label = $2 LIMIT $4)
         UNION (SELECT id FROM payouts WHERE ledger_id = $1 AND correlation_id = $2 LIMIT $4)",
    )
    .bind(wanted.ledger.id)
    .bind(wanted.text)
    .bind(wanted.uuid)
    .bind(ROWS_MAX.saturating_add(1))
    .bind(&wanted.psps)
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Payout);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT merchant::text, currency::text, amount, psp, reference, recipient, label, run_key,
                idempotency_key, correlation_id, requested_by, status, psp_code, last_error,
                created_at, updated_at
         FROM payouts WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger.id)
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let (Some(row), thing) = (row, Thing::Payout(id)) else {
        return Ok(());
    };
    moments(&row, &thing, told)?;
    calls(conn, ledger, id, told).await?;
    let run: Option<String> = row.try_get("run_key")?;
    told.links
        .extend(run.map(|key| (Way::Onward, Thing::PayoutRun(key))));
    let (psp, reference): (&str, &str) = (row.try_get("psp")?, row.try_get("reference")?);
    let posted = transactions::of(conn, ledger, &thing).await?;
    for key in flow::came_from(conn, ledger.id, &posted).await? {
        let from = transactions::owner(&key).filter(|owner| *owner != thing);
        told.links.extend(from.map(|from| (Way::Back, from)));
    }
    // What came back goes out again with another one.
    for key in flow::went_with(conn, ledger.id, &posted).await? {
        let next = transactions::owner(&key).filter(|owner| matches!(owner, Thing::Payout(_)));
        let next = next.filter(|next| *next != thing);
        told.links.extend(next.map(|next| (Way::Onward, next)));
    }
    told.link(Way::Same, posted, Thing::Transaction);
    webhooks::about(conn, psp, reference, told).await?;
    discrepancies::about(conn, ledger, id, Some(reference), told).await
}

fn moments(row: &PgRow, thing: &Thing, told: &mut Told) -> sqlx::Result<()> {
    let (merchant, recipient): (&str, &str) = (row.try_get("merchant")?, row.try_get("recipient")?);
    let (by, status): (&str, &str) = (row.try_get("requested_by")?, row.try_get("status")?);
    told.moment(
        Moment::new(thing, "payout.requested", row.try_get("created_at")?)
            .sum(row.try_get("amount")?, row.try_get("currency")?)
            .name("reference", row.try_get("reference")?)
            .name("label", row.try_get("label")?)
            .name("run", row.try_get("run_key")?)
            .name("idempotency_key", row.try_get("idempotency_key")?)
            .name("correlation_id", row.try_get("correlation_id")?)
            .detail(Some(format!("for {merchant} to {recipient}, by {by}"))),
    );
    told.moment(
        Moment::new(thing, "payout.stands", row.try_get("updated_at")?)
            .state(status)
            .name("psp_code", row.try_get("psp_code")?)
            .detail(row.try_get("last_error")?),
    );
    Ok(())
}

/// The last calls to the PSP.
async fn calls(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let rows = sqlx::query(
        "SELECT number, kind, started_at, outcome, detail FROM payout_attempts
         WHERE ledger_id = $1 AND payout_id = $2 ORDER BY number DESC LIMIT $3",
    )
    .bind(ledger.id)
    .bind(id)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    let thing = Thing::Payout(id);
    let max = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    told.cut |= rows.len() > max;
    for row in rows.iter().take(max) {
        let started_at: OffsetDateTime = row.try_get("started_at")?;
        let what = match row.try_get("kind")? {
            "send" => "payout.send",
            _ => "payout.ask",
        };
        let outcome: Option<&str> = row.try_get("outcome")?;
        let (number, detail): (i32, Option<&str>) =
            (row.try_get("number")?, row.try_get("detail")?);
        let detail = detail.map_or(String::new(), |detail| format!(": {detail}"));
        told.moment(Moment::new(&thing, what, started_at).detail(Some(format!(
            "call {number}, {}{detail}",
            outcome.unwrap_or("without an end")
        ))));
    }
    Ok(())
}
