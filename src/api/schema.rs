//! The shapes of requests and answers, for the API's description of itself.
//!
//! Requests are read field by field (`fields`), so that one answer can name everything that is
//! wrong; these types describe what is read there, and a test holds the two together.

use std::borrow::Cow;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::readiness::CheckStatus;
use crate::view::{
    AgreedTermsView, ClearingView, PastWalletView, ReconciliationView, ReplayPlanView, ReplayView,
    WalletView,
};

/// A ledger to make.
#[derive(ToSchema)]
#[schema(example = json!({"name": "europe"}))]
pub struct LedgerRequest {
    /// 1 to 64 characters of a-z, 0-9, _ and -; permanent.
    pub name: String,
}

/// A wallet to make.
#[derive(ToSchema)]
#[schema(example = json!({"address": "merchant:acme:available", "currency": "NGN"}))]
pub struct WalletRequest {
    /// One to eight segments of a-z, 0-9, _ and - joined by colons.
    pub address: String,
    /// ISO 4217 code.
    pub currency: String,
    /// What the balance may not fall below, minor units, 0 or less. 0 where it is absent; null for
    /// no bound, as for the outside world.
    #[schema(required = false, default = 0)]
    pub min_balance: Option<i64>,
}

/// What a wallet's address answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum WalletAnswer {
    /// As it stands.
    Now(WalletView),
    /// As it stood.
    Past(PastWalletView),
}

/// A transfer to post.
#[derive(ToSchema)]
#[schema(example = json!({
    "source": "psp:paystack", "destination": "merchant:acme:available", "currency": "NGN",
    "amount": 125_000, "reference": "order-1001",
}))]
pub struct TransferRequest {
    /// Address or id of the wallet that gives.
    pub source: String,
    /// Address or id of the wallet that takes.
    pub destination: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units, 1 or more.
    pub amount: i64,
    /// The caller's own name for it, up to 255 characters; need not be unique.
    pub reference: Option<String>,
    /// What it belongs to, up to 255 characters; the request's unless said.
    pub correlation_id: Option<String>,
    /// When it takes effect in the books; now unless said.
    pub effective_at: Option<OffsetDateTime>,
    /// The caller's own JSON object, up to 16 KiB.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Value>,
}

/// One of the transfers of a batch.
#[derive(ToSchema)]
pub struct BatchTransferRequest {
    /// 1 to 255 printable characters: the key of this transfer.
    pub idempotency_key: String,
    /// Address or id of the wallet that gives.
    pub source: String,
    /// Address or id of the wallet that takes.
    pub destination: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units, 1 or more.
    pub amount: i64,
    /// The caller's own name for it, up to 255 characters; need not be unique.
    pub reference: Option<String>,
    /// What it belongs to, up to 255 characters; the request's unless said.
    pub correlation_id: Option<String>,
    /// When it takes effect in the books; now unless said.
    pub effective_at: Option<OffsetDateTime>,
    /// The caller's own JSON object, up to 16 KiB.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Value>,
}

/// Transfers to post together.
#[derive(ToSchema)]
#[schema(example = json!({"transfers": [{
    "idempotency_key": "order-1001-fee", "source": "merchant:acme:available",
    "destination": "platform:fees", "currency": "NGN", "amount": 1_500,
}]}))]
pub struct BatchRequest {
    /// 1 to 8,192, decided in this order.
    pub transfers: Vec<BatchTransferRequest>,
    /// All or none: a rejection of one undoes the others. False unless said.
    pub atomic: Option<bool>,
}

/// What came of one transfer of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResult {
    /// `posted`, `rejected`, or `replayed`: posted before under its own key, by this batch or
    /// another request.
    pub status: &'static str,
    /// The transaction, where it is in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Uuid>,
    /// Why it was rejected, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Why it was rejected, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What came of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResults {
    /// One a transfer, in order.
    pub results: Vec<BatchResult>,
}

/// A movement of a transaction.
#[derive(ToSchema)]
pub struct LegRequest {
    /// Address or id.
    pub wallet: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Signed minor units: credit positive, debit negative.
    pub amount: i64,
}

/// A transaction of many legs to post.
#[derive(ToSchema)]
#[schema(example = json!({"legs": [
    {"wallet": "psp:paystack", "currency": "NGN", "amount": -125_000},
    {"wallet": "merchant:acme:available", "currency": "NGN", "amount": 123_500},
    {"wallet": "platform:fees", "currency": "NGN", "amount": 1_500},
]}))]
pub struct TransactionRequest {
    /// 2 to 1,000, which sum to zero in every currency, each on a wallet of its own.
    pub legs: Vec<LegRequest>,
    /// The caller's own name for it, up to 255 characters; need not be unique.
    pub reference: Option<String>,
    /// What it belongs to, up to 255 characters; the request's unless said.
    pub correlation_id: Option<String>,
    /// When it takes effect in the books; now unless said.
    pub effective_at: Option<OffsetDateTime>,
    /// The caller's own JSON object, up to 16 KiB.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Value>,
}

/// A payout to ask for.
#[derive(ToSchema)]
#[schema(example = json!({
    "merchant": "acme", "amount": 1_250_000, "currency": "NGN", "reference": "november",
}))]
pub struct PayoutRequest {
    /// To whom; where it goes stands in its terms.
    pub merchant: String,
    /// Minor units, 1 or more, and not below the agreed minimum.
    pub amount: i64,
    /// ISO 4217 code; the merchant has agreed on terms in it.
    pub currency: String,
    /// The caller's own name for it, not unique, up to 255 characters, which the recipient reads too:
    /// the answer's `label`. The PSP knows the payout by its id.
    pub reference: Option<String>,
    /// What it belongs to, up to 255 characters; the request's unless said.
    pub correlation_id: Option<String>,
}

/// What to settle; `{}` for all that has matured.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub struct SettlementRunRequest {
    /// Only this merchant.
    pub merchant: Option<String>,
    /// What had matured by the end of this day in UTC, today at the latest; by now unless said.
    pub date: Option<String>,
}

/// A payment to make.
#[derive(ToSchema)]
#[schema(example = json!({
    "merchant": "acme", "amount": 1_250_000, "currency": "NGN", "email": "ada@example.com",
    "reference": "order-1001",
}))]
pub struct PaymentRequest {
    /// Whose money it will be.
    pub merchant: String,
    /// Minor units, 1 or more.
    pub amount: i64,
    /// ISO 4217 code; the merchant has agreed on terms in it.
    pub currency: String,
    /// The customer's address.
    pub email: String,
    /// As the PSP is to know it, unique for ever: 1 to 100 letters, digits, hyphens, dots and equals
    /// signs; the payment's id unless said.
    pub reference: Option<String>,
    /// Where the customer goes after paying; as set at the PSP unless said.
    pub callback_url: Option<String>,
    /// What it belongs to, up to 255 characters; the request's unless said.
    pub correlation_id: Option<String>,
    /// The caller's own JSON object, up to 16 KiB, which the PSP hands through.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Value>,
}

/// Nothing beside the path: `{}`.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub struct PayoutRequeryRequest {}

/// How a payout ended, in a person's word.
#[derive(ToSchema)]
#[schema(example = json!({"as": "failed", "reason": "the bank has nothing of it, ticket 4711"}))]
pub struct PayoutResolveRequest {
    /// `succeeded` or `failed`.
    pub r#as: String,
    /// Why, in 1 to 1,000 characters.
    pub reason: String,
}

/// A payout run to start: `due`, or `items` with their `currency`.
#[derive(ToSchema)]
#[schema(example = json!({
    "key": "2026-11-22-evening", "currency": "NGN",
    "items": [{"merchant": "acme", "amount": 1_250_000, "reference": "november"}],
}))]
pub struct PayoutRunRequest {
    /// 1 to 128 letters, digits, `.`, `_`, `-` and `:`; the run's name for ever.
    pub key: String,
    /// True to pay what is due now, by the merchants' terms.
    pub due: Option<bool>,
    /// ISO 4217 code of the items, or of what is due where that is in several.
    pub currency: Option<String>,
    /// Up to 100,000 payouts. A merchant may stand among them several times where each has a
    /// reference of its own.
    pub items: Option<Vec<PayoutRunItemRequest>>,
    /// Wait for an approval where the total is above so many minor units. It can tighten the
    /// configured limit alone.
    pub approval_above_minor: Option<i64>,
    /// Wait for an approval where there are more payouts. It can tighten the configured limit alone.
    pub approval_above_count: Option<i64>,
}

/// A payout of a run.
#[derive(ToSchema)]
pub struct PayoutRunItemRequest {
    /// To whom; where it goes stands in its terms.
    pub merchant: String,
    /// Minor units, 1 or more, and not below the agreed minimum.
    pub amount: i64,
    /// The caller's own name for it, up to 255 characters, which the recipient reads too.
    pub reference: Option<String>,
}

/// Nothing beside the path: `{}`.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub struct PayoutRunDecisionRequest {}

/// A payout run to give up.
#[derive(ToSchema)]
#[schema(example = json!({"reason": "wrong list, ticket 4711"}))]
pub struct PayoutRunCancelRequest {
    /// Why, in 1 to 1,000 characters.
    pub reason: String,
}

/// A refund to ask for.
#[derive(ToSchema)]
#[schema(example = json!({"amount": 125_000, "customer_note": "one of two was out of stock"}))]
pub struct RefundRequest {
    /// Minor units, 1 or more; all that is left of the payment unless said.
    pub amount: Option<i64>,
    /// What the customer is told, up to 255 characters.
    pub customer_note: Option<String>,
}

/// How a refund ended, in a person's word.
#[derive(ToSchema)]
#[schema(example = json!({"as": "failed", "reason": "the PSP has nothing of it, ticket 4711"}))]
pub struct RefundResolveRequest {
    /// `succeeded` or `failed`.
    pub r#as: String,
    /// Why, in 1 to 1,000 characters.
    pub reason: String,
}

/// Nothing beside the path: `{}`.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub struct RequeryRequest {}

/// A webhook is stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookTaken {
    /// `stored`, or `repeated`: it had come before.
    pub status: &'static str,
}

/// A merchant to make.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "acme", "name": "Acme Stores", "currency": "NGN",
    "terms": {
        "fee": {"basis_points": 150, "fixed": 10_000, "cap": 200_000},
        "settlement": {"days": 1, "calendar": "business", "time_zone": "Africa/Lagos"},
        "payout": {"minimum": 100_000, "schedule": "daily", "recipient": "RCP_1a2b3c"},
    },
}))]
pub struct MerchantRequest {
    /// 1 to 64 of a-z, 0-9, _ and -; permanent, a segment of its wallets' addresses.
    pub id: String,
    /// As people call it, in 1 to 255 characters.
    pub name: String,
    /// ISO 4217 code of its first currency.
    pub currency: String,
    /// Fee, settlement, reserve, payout, refund and chargeback terms.
    #[schema(value_type = Object)]
    pub terms: Box<serde_json::value::RawValue>,
}

/// Terms to agree on.
#[derive(ToSchema)]
#[schema(example = json!({
    "currency": "NGN",
    "terms": {
        "fee": {"basis_points": 120, "fixed": 0},
        "settlement": {"days": 2, "calendar": "business", "time_zone": "Africa/Lagos"},
        "payout": {"minimum": 100_000, "schedule": "weekly", "weekday": "friday"},
    },
}))]
pub struct TermsRequest {
    /// ISO 4217 code.
    pub currency: String,
    /// Fee, settlement, reserve, payout, refund and chargeback terms.
    #[schema(value_type = Object)]
    pub terms: Box<serde_json::value::RawValue>,
}

/// A merchant's terms in a currency.
#[derive(Debug, Serialize, ToSchema)]
pub struct TermsHistory {
    /// The newest first.
    pub items: Vec<AgreedTermsView>,
}

/// Why something is done.
#[derive(ToSchema)]
#[schema(example = json!({"reason": "chargebacks far above normal, ticket 4711"}))]
pub struct ReasonRequest {
    /// For whoever reads it later, in 1 to 1,000 characters.
    pub reason: String,
}

/// A dead letter to give up.
#[derive(ToSchema)]
#[schema(example = json!({"reason": "paid by hand, see ticket 4711"}))]
pub struct DiscardRequest {
    /// Why, in 1 to 1,000 characters.
    pub reason: String,
}

/// Dead letters to replay: `ids`, or those that wait and fit the rest.
#[derive(ToSchema)]
#[schema(example = json!({"topic": "aegis.settlements", "limit": 100, "rate": 50}))]
pub struct ReplayRequest {
    /// These letters, 10,000 at most.
    pub ids: Option<Vec<i64>>,
    /// True for all that wait; needed where nothing else says which.
    pub all: Option<bool>,
    /// Only those whose message was on this topic.
    pub topic: Option<String>,
    /// Only those whose error holds this text, whatever the case of its letters.
    pub error: Option<String>,
    /// Only those that failed at this time or later.
    pub since: Option<OffsetDateTime>,
    /// At most so many, the oldest first.
    pub limit: Option<u32>,
    /// None behind this letter, such as the plan's `last_letter_id`.
    pub last_letter_id: Option<i64>,
    /// At most so many a second.
    pub rate: Option<u32>,
    /// Also those that had three lives; of `ids` also those that were replayed or discarded.
    pub force: Option<bool>,
    /// True to see the plan without anything being done.
    pub dry_run: Option<bool>,
}

/// A replay to stop.
#[derive(ToSchema)]
#[schema(example = json!({"reason": "the cause is not mended yet"}))]
pub struct CancelRequest {
    /// Why, in 1 to 1,000 characters.
    pub reason: Option<String>,
}

/// What came of asking for a replay.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayAnswer {
    /// The replay, which goes on by itself; null where nothing was begun.
    pub run: Option<ReplayView>,
    /// What it does; null in the answer to a repeat.
    pub plan: Option<ReplayPlanView>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<String>,
}

/// The process has started.
#[derive(Debug, Serialize, ToSchema)]
pub struct Started {
    /// `ok`, or `failed` until all was looked at once.
    pub status: CheckStatus,
}

/// A field of the request that can't be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The field, such as `amount`, `legs[3].amount` or the name of a query parameter.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub problem: Cow<'static, str>,
}

/// An error, as of RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// Where the code is explained, on this server.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means.
    pub title: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// Stable, for programs.
    pub code: &'static str,
    /// What happened, and what to do about it.
    pub detail: &'a str,
    /// The path of the request.
    pub instance: &'a str,
    /// Every field that is wrong, up to 100 of them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldProblem>, required = false)]
    pub errors: &'a [FieldProblem],
    /// The request's, by which the log finds it.
    pub correlation_id: &'a str,
}

/// A statement to hold the ledger against: of a PSP or of a bank, one of the two.
#[derive(ToSchema)]
#[schema(example = json!({
    "psp": "paystack", "file_name": "november.csv",
    "content": "kind,reference,currency,minor,booked_at\npayment,order-1001,NGN,125000,2026-11-22\n",
}))]
pub struct ReconciliationRequest {
    /// The PSP whose statement it is.
    pub psp: Option<String>,
    /// The bank whose statement it is: `main` for the wallet `bank:main`.
    pub bank: Option<String>,
    /// `plain`, `paystack-balance`, `paystack-transactions`, `paystack-transfers`, `bank-csv` or
    /// `camt053`; told by its beginning unless said.
    pub format: Option<String>,
    /// As the file is called.
    pub file_name: Option<String>,
    /// The file.
    pub content: String,
}

/// What came of a run over a statement.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciliationAnswer {
    /// The run.
    #[serde(flatten)]
    pub run: ReconciliationView,
    /// Discrepancies of this statement that are not resolved, whichever run found them.
    pub open: i64,
    /// Lines that could not be read, the first 1,000.
    pub broken_lines: Vec<BrokenLine>,
}

/// A line that can't be read.
#[derive(Debug, Serialize, ToSchema)]
pub struct BrokenLine {
    /// Where it begins, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

impl From<(u64, String)> for BrokenLine {
    fn from((line, problem): (u64, String)) -> Self {
        Self { line, problem }
    }
}

/// The clearing wallets.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClearingAnswer {
    /// Whether all of them are accounted for, and nothing about them is disputed.
    pub explained: bool,
    /// In order of address and currency.
    pub items: Vec<ClearingView>,
}

/// How a discrepancy is to be resolved.
#[derive(ToSchema)]
#[schema(example = json!({"reason": "paid to the bank on 22 November", "legs": [
    {"wallet": "psp:paystack", "currency": "NGN", "amount": 125_000},
    {"wallet": "bank:main", "currency": "NGN", "amount": -125_000},
]}))]
pub struct DiscrepancyProposeRequest {
    /// Why, in 1 to 1,000 characters.
    pub reason: String,
    /// The correcting transaction; none unless said.
    pub legs: Option<Vec<CorrectingLeg>>,
}

/// A leg of a correcting transaction.
#[derive(ToSchema)]
pub struct CorrectingLeg {
    /// The wallet's address.
    pub wallet: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units: credit positive, debit negative.
    pub amount: i64,
}

/// Which proposal is approved.
#[derive(ToSchema)]
#[schema(example = json!({"proposal_hash": "5b2f0c9d1e7a48366d21c0be94f8a7d3"}))]
pub struct DiscrepancyApproveRequest {
    /// The `hash` of the proposal that was seen.
    pub proposal_hash: String,
}
