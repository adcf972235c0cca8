//! Compares the events that wait with the ledger: each tells of a transaction that exists, what
//! the ledger tells of it.

use sqlx::PgConnection;

use super::findings::{Check, Detail, Findings, Place};
use crate::event::{EventType, TransactionPosted};
use crate::ledger::Ledger;
use crate::postgres::verify::{self as tables, Movement, OutboxEvent};

/// Events read at a time. With a thousand entries each, some 100 MiB; mostly far less.
const PAGE_EVENTS: i64 = 256;

/// Compares all events of posted transactions: how many there are.
pub(super) async fn check(
    conn: &mut PgConnection,
    ledger: &Ledger,
    findings: &mut Findings,
) -> sqlx::Result<u64> {
    let event_type = EventType::TransactionPosted.as_str();
    let mut checked = 0_u64;
    let mut after = i64::MIN;
    loop {
        let page = tables::outbox_page(conn, ledger.id, event_type, after, PAGE_EVENTS).await?;
        let Some(last) = page.last() else {
            return Ok(checked);
        };
        after = last.id;
        let ids: Vec<_> = page.iter().map(|event| event.event_id).collect();
        let mut movements = tables::movements(conn, ledger.id, &ids).await?;
        for event in &page {
            checked = checked.saturating_add(1);
            let stored = movements.remove(&event.event_id).unwrap_or_default();
            if let Err(detail) = compare(ledger, event, stored) {
                let place = Place {
                    outbox_id: Some(event.id),
                    ..Place::of_transaction(event.event_id)
                };
                findings.add(Check::Outbox, place, || detail);
            }
        }
    }
}

fn compare(ledger: &Ledger, event: &OutboxEvent, mut stored: Vec<Movement>) -> Result<(), Detail> {
    if !event.transaction_exists {
        return Err(Detail::new(
            "the event is about a transaction that doesn't exist",
        ));
    }
    let posted = TransactionPosted::from_json(event.payload.as_bytes())
        .map_err(|error| Detail::new("the event's payload can't be read").found(error))?;
    if posted.transaction_id != event.event_id {
        return Err(Detail::new("the payload names another transaction")
            .expected(event.event_id)
            .found(posted.transaction_id));
    }
    if posted.ledger != ledger.name.as_str() {
        return Err(Detail::new("the payload names another ledger")
            .expected(&ledger.name)
            .found(posted.ledger));
    }
    let mut told: Vec<_> = posted
        .entries
        .into_iter()
        .map(|entry| Movement {
            wallet_id: entry.wallet_id,
            version: entry.version,
            currency: entry.currency.into_owned(),
            amount: entry.amount,
            balance_after: entry.balance_after,
        })
        .collect();
    stored.sort_unstable();
    told.sort_unstable();
    if stored == told {
        return Ok(());
    }
    // The first place at which one has an entry that the other hasn't.
    let same = stored.iter().zip(&told).take_while(|(a, b)| a == b).count();
    let say = |movement: Option<&Movement>| match movement {
        None => "no more entries".to_owned(),
        Some(movement) => format!(
            "{} {} to {} on wallet {} as version {}",
            movement.amount,
            movement.currency,
            movement.balance_after,
            movement.wallet_id,
            movement.version
        ),
    };
    Err(
        Detail::new("the event tells of other entries than the ledger has")
            .expected(say(stored.get(same)))
            .found(say(told.get(same))),
    )
}
