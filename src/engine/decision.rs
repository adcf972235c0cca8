//! Decides a batch against what was read of the database: no I/O.

use std::collections::{HashMap, HashSet};

use time::OffsetDateTime;
use uuid::Uuid;

use super::Request;
use crate::event::{EventError, EventType, TransactionPosted};
use crate::ledger::{
    Address, Book, Command, Entry, Header, Ledger, Metadata, Outcome, PostedEntry, Receipt,
    Rejection, RejectionCode, Wallet, microseconds,
};
use crate::postgres::posting::{Batch, Found, OutboxRow, SeenKey, TransactionRow, WalletRow};

/// What a batch decided, and what it has to write.
pub(super) struct Decided<'a> {
    /// Rows to write; none where every command was replayed or rejected.
    pub batch: Batch<'a>,
    /// What each transaction of the batch did.
    pub receipts: Vec<Receipt>,
    /// One a command, request after request.
    pub verdicts: Vec<Verdict>,
    /// The time of recording, UTC, whole milliseconds.
    pub recorded_at: OffsetDateTime,
}

impl Decided<'_> {
    /// Whether every command is posted by this batch, or repeats one that is.
    pub(super) fn all_posted(&self) -> bool {
        let posted =
            |verdict: &Verdict| matches!(verdict, Verdict::Posted(_) | Verdict::RepeatOf(_));
        self.verdicts.iter().all(posted)
    }
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
    ledger_id: i32,
    /// Counts the ids of the batch.
    sequence: u32,
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
        ledger_id: ledger.id,
        // Where it begins tells two engines apart that post the same key in the same millisecond.
        sequence: rand_bits() & 0x7ff,
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
    let receipts = receipts(&batch, recorded_at);
    let mut rest = &batch.entries[..];
    let events = batch.transactions.iter().zip(&receipts);
    batch.outbox = events
        .map(|(transaction, receipt)| {
            let (entries, behind) = rest
                .split_at_checked(receipt.entries.len())
                .unwrap_or((rest, &[]));
            rest = behind;
            event(
                ledger,
                transaction,
                receipt,
                ordering_wallet(entries),
                topic,
            )
        })
        .collect::<Result<_, _>>()?;
    Ok(Decided {
        batch,
        receipts,
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
                self.none_but_earlier(request, n, &rejection);
                return;
            }
            self.verdicts.push(verdict);
        }
    }

    /// Answers an atomic request of which one command was rejected. What took effect earlier under
    /// one of its keys did so, whatever comes of the rest: a caller who was told otherwise would
    /// send it again under a new key.
    fn none_but_earlier(&mut self, request: &'a Request, culprit: usize, rejection: &Rejection) {
        for (n, command) in request.commands.iter().enumerate() {
            let verdict = match self.earlier(command) {
                _ if n == culprit => Verdict::Rejected(rejection.clone()),
                Some(earlier @ (Verdict::Stored(_) | Verdict::RepeatOf(_))) => earlier,
                _ => Verdict::Rejected(Rejection::new(
                    RejectionCode::BatchRejected,
                    format!(
                        "command {culprit} of this atomic batch, counted from 0, was rejected \
                         with {}",
                        rejection.code
                    ),
                )),
            };
            self.verdicts.push(verdict);
        }
    }

    /// What is known of a command's key already.
    fn earlier(&self, command: &Command) -> Option<Verdict> {
        let (same, verdict) = match self.seen.get(command.key.as_str())? {
            Seen::Before {
                request_hash,
                transaction_id,
            } => (
                *request_hash == command.request_hash,
                Verdict::Stored(*transaction_id),
            ),
            Seen::Now {
                request_hash,
                transaction,
            } => (
                *request_hash == command.request_hash,
                Verdict::RepeatOf(*transaction),
            ),
        };
        Some(if same {
            verdict
        } else {
            Verdict::Rejected(reused(command))
        })
    }

    fn command(&mut self, command: &'a Command) -> Verdict {
        if let Some(earlier) = self.earlier(command) {
            return earlier;
        }
        let transaction = match &command.transaction {
            Ok(transaction) => transaction,
            Err(rejection) => return Verdict::Rejected(rejection.clone()),
        };
        let effective_at = command.details.effective_at.unwrap_or(self.recorded_at);
        // LEGS_MAX is far below the range.
        let entry_count = i16::try_from(transaction.legs().len()).unwrap_or(i16::MAX);
        let id = self
            .header(command, entry_count, effective_at)
            .id(self.sequence);
        let entries = match self.book.post(transaction, id) {
            Ok(entries) => entries,
            Err(rejection) => return Verdict::Rejected(rejection),
        };
        self.sequence = self.sequence.saturating_add(1);
        let place = self.batch.transactions.len();
        self.batch.transactions.push(TransactionRow {
            id,
            command,
            entry_count,
            effective_at,
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

    fn header<'h>(
        &self,
        command: &'h Command,
        entry_count: i16,
        effective_at: OffsetDateTime,
    ) -> Header<'h> {
        let details = &command.details;
        Header {
            ledger_id: self.ledger_id,
            idempotency_key: command.key.as_str(),
            request_hash: &command.request_hash,
            kind: command.kind.as_str(),
            entry_count,
            reference: details.reference.as_deref(),
            correlation_id: details.correlation_id.as_deref(),
            effective_at_us: microseconds(effective_at),
            recorded_at_us: microseconds(self.recorded_at),
            reverses: None,
            metadata: details.metadata.as_ref().map(Metadata::as_str),
        }
    }
}

/// Some bits that nobody foresees.
fn rand_bits() -> u32 {
    let [a, b, c, d, ..] = Uuid::new_v4().into_bytes();
    u32::from_be_bytes([a, b, c, d])
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

/// What every transaction of a batch did, in their order.
fn receipts(batch: &Batch<'_>, recorded_at: OffsetDateTime) -> Vec<Receipt> {
    // The entries of one transaction stand side by side.
    let mut rest = &batch.entries[..];
    let receipts = batch.transactions.iter().map(|transaction| {
        let count = usize::try_from(transaction.entry_count).unwrap_or_default();
        let (entries, behind) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        rest = behind;
        receipt(transaction, entries, recorded_at)
    });
    receipts.collect()
}

fn event(
    ledger: &Ledger,
    transaction: &TransactionRow<'_>,
    receipt: &Receipt,
    key: Uuid,
    topic: &str,
) -> Result<OutboxRow, EventError> {
    let details = &transaction.command.details;
    Ok(OutboxRow {
        event_id: transaction.id,
        event_type: EventType::TransactionPosted.as_str(),
        topic: topic.to_owned(),
        key: key.to_string(),
        subject: transaction.id.to_string(),
        correlation_id: details.correlation_id.clone(),
        traceparent: details.traceparent.clone(),
        payload: serde_json::to_string(&TransactionPosted::of(ledger, receipt)?)?,
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
    let receipts = decided.receipts;
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
