//! Payments.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{
    Moment, ROWS_MAX, Thing, Told, Wanted, Way, discrepancies, refunds, transactions, webhooks,
};
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM payments WHERE ledger_id = $1 AND id = $3
         UNION SELECT id FROM payments WHERE ledger_id = $1 AND idempotency_key = $2
         UNION SELECT subject_id FROM psp_references
               WHERE psp = ANY($5) AND reference = $2 AND ledger_id = $1 AND kind = 'payment'
         UNION SELECT id FROM payments WHERE ledger_id = $1 AND psp_id = $2
         UNION (SELECT id FROM payments WHERE ledger_id = $1 AND correlation_id = $2 LIMIT $4)",
    )
    .bind(wanted.ledger.id)
    .bind(wanted.text)
    .bind(wanted.uuid)
    .bind(ROWS_MAX.saturating_add(1))
    .bind(&wanted.psps)
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Payment);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT merchant::text, currency::text, terms_version, psp, reference, idempotency_key,
                correlation_id, amount, fee, net, status, psp_id, created_at, updated_at, last_error,
                next_attempt_at, paid_at, period::text, matures_at, settlement_id
         FROM payments WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger.id)
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let (Some(row), thing) = (row, Thing::Payment(id)) else {
        return Ok(());
    };
    moments(&row, &thing, told)?;
    let settlement: Option<Uuid> = row.try_get("settlement_id")?;
    let onward = settlement.map(|settlement| (Way::Onward, Thing::Settlement(settlement)));
    told.links.extend(onward);
    let (psp, reference): (&str, &str) = (row.try_get("psp")?, row.try_get("reference")?);
    let posted = transactions::of(conn, ledger, &thing).await?;
    told.link(Way::Same, posted, Thing::Transaction);
    webhooks::about(conn, psp, reference, told).await?;
    refunds::of_payment(conn, ledger, id, told).await?;
    discrepancies::about(conn, ledger, id, Some(reference), told).await
}

fn moments(row: &PgRow, thing: &Thing, told: &mut Told) -> sqlx::Result<()> {
    let currency: &str = row.try_get("currency")?;
    let (merchant, terms): (&str, i32) = (row.try_get("merchant")?, row.try_get("terms_version")?);
    let (created, updated) = (row.try_get("created_at")?, row.try_get("updated_at")?);
    let amount: i64 = row.try_get("amount")?;
    told.moment(
        Moment::new(thing, "payment.created", created)
            .sum(amount, currency)
            .name("reference", row.try_get("reference")?)
            .name("idempotency_key", row.try_get("idempotency_key")?)
            .name("correlation_id", row.try_get("correlation_id")?)
            .detail(Some(format!(
                "for {merchant} under version {terms} of its terms"
            ))),
    );
    if let Some(paid_at) = row.try_get("paid_at")? {
        let paid = Moment::new(thing, "payment.paid", paid_at).sum(amount, currency);
        told.moment(paid.name("psp_id", row.try_get("psp_id")?));
    }
    if let Some(matures_at) = row.try_get("matures_at")? {
        let period: Option<String> = row.try_get("period")?;
        let matures = Moment::new(thing, "payment.matures", matures_at);
        told.moment(
            matures
                .sum(row.try_get("net")?, currency)
                .detail(period.map(|period| format!("with what counts for {period}"))),
        );
    }
    let status: &str = row.try_get("status")?;
    let stands = Moment::new(thing, "payment.stands", updated).state(status);
    told.moment(stands.detail(row.try_get("last_error")?));
    Ok(())
}
