//! What a message asks for, and doing it.

use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;

use super::{ConsumerError, NAME};
use crate::engine::{PostError, Request, post_within};
use crate::event::{Envelope, EventError, EventType, TransferRequested, brief};
use crate::ledger::{
    Command, Details, InvalidField, LedgerName, Outcome, RejectionCode, WalletRef,
};
use crate::postgres::retries::Message;
use crate::postgres::{consumed, ledgers};
use crate::telemetry::span;

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It took effect, now or before.
    Done,
    /// It did not, and may another time.
    Failed(String),
    /// It can't be read as anything that this consumer does.
    Unreadable(String),
}

/// A command that was read.
enum Read {
    Transfer {
        ledger: LedgerName,
        command: Box<Command>,
    },
    /// An event that is not for this consumer.
    NotForUs,
}

/// Attempts a message within the transaction that `conn` is in. What failed has left no trace.
///
/// # Errors
/// [`ConsumerError`] where nothing can be said about the message; the transaction is of no use then.
pub(super) async fn attempt(
    conn: &mut PgConnection,
    message: &Message,
    topic_transactions: &str,
    now: OffsetDateTime,
) -> Result<Verdict, ConsumerError> {
    let (ledger, command) = match read(message) {
        Ok(Read::Transfer { ledger, command }) => (ledger, command),
        Ok(Read::NotForUs) => return Ok(Verdict::Done),
        Err(reason) => return Ok(Verdict::Unreadable(brief(reason))),
    };
    let mut step = conn.begin().await?;
    if !consumed::note(&mut step, NAME, message.event_id, now).await? {
        return Ok(Verdict::Done);
    }
    let failure = match transfer(&mut step, &ledger, *command, topic_transactions).await {
        Ok(None) => {
            step.commit().await?;
            return Ok(Verdict::Done);
        }
        Ok(Some(reason)) => reason,
        Err(ConsumerError::Posting(PostError::Event(reason))) => format!("event: {reason}"),
        Err(error) if error.blames_message() => format!("database: {error}"),
        Err(error) => return Err(error),
    };
    step.rollback().await?;
    Ok(Verdict::Failed(brief(failure)))
}

/// Posts a transfer; why not, where the ledger says no.
async fn transfer(
    conn: &mut PgConnection,
    ledger: &LedgerName,
    command: Command,
    topic: &str,
) -> Result<Option<String>, ConsumerError> {
    let Some(ledger) = ledgers::find(conn, ledger).await? else {
        return Ok(Some(format!(
            "ledger_not_found: there is no ledger {ledger}"
        )));
    };
    let outcomes = post_within(conn, &ledger, &Request::one(command), topic).await;
    let outcomes = outcomes.map_err(ConsumerError::Posting)?;
    Ok(outcomes.into_iter().find_map(|outcome| match outcome {
        Outcome::Rejected(rejection) => Some(match rejection.code {
            // Its detail quotes what stands there, and that may be anything.
            code @ RejectionCode::CurrencyUnknown => {
                format!("{code}: currency is not a code of ISO 4217, such as NGN")
            }
            _ => rejection.to_string(),
        }),
        Outcome::Posted(_) | Outcome::Replayed(_) => None,
    }))
}

fn read(message: &Message) -> Result<Read, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("unreadable: {error}");
    let envelope = Envelope::from_headers(&message.headers).map_err(|error| match error {
        EventError::UnknownType(_) => format!("unknown_event_type: {error}"),
        _ => unreadable(&error),
    })?;
    match envelope.event_type {
        EventType::TransferRequested => {}
        // What happened is told to others; this consumer does what it is asked to.
        _ => return Ok(Read::NotForUs),
    }
    let ledger = envelope.ledger().and_then(|name| name.parse().ok());
    let ledger = ledger.ok_or_else(|| unreadable(&"header ce_source is not /ledgers/<ledger>"))?;
    let asked = TransferRequested::from_json(&message.payload).map_err(|e| unreadable(&e))?;
    let command = command(asked, &envelope).map_err(|error| unreadable(&error))?;
    Ok(Read::Transfer {
        ledger,
        command: Box::new(command),
    })
}

/// Why not, without a value: the log tells it, and a sender may have put anything anywhere.
fn command(asked: TransferRequested, envelope: &Envelope) -> Result<Command, String> {
    let invalid = |error: InvalidField| error.to_string();
    let wallet = |field: &str, text: &str| -> Result<WalletRef, String> {
        let read = text.parse();
        read.map_err(|_| format!("{field} is neither a wallet's address nor its id"))
    };
    let mut details = Details::default();
    if let Some(reference) = &asked.reference {
        details = details.with_reference(reference).map_err(invalid)?;
    }
    if let Some(time) = &asked.effective_at {
        details = details.with_effective_at(time).map_err(invalid)?;
    }
    if let Some(metadata) = &asked.metadata {
        let problem = "metadata: is not a JSON object that can be kept as it is: write one of plain \
                       values, each name once, numbers that a double holds, not too deep or large";
        let kept = details.with_metadata(metadata.get());
        details = kept.map_err(|_| problem.to_owned())?;
    }
    if let Some(id) = &envelope.correlation_id {
        details = details.with_correlation_id(id).map_err(invalid)?;
    }
    // What follows comes of what is done here, where that is recorded.
    details.traceparent = span::current_traceparent().or_else(|| envelope.traceparent.clone());
    Ok(Command::transfer(
        asked
            .idempotency_key
            .parse()
            .map_err(|problem: String| format!("idempotency_key {problem}"))?,
        wallet("source", &asked.source)?,
        wallet("destination", &asked.destination)?,
        &asked.currency,
        asked.amount,
        details,
    ))
}
