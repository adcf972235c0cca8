//! Events on their way: those that the bus has not got yet, and those that a consumer tries again. An
//! event that was published and handled is not kept.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Moment, ROWS_MAX, Thing, Told, Wanted, Way};
use crate::ledger::Ledger;

pub(super) async fn named(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    told: &mut Told,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT event_id FROM transaction_outbox WHERE ledger_id = $1 AND event_id = $2
         UNION SELECT event_id FROM consumer_retries WHERE event_id = $2",
    )
    .bind(wanted.ledger.id)
    .bind(wanted.uuid)
    .fetch_all(conn)
    .await?;
    told.link(Way::Same, ids, Thing::Event);
    Ok(())
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    told: &mut Told,
) -> sqlx::Result<()> {
    let waiting = sqlx::query(
        "SELECT event_id, event_type, topic, subject, created_at, attempts, last_error
         FROM transaction_outbox WHERE ledger_id = $1 AND event_id = $2",
    )
    .bind(ledger.id)
    .bind(id)
    .fetch_all(&mut *conn)
    .await?;
    for row in &waiting {
        told.moment(waits(row)?);
        let (event_type, subject): (&str, &str) =
            (row.try_get("event_type")?, row.try_get("subject")?);
        told.links
            .extend(subject_of(event_type, subject).map(|thing| (Way::Same, thing)));
    }
    let retried = sqlx::query(
        "SELECT consumer, topic, attempts, next_attempt_at, last_error FROM consumer_retries
         WHERE event_id = $1 AND attempts > 0",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    for row in &retried {
        let (consumer, attempts): (&str, i32) =
            (row.try_get("consumer")?, row.try_get("attempts")?);
        let error: Option<&str> = row.try_get("last_error")?;
        let error = error.map_or(String::new(), |error| format!(": {error}"));
        let next = Moment::new(
            &Thing::Event(id),
            "event.tried_next",
            row.try_get("next_attempt_at")?,
        );
        told.moment(
            next.name("topic", row.try_get("topic")?)
                .detail(Some(format!("{consumer} failed {attempts} times{error}"))),
        );
    }
    Ok(())
}

/// The thing that an event is about.
fn subject_of(event_type: &str, subject: &str) -> Option<Thing> {
    let id = subject.parse().ok()?;
    match event_type.split('.').nth(1)? {
        "payment" => Some(Thing::Payment(id)),
        "refund" => Some(Thing::Refund(id)),
        "settlement" => Some(Thing::Settlement(id)),
        "payout" => Some(Thing::Payout(id)),
        "transaction" => Some(Thing::Transaction(id)),
        _ => None,
    }
}

fn waits(row: &PgRow) -> sqlx::Result<Moment> {
    let (event_type, attempts): (&str, i32) =
        (row.try_get("event_type")?, row.try_get("attempts")?);
    let error: Option<&str> = row.try_get("last_error")?;
    let error = error.map_or(String::new(), |error| {
        format!(", refused {attempts} times: {error}")
    });
    let thing = Thing::Event(row.try_get("event_id")?);
    Ok(
        Moment::new(&thing, "event.waits", row.try_get("created_at")?)
            .name("topic", row.try_get("topic")?)
            .detail(Some(format!("{event_type}{error}"))),
    )
}

/// Events about these things that the bus has not got yet.
pub(super) async fn about(
    conn: &mut PgConnection,
    ledger: &Ledger,
    things: &[Thing],
) -> sqlx::Result<(Vec<Moment>, bool)> {
    let subjects: Vec<String> = things.iter().map(Thing::id).collect();
    let rows = sqlx::query(
        "SELECT event_id, event_type, topic, subject, created_at, attempts, last_error
         FROM transaction_outbox WHERE ledger_id = $1 AND subject = ANY($2) ORDER BY id LIMIT $3",
    )
    .bind(ledger.id)
    .bind(subjects)
    .bind(ROWS_MAX.saturating_add(1))
    .fetch_all(conn)
    .await?;
    let max = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    let moments = rows.iter().take(max).map(waits);
    Ok((moments.collect::<sqlx::Result<_>>()?, rows.len() > max))
}
