//! Transactions of the ledger.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way, discrepancies, statements};
use crate::ledger::{Ledger, Receipt};
use crate::postgres::transactions;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM transactions WHERE ledger_id = $1 AND id = $3
         UNION SELECT id FROM transactions WHERE ledger_id = $1 AND idempotency_key = $2
         UNION (SELECT id FROM transactions WHERE ledger_id = $1 AND reference = $2
                ORDER BY id LIMIT $4)
         UNION (SELECT id FROM transactions WHERE ledger_id = $1 AND correlation_id = $2
                ORDER BY id LIMIT $4)",
    )
    .bind(wanted.ledger.id)
    .bind(wanted.text)
    .bind(wanted.uuid)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Transaction);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let mut receipts = transactions::receipts(conn, ledger.id, &[id]).await?;
    let Some(receipt) = receipts.remove(&id) else {
        return Ok(());
    };
    told.links
        .extend(owner(&receipt.idempotency_key).map(|owner| (Way::Same, owner)));
    told.moment(posted(receipt));
    statements::of_transaction(conn, ledger, id, told).await?;
    discrepancies::of_transaction(conn, ledger, id, told).await
}

fn posted(receipt: Receipt) -> Moment {
    let thing = Thing::Transaction(receipt.transaction_id);
    let moment = Moment::new(&thing, "transaction.posted", receipt.recorded_at)
        .name("idempotency_key", Some(receipt.idempotency_key))
        .name("reference", receipt.reference)
        .name("correlation_id", receipt.correlation_id);
    let entries = receipt.entries;
    // What changed hands, where it was of one currency.
    let credits = entries.iter().map(|entry| entry.amount.max(0));
    let moved = credits.fold(0, i64::saturating_add);
    let sum = entries.first().and_then(|first| {
        let is_one = entries.iter().all(|entry| entry.currency == first.currency);
        is_one.then(|| (moved, first.currency.code().to_owned()))
    });
    Moment {
        sum,
        entries,
        ..moment
    }
}

/// What the program's own key says that a transaction belongs to: `aegis:payment:<id>:succeeded`.
pub(super) fn owner(key: &str) -> Option<Thing> {
    let (kind, rest) = key.strip_prefix("aegis:")?.split_once(':')?;
    let id = rest.split(':').next()?.parse().ok()?;
    match kind {
        "payment" => Some(Thing::Payment(id)),
        "refund" => Some(Thing::Refund(id)),
        "settlement" => Some(Thing::Settlement(id)),
        "payout" => Some(Thing::Payout(id)),
        _ => None,
    }
}

/// The transactions that belong to a thing, by the keys that the program gave them.
pub(super) async fn of(
    conn: &mut PgConnection,
    ledger: &Ledger,
    thing: &Thing,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "SELECT id FROM transactions WHERE ledger_id = $1 AND idempotency_key = $2
         UNION ALL (
             SELECT id FROM transactions
             WHERE ledger_id = $1 AND idempotency_key > $2 || ':' AND idempotency_key < $2 || ';'
             ORDER BY idempotency_key LIMIT $3)",
    )
    .bind(ledger.id)
    .bind(format!("aegis:{thing}"))
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await
}
