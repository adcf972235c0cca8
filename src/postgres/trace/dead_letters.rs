//! Messages that could not be handled.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way};
use crate::event::DeadLetter;
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let number: Option<i64> = wanted.text.parse().ok();
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM (
             SELECT id, ledger FROM dead_letters WHERE id = $1
             UNION SELECT id, ledger FROM dead_letters WHERE letter_id = $2
             UNION (SELECT id, ledger FROM dead_letters WHERE event_id = $2 ORDER BY id LIMIT $5)
             UNION (SELECT id, ledger FROM dead_letters WHERE correlation_id = $3
                    ORDER BY id LIMIT $5)
         ) found
         WHERE ledger IS NULL OR ledger = $4 ORDER BY id",
    )
    .bind(number)
    .bind(wanted.uuid)
    .bind(wanted.text)
    .bind(wanted.ledger.name.as_str())
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::DeadLetter);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: i64,
    told: &mut Told,
) -> sqlx::Result<()> {
    let row = sqlx::query(
        "SELECT letter, original_topic, event_id, error, retry_count, failed_at, correlation_id,
                status, replay_count, decided_at, decided_by, reason, first_id, previous_id
         FROM dead_letters WHERE id = $1 AND (ledger IS NULL OR ledger = $2)",
    )
    .bind(id)
    .bind(ledger.name.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    let (Some(row), thing) = (row, Thing::DeadLetter(id)) else {
        return Ok(());
    };
    let event: Option<Uuid> = row.try_get("event_id")?;
    let (error, retries): (&str, i32) = (row.try_get("error")?, row.try_get("retry_count")?);
    let status: &str = row.try_get("status")?;
    told.moment(
        Moment::new(&thing, "dead_letter.failed", row.try_get("failed_at")?)
            .state(status)
            .name("original_topic", row.try_get("original_topic")?)
            .name("event_id", event.map(|event| event.to_string()))
            .name("correlation_id", row.try_get("correlation_id")?)
            .detail(Some(format!("after {retries} retries: {error}"))),
    );
    // Discards stand in the audit log; replays of many letters are one row there.
    if let (Some(decided_at), "replayed") = (row.try_get("decided_at")?, status) {
        let by: Option<String> = row.try_get("decided_by")?;
        let replayed = Moment::new(&thing, "dead_letter.replayed", decided_at);
        told.moment(replayed.detail(by.map(|by| format!("by {by}"))));
    }
    let lives: [Option<i64>; 2] = [row.try_get("first_id")?, row.try_get("previous_id")?];
    for life in lives.into_iter().flatten() {
        told.links.push((Way::Same, Thing::DeadLetter(life)));
    }
    // The event of a transaction has the transaction's id.
    let event = event.map(|event| (Way::Same, Thing::Transaction(event)));
    told.links.extend(event);
    if let Some(key) = key(row.try_get("letter")?) {
        let made: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM transactions WHERE ledger_id = $1 AND idempotency_key = $2",
        )
        .bind(ledger.id)
        .bind(key)
        .fetch_optional(&mut *conn)
        .await?;
        told.links
            .extend(made.map(|made| (Way::Same, Thing::Transaction(made))));
    }
    Ok(())
}

/// The key under which the message's command takes effect, where it is one.
fn key(letter: &[u8]) -> Option<String> {
    let letter: DeadLetter = serde_json::from_slice(letter).ok()?;
    let command: serde_json::Value = serde_json::from_str(letter.original_message.get()).ok()?;
    Some(command["idempotency_key"].as_str()?.to_owned())
}
