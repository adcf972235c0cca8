//! Compares the events that wait with the ledger: each is of a type that is known, and those of
//! posted transactions tell what the ledger tells, no less and no more. Others are JSON.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::findings::{Check, Detail, Findings, Place};
use crate::event::{EventType, TransactionPosted};
use crate::ledger::{Ledger, Receipt};
use crate::postgres::transactions;
use crate::postgres::verify::{self as tables, OutboxEvent};

/// Events read at a time. With a thousand entries each, some 100 MiB; mostly far less.
const PAGE_EVENTS: i64 = 256;

/// Compares all events that wait: how many there are. Keeps 16 bytes for each.
pub(super) async fn check(
    conn: &mut PgConnection,
    ledger: &Ledger,
    findings: &mut Findings,
) -> sqlx::Result<u64> {
    let mut checked = 0_u64;
    let mut after = i64::MIN;
    let mut seen = HashSet::new();
    loop {
        let page = tables::outbox_page(conn, ledger.id, after, PAGE_EVENTS).await?;
        let Some(last) = page.last() else {
            return Ok(checked);
        };
        after = last.id;
        let ids: BTreeSet<_> = page.iter().map(|event| event.event_id).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let receipts = receipts(conn, ledger, &ids).await?;
        for event in &page {
            checked = checked.saturating_add(1);
            let compared = match seen.insert(event.event_id) {
                true => compare(ledger, event, &receipts),
                false => Err(Detail::new("another event has the same id")),
            };
            if let Err(detail) = compared {
                let place = Place {
                    outbox_id: Some(event.id),
                    ..Place::of_transaction(event.event_id)
                };
                findings.add(Check::Outbox, place, || detail);
            }
        }
    }
}

/// Transactions by id, or why one can't be read.
type Receipts = HashMap<Uuid, Result<Receipt, String>>;

async fn receipts(
    conn: &mut PgConnection,
    ledger: &Ledger,
    ids: &[Uuid],
) -> sqlx::Result<Receipts> {
    match transactions::receipts(conn, ledger.id, ids).await {
        Ok(all) => return Ok(all.into_iter().map(|(id, one)| (id, Ok(one))).collect()),
        Err(error) if unreadable(&error) => {}
        Err(error) => return Err(error),
    }
    // One of them holds something that nobody wrote. The others are read all the same.
    let mut receipts = Receipts::new();
    for id in ids {
        match transactions::receipts(conn, ledger.id, &[*id]).await {
            Ok(one) => receipts.extend(one.into_iter().map(|(id, one)| (id, Ok(one)))),
            Err(error) if unreadable(&error) => {
                receipts.insert(*id, Err(error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(receipts)
}

fn unreadable(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }
    )
}

fn compare(ledger: &Ledger, event: &OutboxEvent, receipts: &Receipts) -> Result<(), Detail> {
    match event.event_type.parse() {
        Ok(EventType::TransactionPosted) => {}
        // What they tell stands in rows that change.
        Ok(_) => return of_this_ledger(ledger, event),
        Err(_) => {
            let detail = Detail::new("the event is of a type that nobody knows");
            return Err(detail.found(&event.event_type));
        }
    }
    let receipt = match receipts.get(&event.event_id) {
        Some(Ok(receipt)) => receipt,
        Some(Err(error)) => {
            return Err(Detail::new("the event's transaction can't be read").found(error));
        }
        None => {
            return Err(Detail::new(
                "the event is about a transaction that doesn't exist",
            ));
        }
    };
    let no_json = |error: &dyn std::fmt::Display| {
        Detail::new("the event's payload can't be read").found(error)
    };
    let told: Value = serde_json::from_str(&event.payload).map_err(|error| no_json(&error))?;
    let stored = TransactionPosted::of(ledger, receipt)
        .and_then(|posted| Ok(serde_json::to_value(posted)?))
        .map_err(|error| no_json(&error))?;
    let (mut told, mut stored) = (told, stored);
    in_order_of_wallet(&mut told);
    in_order_of_wallet(&mut stored);
    if told != stored {
        return Err(difference(&stored, &told));
    }
    if event.subject != event.event_id.to_string() {
        return Err(Detail::new("the event's subject is not its transaction")
            .expected(event.event_id)
            .found(&event.subject));
    }
    let wallets = &receipt.entries;
    if !wallets
        .iter()
        .any(|entry| entry.wallet_id.to_string() == event.key)
    {
        return Err(
            Detail::new("the event's key is no wallet of its transaction").found(&event.key),
        );
    }
    Ok(())
}

fn of_this_ledger(ledger: &Ledger, event: &OutboxEvent) -> Result<(), Detail> {
    let told: Value = serde_json::from_str(&event.payload)
        .map_err(|error| Detail::new("the event's payload can't be read").found(error))?;
    match &told["ledger"] {
        Value::String(name) if *name == ledger.name.to_string() => Ok(()),
        other => Err(Detail::new("the event names another ledger")
            .expected(&ledger.name)
            .found(other)),
    }
}

/// Entries are told in the order of the legs and read in that of the wallets.
fn in_order_of_wallet(event: &mut Value) {
    if let Some(entries) = event.get_mut("entries").and_then(Value::as_array_mut) {
        entries.sort_by_cached_key(|entry| entry["wallet_id"].to_string());
    }
}

/// The first member, or the first entry, in which an event differs from the ledger.
fn difference(stored: &Value, told: &Value) -> Detail {
    let names = [stored, told].into_iter().filter_map(Value::as_object);
    let names = names.flat_map(|members| members.keys());
    let name = names
        .filter(|name| stored.get(*name) != told.get(*name))
        .min();
    let Some(name) = name else {
        return Detail::new("the event's payload is no object").found(told);
    };
    let (stored, told) = (&stored[name], &told[name]);
    let say = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        value => value.to_string(),
    };
    if name != "entries" {
        return Detail::new(format!(
            "the event tells of another {name} than the ledger has"
        ))
        .expected(say(stored))
        .found(say(told));
    }
    let at = (0..).find(|n| stored[n] != told[n]).unwrap_or_default();
    Detail::new("the event tells of other entries than the ledger has")
        .expected(entry(&stored[at]))
        .found(entry(&told[at]))
}

/// An entry in words.
fn entry(entry: &Value) -> String {
    let (Some(amount), Some(currency)) = (&entry["amount"].as_i64(), entry["currency"].as_str())
    else {
        return "no more entries".to_owned();
    };
    let address = entry["address"].as_str().unwrap_or("no address");
    format!(
        "{amount} {currency} to {} on {address}, wallet {}, as version {}",
        entry["balance_after"], entry["wallet_id"], entry["version"]
    )
}
