//! Resolves discrepancies: one person proposes how, another one says yes, and only then what
//! corrects it is posted. The database holds to two persons by itself.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{Options, ReconcileError};
use crate::discrepancy;
use crate::engine::{Posting, post_own};
use crate::event::EventType;
use crate::ledger::{Address, Currency, Details, Ledger, LegDraft, Transaction, WalletRef};
use crate::merchant::house;
use crate::postgres::audit::{self, Actor, Deed, NotAnother, second_person};
use crate::postgres::discrepancies::{self, Class, Discrepancy, Status};
use crate::postgres::{atomically, outbox, reconciliations};

/// One leg of a correcting transaction.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Leg {
    /// The wallet to move.
    pub wallet: Address,
    /// Its currency.
    pub currency: Currency,
    /// Minor units: credit positive, debit negative.
    pub amount: i64,
}

impl Leg {
    fn draft(&self) -> LegDraft {
        LegDraft {
            wallet: WalletRef::Address(self.wallet.clone()),
            currency: self.currency.code().to_owned(),
            amount: self.amount,
        }
    }

    fn of_json(value: &Value) -> Option<Self> {
        Some(Self {
            wallet: value["wallet"].as_str()?.parse().ok()?,
            currency: value["currency"].as_str()?.parse().ok()?,
            amount: value["amount"].as_i64()?,
        })
    }
}

/// What would correct a discrepancy, where its kind leaves no doubt: a PSP's payout to the bank, a
/// top-up of its balance, a fee that it took; with what it took for the line besides.
#[must_use]
pub fn suggested(discrepancy: &Discrepancy) -> Vec<Leg> {
    let kind = discrepancy
        .line
        .as_ref()
        .and_then(|(_, kind)| kind.as_deref());
    let (Class::MissingHere, Some(psp), Some(found), Some(kind)) = (
        discrepancy.class,
        &discrepancy.psp,
        &discrepancy.found,
        kind,
    ) else {
        return Vec::new();
    };
    let counterpart = match kind {
        "settlement" | "top_up" => "bank:main".parse().ok(),
        "fee" => Some(house::psp_fees()),
        _ => None,
    };
    let currency = Currency::from_code(&found.currency);
    let (Some(counterpart), Some(currency)) = (counterpart, currency) else {
        return Vec::new();
    };
    let leg = |wallet, amount| Leg {
        wallet,
        currency,
        amount,
    };
    let taken = discrepancy.line_fee;
    let mut legs = vec![
        leg(house::psp(psp), taken.saturating_sub(found.amount)),
        leg(counterpart, found.amount),
    ];
    match legs.last_mut() {
        Some(fees) if fees.wallet == house::psp_fees() => {
            fees.amount = fees.amount.saturating_sub(taken);
        }
        _ if taken != 0 => legs.push(leg(house::psp_fees(), taken.saturating_neg())),
        _ => {}
    }
    legs
}

/// What was proposed, of a discrepancy that has a proposal.
#[must_use]
pub fn proposed(discrepancy: &Discrepancy) -> Vec<Leg> {
    let legs = discrepancy
        .proposal
        .as_ref()
        .and_then(|p| p["legs"].as_array());
    legs.into_iter()
        .flatten()
        .filter_map(Leg::of_json)
        .collect()
}

/// Looks a discrepancy up that can still be decided on.
async fn open_one(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: i64,
) -> Result<Discrepancy, ReconcileError> {
    let found = discrepancies::find(conn, ledger.id, id, true).await?;
    let found = found.ok_or_else(|| not_found(ledger, id))?;
    match (found.status, &found.resolved_by) {
        (Status::Resolved, by) => {
            let by = by.as_deref().unwrap_or("somebody");
            let detail = format!("discrepancy {id} was resolved by {by} before; nothing was done");
            Err(ReconcileError::refused("discrepancy_resolved", detail))
        }
        _ => Ok(found),
    }
}

/// What a number that is none of a discrepancy's is answered with.
#[must_use]
pub fn not_found(ledger: &Ledger, id: i64) -> ReconcileError {
    let detail = format!(
        "there is no discrepancy {id} in ledger {}; `aegisctl reconcile list` shows them",
        ledger.name
    );
    ReconcileError::refused("discrepancy_not_found", detail)
}

/// Proposes how a discrepancy is resolved: by a transaction, or without one where there are no legs.
/// A proposal that waits is replaced.
///
/// # Errors
/// [`ReconcileError::Refused`] with `discrepancy_not_found`, `discrepancy_resolved`, or the code of
/// the rule that the legs break.
pub async fn propose(
    pool: &PgPool,
    ledger: &Ledger,
    id: i64,
    legs: &[Leg],
    reason: &str,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Discrepancy, ReconcileError> {
    if !legs.is_empty() {
        let drafts: Vec<LegDraft> = legs.iter().map(Leg::draft).collect();
        Transaction::new(&drafts)?;
    }
    let proposal = Proposal {
        id,
        content: json!({"legs": legs}),
        reason,
        actor,
        now,
    };
    atomically!(pool, |conn| write_proposal(conn, ledger, &proposal))
}

struct Proposal<'a> {
    id: i64,
    content: Value,
    reason: &'a str,
    actor: &'a Actor,
    now: OffsetDateTime,
}

async fn write_proposal(
    conn: &mut PgConnection,
    ledger: &Ledger,
    of: &Proposal<'_>,
) -> Result<Discrepancy, ReconcileError> {
    let (id, content, by) = (of.id, &of.content, &of.actor.name);
    open_one(conn, ledger, id).await?;
    discrepancies::propose(conn, ledger.id, id, content, of.reason, by, of.now).await?;
    let action = "discrepancy.resolution_proposed";
    record(
        conn, ledger, id, action, of.reason, content, of.actor, of.now,
    )
    .await?;
    let found = discrepancies::find(conn, ledger.id, id, false).await?;
    found.ok_or_else(|| not_found(ledger, id))
}

/// Whether the proposal that waits is the one that somebody saw, by its hash: whoever proposes may do
/// so again at any time.
///
/// # Errors
/// [`ReconcileError::Refused`] with `discrepancy_not_proposed` or `proposal_changed`.
pub fn is_as_seen(discrepancy: &Discrepancy, seen: &str) -> Result<(), ReconcileError> {
    let id = discrepancy.id;
    let (Status::Proposed, Some(hash)) = (discrepancy.status, discrepancy.proposal_hash()) else {
        let detail = format!("discrepancy {id} has no proposal yet: propose how it is resolved");
        return Err(ReconcileError::refused("discrepancy_not_proposed", detail));
    };
    if hash == seen {
        return Ok(());
    }
    let detail = format!(
        "another proposal waits for discrepancy {id} than the one that was seen; nothing was done: \
         look at what is proposed now, and approve that"
    );
    Err(ReconcileError::refused("proposal_changed", detail))
}

/// Says yes to what somebody else proposed: posts the correcting transaction and closes the
/// discrepancy, in one COMMIT. `seen`: the hash of the proposal that is meant.
///
/// # Errors
/// [`ReconcileError::Refused`] with `discrepancy_not_found`, `discrepancy_resolved`,
/// `discrepancy_not_proposed`, `proposal_changed`, `second_person_needed`, `approver_unknown`, `proposer_unknown`, or why the transaction can't be posted.
pub async fn approve(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    (id, seen): (i64, &str),
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Discrepancy, ReconcileError> {
    atomically!(pool, |conn| carry_out(
        conn,
        options,
        ledger,
        (id, seen),
        actor,
        now
    ))
}

async fn carry_out(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    (id, seen): (i64, &str),
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Discrepancy, ReconcileError> {
    let found = open_one(conn, ledger, id).await?;
    // A run may have found an entry for its line, and has not said so yet.
    if let Some(wallet) = &found.wallet
        && !reconciliations::keep_runs_away(conn, ledger.id, wallet).await?
    {
        let wallet = wallet.clone();
        return Err(ReconcileError::Busy { wallet });
    }
    is_as_seen(&found, seen)?;
    let by = found.proposed_by.as_deref().unwrap_or_default();
    if let Err(problem) = second_person(by, &actor.name) {
        return Err(one_person(problem, id, by, &actor.name));
    }
    let reason = found.reason.clone().unwrap_or_default();
    let transaction = correct(conn, options, ledger, &found).await?;
    discrepancies::resolve(conn, ledger.id, id, transaction, &actor.name, now).await?;
    let done = discrepancies::find(conn, ledger.id, id, false).await?;
    let done = done.ok_or_else(|| not_found(ledger, id))?;
    let event = discrepancy::news(EventType::DiscrepancyResolved, ledger, &done);
    outbox::tell(conn, ledger.id, &options.topic_settlements, &[event], now).await?;
    let detail = json!({"proposed_by": by, "proposal_hash": seen, "transaction_id": transaction});
    let action = "discrepancy.resolved";
    record(conn, ledger, id, action, &reason, &detail, actor, now).await?;
    Ok(done)
}

fn one_person(problem: NotAnother, id: i64, first: &str, second: &str) -> ReconcileError {
    let (code, detail) = match problem {
        NotAnother::Same => (
            "second_person_needed",
            format!("{first} proposed it: somebody else has to approve it; nothing was done"),
        ),
        NotAnother::SecondUnknown => (
            "approver_unknown",
            format!(
                "who wants to approve how discrepancy {id} is resolved can't be told from the name \
                 {second:?}: approve from an account that has a name, over HTTP with a User-Agent"
            ),
        ),
        NotAnother::FirstUnknown => (
            "proposer_unknown",
            format!(
                "who proposed how discrepancy {id} is resolved can't be told from the name \
                 {first:?}, so that nobody is known to be another: propose it again from an account \
                 that has a name, over HTTP with a User-Agent"
            ),
        ),
    };
    ReconcileError::refused(code, detail)
}

async fn correct(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    discrepancy: &Discrepancy,
) -> Result<Option<uuid::Uuid>, ReconcileError> {
    let legs = proposed(discrepancy);
    let mut posting = Posting::new(&format!("discrepancy:{}", discrepancy.id));
    for leg in legs {
        posting = posting.leg(leg.wallet, leg.currency, leg.amount);
    }
    if posting.is_empty() {
        return Ok(None);
    }
    let posting = posting.with_details(Details {
        reference: discrepancy.reference.clone(),
        ..Details::default()
    });
    let topic = &options.topic_transactions;
    let receipts = post_own(conn, ledger, vec![posting], topic).await??;
    Ok(receipts.first().map(|receipt| receipt.transaction_id))
}

#[expect(clippy::too_many_arguments, reason = "each is one thing that was said")]
async fn record(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: i64,
    action: &str,
    reason: &str,
    detail: &Value,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let deed = Deed {
        at: now,
        actor,
        action,
        target: &format!("discrepancy:{}/{id}", ledger.name),
        reason: Some(reason),
        detail: Some(detail),
    };
    audit::record(conn, deed).await
}
