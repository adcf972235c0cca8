//! Payout runs: payouts that were asked for together.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way};
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let keys: Vec<String> =
        sqlx::query_scalar("SELECT key::text FROM payout_runs WHERE ledger_id = $1 AND key = $2")
            .bind(wanted.ledger.id)
            .bind(wanted.text)
            .fetch_all(conn)
            .await?;
    told.link(Way::Same, keys, Thing::PayoutRun);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    key: &str,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT currency::text, count, total, status, started_by, started_from, started_at,
                approved_by, approved_at, finished_at
         FROM payout_runs WHERE ledger_id = $1 AND key = $2",
    )
    .bind(ledger.id)
    .bind(key)
    .fetch_optional(&mut *conn)
    .await?;
    let (Some(row), thing) = (row, Thing::PayoutRun(key.to_owned())) else {
        return Ok(());
    };
    let (count, by): (i32, &str) = (row.try_get("count")?, row.try_get("started_by")?);
    let (from, status): (&str, &str) = (row.try_get("started_from")?, row.try_get("status")?);
    let started = Moment::new(&thing, "payout_run.started", row.try_get("started_at")?)
        .sum(row.try_get("total")?, row.try_get("currency")?)
        .detail(Some(format!("payouts: {count}, by {by} from {from}")));
    let finished_at: Option<OffsetDateTime> = row.try_get("finished_at")?;
    match finished_at {
        Some(at) => {
            told.moment(started);
            told.moment(Moment::new(&thing, "payout_run.ended", at).state(status));
        }
        None => told.moment(started.state(status)),
    }
    if let Some(at) = row.try_get("approved_at")? {
        let by: Option<&str> = row.try_get("approved_by")?;
        let approved = Moment::new(&thing, "payout_run.approved", at);
        told.moment(approved.detail(by.map(|by| format!("by {by}"))));
    }
    let payouts: Vec<Uuid> = sqlx::query_scalar(
        "SELECT payout_id FROM payout_run_items
         WHERE ledger_id = $1 AND run_key = $2 AND payout_id IS NOT NULL ORDER BY number LIMIT $3",
    )
    .bind(ledger.id)
    .bind(key)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Back, payouts, Thing::Payout);
    Ok(())
}
