//! Webhooks: stored before they are answered, handled in batches after that.
//!
//! A batch is one database transaction: it locks webhooks that are due, applies them and writes down
//! what came of each. Where something in it is not possible, its webhooks are handled one by one, so
//! that one which can't be handled holds up no other; it is tried again for as long as it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::outcome::{self, Source, Told};
use super::{Options, PaymentError, elsewhere, news};
use crate::ledger::Ledger;
use crate::postgres::discrepancies::{Class, Finding, Sum};
use crate::postgres::psp_references::{self, SubjectKind};
use crate::postgres::webhooks::{self, Fate, NewWebhook, Waiting};
use crate::postgres::{atomically, roll_back};
use crate::psp::{self, Psp, Subject, WebhookError, WebhookEvent};

/// How long one waits that failed again and again.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// What came of a webhook's arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is stored: answer it with success.
    Stored,
    /// It had come before: the same.
    Before,
    /// Nobody shows that the PSP sent it. Nothing is kept of it.
    Unauthentic(WebhookError),
}

/// Takes a webhook in. Once this returns, it is in the database.
///
/// # Errors
/// Where the database fails: the PSP sends it again.
pub async fn receive<P: Psp>(
    conn: &mut PgConnection,
    psp: &P,
    body: &[u8],
    signature: Option<&str>,
    now: OffsetDateTime,
) -> sqlx::Result<Received> {
    let read = psp.webhook(body, signature);
    let (event_id, kind, reference) = match &read {
        Ok(event) => (
            &event.id,
            Some(event.kind.as_str()),
            event.subject.reference(),
        ),
        Err(WebhookError::Unreadable { id, .. }) => (id, None, None),
        Err(unauthentic) => return Ok(Received::Unauthentic(unauthentic.clone())),
    };
    let new = NewWebhook {
        psp: psp.name(),
        event_id,
        kind,
        reference,
        body,
    };
    Ok(match webhooks::store(conn, &new, now).await? {
        true => Received::Stored,
        false => Received::Before,
    })
}

/// Handles a batch of the webhooks that are due: how many it took.
///
/// # Errors
/// Where the database is away.
pub async fn work<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    now: OffsetDateTime,
) -> Result<usize, PaymentError> {
    let mut taken: Vec<i64> = Vec::new();
    let done = atomically!(pool, |conn| work_together(
        conn, options, psp, &mut taken, now
    ));
    match done {
        Ok(fates) => count(psp.name(), &fates),
        Err(error) if error.is_outage() || taken.is_empty() => return Err(error),
        Err(error) => {
            let webhooks = taken.len();
            tracing::warn!(%error, webhooks, "webhooks are handled one by one");
            for id in &taken {
                work_one(pool, options, psp, *id, now).await?;
            }
        }
    }
    Ok(taken.len())
}

async fn work_together<P: Psp>(
    conn: &mut PgConnection,
    options: &Options,
    psp: &P,
    taken: &mut Vec<i64>,
    now: OffsetDateTime,
) -> Result<Vec<Fate>, PaymentError> {
    let limit = i64::try_from(options.batch_webhooks_max).unwrap_or(i64::MAX);
    let due = webhooks::take_due(conn, psp.name(), limit, now).await?;
    *taken = due.iter().map(|webhook| webhook.id).collect();
    handle(conn, options, psp, &due, now).await
}

async fn work_one<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    id: i64,
    now: OffsetDateTime,
) -> Result<(), PaymentError> {
    let mut attempts = 0;
    let done = work_alone(pool, options, psp, id, &mut attempts, now).await;
    let error = match done {
        Ok(()) => return Ok(()),
        Err(error) if error.is_outage() => return Err(error),
        Err(error) => error,
    };
    tracing::error!(%error, webhook = id, attempts, "a webhook can't be handled; it is tried again");
    let told = error.to_string();
    atomically!(pool, |conn| put_off(
        conn, options, id, attempts, &told, now
    ))
}

/// Tries once: whoever holds a lock for long holds up no other webhook for longer.
async fn work_alone<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    id: i64,
    attempts: &mut u32,
    now: OffsetDateTime,
) -> Result<(), PaymentError> {
    let mut transaction = pool.begin().await?;
    let Some(webhook) = webhooks::take(&mut transaction, id).await? else {
        return Ok(());
    };
    *attempts = webhook.attempts.saturating_add(1);
    let done = handle(&mut transaction, options, psp, &[webhook], now).await;
    match done {
        Ok(fates) => {
            transaction.commit().await?;
            count(psp.name(), &fates);
            Ok(())
        }
        Err(error) => {
            roll_back(transaction).await;
            Err(error)
        }
    }
}

/// Counts what came of webhooks, once that is committed.
fn count(psp: &'static str, fates: &[Fate]) {
    for fate in fates {
        let fate = fate.as_str();
        metrics::counter!("aegis_webhooks_total", "psp" => psp, "fate" => fate).increment(1);
    }
}

async fn put_off(
    conn: &mut PgConnection,
    options: &Options,
    id: i64,
    attempts: u32,
    told: &str,
    now: OffsetDateTime,
) -> Result<(), PaymentError> {
    let wait = options.schedule.delay_after(attempts);
    let next = now + wait.unwrap_or(WAIT_MAX);
    webhooks::postpone(conn, id, attempts, next, told).await?;
    if wait.is_some() {
        return Ok(());
    }
    // Said once: what is tried again for ever is for a person to look at.
    let finding = Finding {
        class: Class::MissingHere,
        source: Source::Webhook.as_str(),
        identity: &format!("webhook:{id}"),
        psp: Some(&options.psp),
        reference: None,
        subject: None,
        expected: None,
        found: None,
        detail: &format!("webhook {id} can't be applied: {told}"),
        occurred_at: None,
    };
    news::amiss(conn, options, &options.ledger, &finding, None, now).await
}

/// Applies webhooks, whose rows are locked, and writes down what came of each: their fates.
async fn handle<P: Psp>(
    conn: &mut PgConnection,
    options: &Options,
    psp: &P,
    due: &[Waiting],
    now: OffsetDateTime,
) -> Result<Vec<Fate>, PaymentError> {
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let mut done: Vec<(i64, Fate)> = Vec::with_capacity(due.len());
    let mut paid: Vec<(i64, psp::Payment)> = Vec::new();
    // What goes back may be told together with what came in.
    let mut others: Vec<(i64, Subject)> = Vec::new();
    for webhook in due {
        match psp.read_webhook(&webhook.body) {
            Ok(WebhookEvent {
                subject: Subject::Payment(said),
                ..
            }) => paid.push((webhook.id, said)),
            Ok(event) => others.push((webhook.id, event.subject)),
            Err(error) => {
                unreadable(conn, options, psp.name(), webhook, &error, now).await?;
                done.push((webhook.id, Fate::Discrepancy));
            }
        }
    }
    done.extend(apply_payments(conn, options, psp.name(), paid, now).await?);
    for (id, subject) in &others {
        let fate = elsewhere::apply(conn, options, subject, now).await?;
        done.push((*id, fate));
    }
    webhooks::finish(conn, &done, now).await?;
    Ok(done.into_iter().map(|(_, fate)| fate).collect())
}

/// Those about payments, a ledger's together.
async fn apply_payments(
    conn: &mut PgConnection,
    options: &Options,
    psp: &str,
    paid: Vec<(i64, psp::Payment)>,
    now: OffsetDateTime,
) -> Result<Vec<(i64, Fate)>, PaymentError> {
    let references: Vec<&str> = paid
        .iter()
        .map(|(_, said)| said.reference.as_str())
        .collect();
    if references.is_empty() {
        return Ok(Vec::new());
    }
    let subjects = psp_references::find_all(conn, psp, &references).await?;
    let mut done = Vec::with_capacity(paid.len());
    let mut of_ledgers: BTreeMap<i32, (Ledger, Vec<i64>, Vec<Told>)> = BTreeMap::new();
    for (webhook, said) in paid {
        let subject = subjects.get(&said.reference);
        let Some(subject) = subject.filter(|subject| subject.kind == SubjectKind::Payment) else {
            unknown(conn, options, &said, subject.is_some(), now).await?;
            done.push((webhook, Fate::Discrepancy));
            continue;
        };
        let (_, ids, told) = of_ledgers
            .entry(subject.ledger.id)
            .or_insert_with(|| (subject.ledger.clone(), Vec::new(), Vec::new()));
        ids.push(webhook);
        told.push(Told {
            id: subject.id,
            source: Source::Webhook,
            said,
        });
    }
    for (ledger, ids, told) in of_ledgers.into_values() {
        let fates = outcome::apply(conn, options, &ledger, &told, now).await?;
        done.extend(ids.into_iter().zip(fates));
    }
    Ok(done)
}

async fn unknown(
    conn: &mut PgConnection,
    options: &Options,
    said: &psp::Payment,
    is_payout: bool,
    now: OffsetDateTime,
) -> Result<(), PaymentError> {
    let status = &said.status;
    let detail = match is_payout {
        true => format!("the PSP tells of a payment ({status}) whose reference is a payout's"),
        false => format!("the PSP tells of a payment ({status}) that was never asked for here"),
    };
    let finding = Finding {
        class: Class::UnknownReference,
        source: Source::Webhook.as_str(),
        identity: &format!("{}:{}:{}", options.psp, said.reference, said.id),
        psp: Some(&options.psp),
        reference: Some(&said.reference),
        subject: None,
        expected: None,
        found: Some(Sum {
            amount: said.amount,
            currency: said.currency.to_string(),
        }),
        detail: &detail,
        occurred_at: said.paid_at,
    };
    news::amiss(conn, options, &options.ledger, &finding, None, now).await
}

async fn unreadable(
    conn: &mut PgConnection,
    options: &Options,
    psp: &str,
    webhook: &Waiting,
    error: &WebhookError,
    now: OffsetDateTime,
) -> Result<(), PaymentError> {
    let finding = Finding {
        class: Class::Unreadable,
        source: Source::Webhook.as_str(),
        identity: &format!("{psp}:{}", webhook.event_id),
        psp: Some(psp),
        reference: None,
        subject: None,
        expected: None,
        found: None,
        detail: &format!("webhook {}: {error}", webhook.id),
        occurred_at: Some(webhook.received_at),
    };
    news::amiss(conn, options, &options.ledger, &finding, None, now).await
}
