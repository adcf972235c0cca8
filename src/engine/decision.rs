//! Decides a batch against what was read of the database: no I/O.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use time::OffsetDateTime;
use uuid::{ContextV7, Timestamp, Uuid};

use super::Request;
use crate::event::{EventError, EventType, PostedEntry as EventEntry, TransactionPosted};
use crate::ledger::{
    Address, Book, Command, Entry, Ledger, Outcome, PostedEntry, Receipt, Rejection, RejectionCode,
    Wallet,
};
use crate::postgres::posting::{Batch, Found, OutboxRow, SeenKey, TransactionRow, WalletRow};

/// What a batch decided, and what it has to write.
pub(super) struct Decided<'a> {
    /// Rows to write; none where every command was replayed or rejected.
    pub batch: Batch<'a>,
    /// One a command, request after request.
    pub verdicts: Vec<Verdict>,
    /// The time of recording, UTC, whole milliseconds.
    pub recorded_at: OffsetDateTime,
}

/// What was decided on one command.
pub(super) enum Verdict {
    /// Posted by this batch: the place in [`Batch::transactions`].
    Posted(usize),
    /// The same key with the same request came earlier in this batch.
    RepeatOf(usize),
    /// The same key with the same request took effect before, as this transaction.
    Stored(Uuid),
    /// A rule said no.
    Rejected(Rejection),
}

enum Seen {
    Before {
        request_hash: Vec<u8>,
        transaction_id: Uuid,
    },
    Now {
        request_hash: [u8; 32],
        transaction: usize,
    },
}

struct Decision<'a> {
    book: Book,
    seen: HashMap<&'a str, Seen>,
    batch: Batch<'a>,
    verdicts: Vec<Verdict>,
    recorded_at: OffsetDateTime,
    ids: ContextV7,
}

/// Decides the requests in order.
pub(super) fn decide<'a>(
    ledger: &Ledger,
    requests: &'a [Request],
    found: &'a Found,
    elsewhere: HashSet<Address>,
    now: OffsetDateTime,
    topic: &str,
) -> Result<Decided<'a>, EventError> {
    let wallets: Vec<Wallet> = found
        .wallets
        .iter()
        .map(|read| read.wallet.clone())
        .collect();
    let book = Book::new(wallets, elsewhere);
    let recorded_at = whole_milliseconds(book.latest_update().map_or(now, |last| last.max(now)));
    let mut decision = Decision {
        book,
        seen: found.keys.iter().map(before).collect(),
        batch: Batch::default(),
        verdicts: Vec::new(),
        recorded_at,
        ids: ContextV7::new(),
    };
    for request in requests {
        decision.request(request);
    }
    let Decision {
        book,
        mut batch,
        verdicts,
        ..
    } = decision;
    let xmins: HashMap<Uuid, i64> = found
        .wallets
        .iter()
        .map(|read| (read.wallet.id, read.xmin))
        .collect();
    batch.wallets = book
        .changed()
        .into_iter()
        .map(|wallet| WalletRow {
            id: wallet.id,
            xmin: xmins.get(&wallet.id).copied().unwrap_or_default(),
            balance: wallet.balance,
            version: wallet.version,
            head_hash: wallet.head_hash,
        })
        .collect();
    batch.outbox = events(ledger, &batch, recorded_at, topic)?;
    Ok(Decided {
        batch,
        verdicts,
        recorded_at,
    })
}

fn before(seen: &SeenKey) -> (&str, Seen) {
    let request_hash = seen.request_hash.clone();
    (
        &seen.key,
        Seen::Before {
            request_hash,
            transaction_id: seen.transaction_id,
        },
    )
}

/// The precision that a transaction's id carries.
fn whole_milliseconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_millisecond(time.millisecond()).unwrap_or(time)
}

impl<'a> Decision<'a> {
    fn request(&mut self, request: &'a Request) {
        let mark = self.book.mark();
        let (verdicts, transactions) = (self.verdicts.len(), self.batch.transactions.len());
        let entries = self.batch.entries.len();
        for (n, command) in request.commands.iter().enumerate() {
            let verdict = self.command(command);
            if request.atomic
                && let Verdict::Rejected(rejection) = verdict
            {
                self.book.rollback(mark);
                for undone in self.batch.transactions.drain(transactions..) {
                    self.seen.remove(undone.command.key.as_str());
                }
                self.batch.entries.truncate(entries);
                self.verdicts.truncate(verdicts);
                self.verdicts
                    .extend(all_or_none(request.commands.len(), n, &rejection));
                return;
            }
            self.verdicts.push(verdict);
        }
    }

    fn command(&mut self, command: &'a Command) -> Verdict {
        match self.seen.get(command.key.as_str()) {
            Some(Seen::Before {
                request_hash,
                transaction_id,
            }) => {
                return if *request_hash == command.request_hash {
                    Verdict::Stored(*transaction_id)
                } else {
                    Verdict::Rejected(reused(command))
                };
            }
            Some(Seen::Now {
                request_hash,
                transaction,
            }) => {
                return if *request_hash == command.request_hash {
                    Verdict::RepeatOf(*transaction)
                } else {
                    Verdict::Rejected(reused(command))
                };
            }
            None => {}
        }
        let transaction = match &command.transaction {
            Ok(transaction) => transaction,
            Err(rejection) => return Verdict::Rejected(rejection.clone()),
        };
        let id = self.next_id();
        let entries = match self.book.post(transaction, id) {
            Ok(entries) => entries,
            Err(rejection) => return Verdict::Rejected(rejection),
        };
        let place = self.batch.transactions.len();
        self.batch.transactions.push(TransactionRow {
            id,
            command,
            // LEGS_MAX is far below the range.
            entry_count: i16::try_from(entries.len()).unwrap_or(i16::MAX),
            effective_at: command.details.effective_at.unwrap_or(self.recorded_at),
        });
        self.batch.entries.extend(entries);
        let request_hash = command.request_hash;
        self.seen.insert(
            command.key.as_str(),
            Seen::Now {
                request_hash,
                transaction: place,
            },
        );
        Verdict::Posted(place)
    }

    /// A UUIDv7 of the batch's time, behind all before it in the batch.
    fn next_id(&self) -> Uuid {
        let seconds = u64::try_from(self.recorded_at.unix_timestamp()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(
            &self.ids,
            seconds,
            self.recorded_at.nanosecond(),
        ))
    }
}

fn all_or_none(
    commands: usize,
    culprit: usize,
    rejection: &Rejection,
) -> impl Iterator<Item = Verdict> {
    (0..commands).map(move |n| {
        Verdict::Rejected(if n == culprit {
            rejection.clone()
        } else {
            Rejection::new(
                RejectionCode::BatchRejected,
                format!(
                    "command {culprit} of this atomic batch, counted from 0, was rejected with {}",
                    rejection.code
                ),
            )
        })
    })
}

fn reused(command: &Command) -> Rejection {
    Rejection::new(
        RejectionCode::IdempotencyKeyReused,
        format!(
            "key {:?} stands for another request already; use a new key for a new request",
            command.key.as_str()
        ),
    )
}

/// The entries of each transaction, which stand side by side in the order of the transactions.
fn entries_by_transaction<'b>(batch: &'b Batch<'_>) -> impl Iterator<Item = &'b [Entry]> {
    let mut rest = &batch.entries[..];
    batch.transactions.iter().map(move |transaction| {
        let count = usize::try_from(transaction.entry_count).unwrap_or_default();
        let (entries, behind) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        rest = behind;
        entries
    })
}

fn events(
    ledger: &Ledger,
    batch: &Batch<'_>,
    recorded_at: OffsetDateTime,
    topic: &str,
) -> Result<Vec<OutboxRow>, EventError> {
    batch
        .transactions
        .iter()
        .zip(entries_by_transaction(batch))
        .map(|(transaction, entries)| event(ledger, transaction, entries, recorded_at, topic))
        .collect()
}

fn event(
    ledger: &Ledger,
    transaction: &TransactionRow<'_>,
    entries: &[Entry],
    recorded_at: OffsetDateTime,
    topic: &str,
) -> Result<OutboxRow, EventError> {
    let command = transaction.command;
    let details = &command.details;
    let metadata = match &details.metadata {
        Some(metadata) => Some(serde_json::from_str(metadata.as_str())?),
        None => None,
    };
    let posted = TransactionPosted {
        transaction_id: transaction.id,
        ledger: ledger.name.as_str().into(),
        kind: command.kind.as_str().into(),
        idempotency_key: command.key.as_str().into(),
        reference: details.reference.as_deref().map(Cow::from),
        correlation_id: details.correlation_id.as_deref().map(Cow::from),
        effective_at: transaction.effective_at,
        recorded_at,
        metadata: metadata.map(Cow::Owned),
        entries: entries
            .iter()
            .map(|entry| EventEntry {
                wallet_id: entry.link.wallet_id,
                address: entry.address.as_str().into(),
                currency: entry.link.currency.code().into(),
                amount: entry.link.amount,
                balance_after: entry.link.balance_after,
                version: entry.link.version,
            })
            .collect(),
    };
    Ok(OutboxRow {
        event_id: transaction.id,
        event_type: EventType::TransactionPosted.as_str(),
        topic: topic.to_owned(),
        key: ordering_wallet(entries).to_string(),
        subject: transaction.id.to_string(),
        correlation_id: details.correlation_id.clone(),
        traceparent: details.traceparent.clone(),
        payload: serde_json::to_string(&posted)?,
    })
}

/// The wallet whose order of events is kept: the first one with a minimum balance, since the
/// outside world takes part in everything and its order matters to nobody; else the first.
fn ordering_wallet(entries: &[Entry]) -> Uuid {
    let bounded = entries.iter().find(|entry| entry.bounded);
    bounded
        .or(entries.first())
        .map_or(Uuid::nil(), |entry| entry.link.wallet_id)
}

/// The answers to the commands, request after request. `stored` holds the transactions of earlier
/// batches, `ours` those among them that an earlier attempt at this very batch made.
pub(super) fn outcomes(
    decided: Decided<'_>,
    stored: &HashMap<Uuid, Receipt>,
    ours: &mut HashSet<Uuid>,
) -> Option<Vec<Outcome>> {
    let receipts: Vec<Receipt> = decided
        .batch
        .transactions
        .iter()
        .zip(entries_by_transaction(&decided.batch))
        .map(|(transaction, entries)| receipt(transaction, entries, decided.recorded_at))
        .collect();
    decided
        .verdicts
        .into_iter()
        .map(|verdict| {
            Some(match verdict {
                Verdict::Posted(n) => Outcome::Posted(receipts.get(n)?.clone()),
                Verdict::RepeatOf(n) => Outcome::Replayed(receipts.get(n)?.clone()),
                // The first to name it posted it; what comes behind repeats.
                Verdict::Stored(id) if ours.remove(&id) => {
                    Outcome::Posted(stored.get(&id)?.clone())
                }
                Verdict::Stored(id) => Outcome::Replayed(stored.get(&id)?.clone()),
                Verdict::Rejected(rejection) => Outcome::Rejected(rejection),
            })
        })
        .collect()
}

fn receipt(
    transaction: &TransactionRow<'_>,
    entries: &[Entry],
    recorded_at: OffsetDateTime,
) -> Receipt {
    let command = transaction.command;
    Receipt {
        transaction_id: transaction.id,
        idempotency_key: command.key.as_str().to_owned(),
        kind: command.kind,
        reference: command.details.reference.clone(),
        correlation_id: command.details.correlation_id.clone(),
        effective_at: transaction.effective_at,
        recorded_at,
        metadata: command
            .details
            .metadata
            .as_ref()
            .map(|m| m.as_str().to_owned()),
        entries: entries
            .iter()
            .map(|entry| PostedEntry {
                wallet_id: entry.link.wallet_id,
                address: entry.address.clone(),
                currency: entry.link.currency,
                amount: entry.link.amount,
                balance_after: entry.link.balance_after,
                version: entry.link.version,
            })
            .collect(),
    }
}
