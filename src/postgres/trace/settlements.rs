//! Settlements: payments come together here, and payouts take it from here.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way, flow, transactions};
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM settlements WHERE ledger_id = $1 AND id = $2")
            .bind(wanted.ledger.id)
            .bind(wanted.uuid)
            .fetch_all(conn)
            .await?;
    told.link(Way::Same, ids, Thing::Settlement);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT merchant::text, currency::text, period::text, payments, amount, settled_at,
                settled_by
         FROM settlements WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger.id)
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let (Some(row), thing) = (row, Thing::Settlement(id)) else {
        return Ok(());
    };
    let (merchant, period): (&str, &str) = (row.try_get("merchant")?, row.try_get("period")?);
    let (payments, currency): (i64, &str) = (row.try_get("payments")?, row.try_get("currency")?);
    let (by, settled_at): (&str, _) = (row.try_get("settled_by")?, row.try_get("settled_at")?);
    told.moment(
        Moment::new(&thing, "settlement.settled", settled_at)
            .sum(row.try_get("amount")?, currency)
            .detail(Some(format!(
                "what counted for {period} of {merchant}, payments: {payments}, by {by}"
            ))),
    );
    reserves(conn, ledger, id, currency, told).await?;
    let posted = transactions::of(conn, ledger, &thing).await?;
    for key in flow::went_with(conn, ledger.id, &posted).await? {
        let payout = transactions::owner(&key).filter(|owner| matches!(owner, Thing::Payout(_)));
        told.links
            .extend(payout.map(|payout| (Way::Onward, payout)));
    }
    told.link(Way::Same, posted, Thing::Transaction);
    let settled: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM payments WHERE ledger_id = $1 AND settlement_id = $2 LIMIT $3",
    )
    .bind(ledger.id)
    .bind(id)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Back, settled, Thing::Payment);
    Ok(())
}

async fn reserves(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    currency: &str,
    told: &mut Told,
) -> sqlx::Result<()> {
    let rows = sqlx::query(
        "SELECT amount, due_at, released_at FROM settlement_reserves
         WHERE ledger_id = $1 AND settlement_id = $2 ORDER BY terms_version LIMIT $3",
    )
    .bind(ledger.id)
    .bind(id)
    .bind(ROWS_MAX)
    .fetch_all(conn)
    .await?;
    let thing = Thing::Settlement(id);
    for row in &rows {
        let (what, at) = match row.try_get("released_at")? {
            Some(released_at) => ("reserve.released", released_at),
            None => ("reserve.due", row.try_get("due_at")?),
        };
        let moment = Moment::new(&thing, what, at);
        told.moment(moment.sum(row.try_get("amount")?, currency));
    }
    Ok(())
}
