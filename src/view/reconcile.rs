//! Reconciliations, discrepancies and clearing wallets.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::postgres::discrepancies::{Discrepancy, Sum};
use crate::postgres::reconciliations::Reconciliation;
use crate::postgres::reconciliations::clearing::Standing;

/// A run over a statement.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReconciliationView {
    /// Later ones are greater.
    pub id: Uuid,
    /// The ledger's name.
    pub ledger: String,
    /// Whose statement it was: `psp:<name>` or `bank:<name>`.
    pub wallet: String,
    /// How the statement is written.
    pub format: String,
    /// As the file was called.
    pub file_name: String,
    /// SHA-256 of the file, in hexadecimal.
    pub file_hash: String,
    /// The beginning of the time that it speaks of, UTC; null: it has no booked line.
    #[serde(with = "time::serde::rfc3339::option")]
    pub covers_from: Option<OffsetDateTime>,
    /// Its end, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub covers_to: Option<OffsetDateTime>,
    /// Booked lines that could be read.
    pub lines: i64,
    /// Of them, how many an earlier file had.
    pub known: i64,
    /// Lines that may move money later, and move no state.
    pub pending: i64,
    /// Lines that could not be read.
    pub broken: i64,
    /// Lines that were matched, some of them of earlier files.
    pub matched: i64,
    /// Discrepancies that it opened.
    pub opened: i64,
    /// Discrepancies that it closed.
    pub resolved: i64,
    /// Who started it.
    pub started_by: String,
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it was written, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
}

impl ReconciliationView {
    /// The view of a run of this ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, run: &Reconciliation) -> Self {
        let (covers_from, covers_to) = run.covers.unzip();
        let hash = run.file_hash.iter().map(|byte| format!("{byte:02x}"));
        Self {
            id: run.id,
            ledger: ledger.name.to_string(),
            wallet: run.wallet.clone(),
            format: run.format.clone(),
            file_name: run.file_name.clone(),
            file_hash: hash.collect(),
            covers_from,
            covers_to,
            lines: run.lines,
            known: run.known,
            pending: run.pending,
            broken: run.broken,
            matched: run.matched,
            opened: run.opened,
            resolved: run.resolved,
            started_by: run.started_by.clone(),
            started_at: run.started_at,
            finished_at: run.finished_at,
        }
    }
}

/// What does not agree between the ledger and the world.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DiscrepancyView {
    /// Its number.
    pub id: i64,
    /// The ledger's name.
    pub ledger: String,
    /// `missing_here`, `missing_there`, `amount`, `currency`, `duplicate`, `late`, `status`,
    /// `unknown_reference` or `unreadable`.
    pub class: &'static str,
    /// `open`, `proposed` or `resolved`.
    pub status: &'static str,
    /// Who found it: `webhook`, `query` or `reconciliation`.
    pub source: String,
    /// The PSP concerned.
    pub psp: Option<String>,
    /// The wallet whose statement it was found in.
    pub wallet: Option<String>,
    /// As both sides name it.
    pub reference: Option<String>,
    /// `payment`, `payout`, `refund`, `transaction` or `batch`.
    pub subject_kind: Option<String>,
    /// Its id.
    pub subject_id: Option<Uuid>,
    /// What the ledger has, minor units.
    pub expected_amount: Option<i64>,
    /// Its currency.
    pub expected_currency: Option<String>,
    /// What the other side has, minor units.
    pub found_amount: Option<i64>,
    /// Its currency.
    pub found_currency: Option<String>,
    /// In a sentence.
    pub detail: String,
    /// When it happened, as far as that is known, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub occurred_at: Option<OffsetDateTime>,
    /// When it was found, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    /// How long it has stood, or stood until it was resolved, seconds.
    pub age_seconds: i64,
    /// The run that found it.
    pub reconciliation_id: Option<Uuid>,
    /// What was proposed: `{"legs": […], "hash": …}`, without legs where nothing is to be posted. By its
    /// hash it is approved.
    #[schema(value_type = Option<Object>)]
    pub proposal: Option<Value>,
    /// By whom.
    pub proposed_by: Option<String>,
    /// Why it is resolved so.
    pub reason: Option<String>,
    /// What corrected it.
    pub transaction_id: Option<Uuid>,
    /// Who resolved it.
    pub resolved_by: Option<String>,
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub resolved_at: Option<OffsetDateTime>,
}

impl DiscrepancyView {
    /// The view of a discrepancy of this ledger at a time.
    #[must_use]
    pub fn new(ledger: &Ledger, it: &Discrepancy, now: OffsetDateTime) -> Self {
        let parts = |sum: &Option<Sum>| {
            let parts = sum.clone().map(|sum| (sum.amount, sum.currency));
            parts.unzip()
        };
        let (expected_amount, expected_currency) = parts(&it.expected);
        let (found_amount, found_currency) = parts(&it.found);
        let (subject_kind, subject_id) = it.subject.clone().unzip();
        let until = it.resolved_at.unwrap_or(now);
        let mut proposal = it.proposal.clone();
        if let Some(content) = proposal.as_mut().and_then(Value::as_object_mut) {
            content.insert("hash".to_owned(), it.proposal_hash().into());
        }
        Self {
            id: it.id,
            ledger: ledger.name.to_string(),
            class: it.class.as_str(),
            status: it.status.as_str(),
            source: it.source.clone(),
            psp: it.psp.clone(),
            wallet: it.wallet.clone(),
            reference: it.reference.clone(),
            subject_kind,
            subject_id,
            expected_amount,
            expected_currency,
            found_amount,
            found_currency,
            detail: it.detail.clone(),
            occurred_at: it.occurred_at,
            opened_at: it.opened_at,
            age_seconds: (until - it.opened_at).whole_seconds().max(0),
            reconciliation_id: it.reconciliation_id,
            proposal,
            proposed_by: it.proposed_by.clone(),
            reason: it.reason.clone(),
            transaction_id: it.transaction_id,
            resolved_by: it.resolved_by.clone(),
            resolved_at: it.resolved_at,
        }
    }
}

/// A clearing wallet, and what stands in it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClearingView {
    /// Its address.
    pub wallet: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units.
    pub balance: i64,
    /// When it was last 0, and was left, UTC; null: it is 0.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// What stands in it.
    pub parts: Vec<ClearingPartView>,
    /// What of the balance nothing accounts for, minor units.
    pub unexplained: i64,
    /// Discrepancies about it that are to be resolved.
    pub discrepancies: i64,
    /// Whether all of it is accounted for, and nothing about it is disputed.
    pub explained: bool,
}

/// Money in a clearing wallet for one reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClearingPartView {
    /// `in_statement`, `not_in_statement_yet`, `not_in_statement`, or how far payouts and refunds
    /// are: `payout sent`.
    pub what: String,
    /// Of how many.
    pub count: i64,
    /// Minor units of the wallet's balance.
    pub amount: i64,
    /// The oldest of them, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
}

impl From<&Standing> for ClearingView {
    fn from(standing: &Standing) -> Self {
        let parts = standing.parts.iter().map(|part| ClearingPartView {
            what: part.what.clone(),
            count: part.count,
            amount: part.amount,
            since: part.since,
        });
        Self {
            wallet: standing.wallet.clone(),
            currency: standing.currency.clone(),
            balance: standing.balance,
            since: standing.since,
            parts: parts.collect(),
            unexplained: standing.unexplained(),
            discrepancies: standing.discrepancies,
            explained: standing.is_explained(),
        }
    }
}
