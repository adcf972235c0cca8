//! Refunds and chargebacks, and the disputes that lead to them.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way, discrepancies, transactions};
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM refunds WHERE ledger_id = $1 AND id = $3
         UNION SELECT id FROM refunds WHERE ledger_id = $1 AND idempotency_key = $2
         -- Said twice, since so the index is found.
         UNION SELECT id FROM refunds
               WHERE ledger_id = $1 AND psp = ANY($5) AND (origin = 'chargeback') IS TRUE
                 AND psp_id = $2
         UNION SELECT id FROM refunds
               WHERE ledger_id = $1 AND psp = ANY($5) AND (origin = 'chargeback') IS FALSE
                 AND psp_id = $2
         UNION (SELECT id FROM refunds WHERE ledger_id = $1 AND correlation_id = $2 LIMIT $4)",
    )
    .bind(wanted.ledger.id)
    .bind(wanted.text)
    .bind(wanted.uuid)
    .bind(ROWS_MAX.saturating_add(1))
    .bind(&wanted.psps)
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Refund);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT payment_id, currency::text, origin, idempotency_key, amount, psp_id, psp_status,
                correlation_id, requested_by, status, last_error, created_at, updated_at
         FROM refunds WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger.id)
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let (Some(row), thing) = (row, Thing::Refund(id)) else {
        return Ok(());
    };
    let (currency, origin): (&str, &str) = (row.try_get("currency")?, row.try_get("origin")?);
    let by: &str = row.try_get("requested_by")?;
    let began = match origin {
        "request" => format!("asked for by {by}"),
        "psp" => "made at the PSP".to_owned(),
        _ => "a dispute was lost".to_owned(),
    };
    told.moment(
        Moment::new(&thing, "refund.created", row.try_get("created_at")?)
            .sum(row.try_get("amount")?, currency)
            .name("idempotency_key", row.try_get("idempotency_key")?)
            .name("psp_id", row.try_get("psp_id")?)
            .name("correlation_id", row.try_get("correlation_id")?)
            .detail(Some(began)),
    );
    let status: &str = row.try_get("status")?;
    told.moment(
        Moment::new(&thing, "refund.stands", row.try_get("updated_at")?)
            .state(status)
            .name("psp_status", row.try_get("psp_status")?)
            .detail(row.try_get("last_error")?),
    );
    let payment = Thing::Payment(row.try_get("payment_id")?);
    told.links.push((Way::Same, payment));
    let posted = transactions::of(conn, ledger, &thing).await?;
    told.link(Way::Same, posted, Thing::Transaction);
    discrepancies::about(conn, ledger, id, None, told).await
}

/// What goes back of a payment, and who disputes it.
pub(super) async fn of_payment(
    conn: &mut PgConnection,
    ledger: &Ledger,
    payment: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM refunds WHERE ledger_id = $1 AND payment_id = $2 ORDER BY id LIMIT $3",
    )
    .bind(ledger.id)
    .bind(payment)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(&mut *conn)
    .await?;
    told.link(Way::Same, ids, Thing::Refund);
    let disputes = sqlx::query(
        "SELECT d.psp_id, d.amount, p.currency::text, d.category, d.status, d.created_at,
                d.updated_at
         FROM disputes d JOIN payments p ON p.ledger_id = d.ledger_id AND p.id = d.payment_id
         WHERE d.ledger_id = $1 AND d.payment_id = $2 ORDER BY d.created_at LIMIT $3",
    )
    .bind(ledger.id)
    .bind(payment)
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    let thing = Thing::Payment(payment);
    for row in &disputes {
        let amount: Option<i64> = row.try_get("amount")?;
        let (currency, status): (&str, &str) = (row.try_get("currency")?, row.try_get("status")?);
        let opened = Moment::new(&thing, "dispute.opened", row.try_get("created_at")?)
            .name("dispute", row.try_get("psp_id")?)
            .detail(row.try_get("category")?);
        told.moment(match amount {
            Some(amount) => opened.sum(amount, currency),
            None => opened,
        });
        if status != "open" {
            let ended = Moment::new(&thing, "dispute.ended", row.try_get("updated_at")?);
            told.moment(ended.state(status).name("dispute", row.try_get("psp_id")?));
        }
    }
    Ok(())
}
