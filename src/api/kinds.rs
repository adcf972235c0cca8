//! Every code that an error can carry, beside the rejection codes of the ledger.

use crate::ledger::RejectionCode;

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub status: u16,
    pub code: &'static str,
    pub title: &'static str,
}

impl Kind {
    const fn new(status: u16, code: &'static str, title: &'static str) -> Self {
        Self {
            status,
            code,
            title,
        }
    }

    /// A rule's no.
    pub(super) fn of_rejection(code: RejectionCode) -> Self {
        Self::new(422, code.as_str(), code.title())
    }
}

/// The kind of a rule's no by its code, which is one of the rejections or stands below with 422.
pub(super) fn of_rule(code: &str) -> Option<Kind> {
    let below = ALL.iter().copied();
    let rejections = RejectionCode::ALL.into_iter().map(Kind::of_rejection);
    let mut all = below.chain(rejections);
    all.find(|kind| kind.status == 422 && kind.code == code)
}

/// Declares the kinds, and [`ALL`] of them.
macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal $title:literal;)*) => {
        $(pub(super) const $name: Kind = Kind::new($status, $code, $title);)*

        /// All kinds but the rejections.
        pub(super) const ALL: &[Kind] = &[$($name),*];
    };
}

kinds! {
    JSON_INVALID = 400 "json_invalid" "The body is not JSON";
    BODY_UNREADABLE = 400 "body_unreadable" "The body did not arrive whole";
    KEY_MISSING = 400 "idempotency_key_missing" "The Idempotency-Key header is missing";
    KEY_INVALID = 400 "idempotency_key_invalid" "The Idempotency-Key header is malformed";
    CORRELATION_ID_INVALID = 400 "correlation_id_invalid" "The X-Correlation-Id header is malformed";
    SIGNATURE_MISSING = 401 "signature_missing" "The webhook is not signed";
    SIGNATURE_INVALID = 401 "signature_invalid" "The webhook's signature is not the PSP's";
    NOT_FOUND = 404 "not_found" "There is nothing at this path";
    LEDGER_NOT_FOUND = 404 "ledger_not_found" "There is no such ledger";
    WALLET_NOT_FOUND = 404 "wallet_not_found" "There is no such wallet";
    NOTHING_FOUND = 404 "nothing_found" "Nothing is known by this name";
    TRANSACTION_NOT_FOUND = 404 "transaction_not_found" "There is no such transaction";
    DEAD_LETTER_NOT_FOUND = 404 "dead_letter_not_found" "There is no such dead letter";
    REPLAY_NOT_FOUND = 404 "replay_not_found" "There is no such replay";
    SETTLEMENT_NOT_FOUND = 404 "settlement_not_found" "There is no such settlement";
    PAYOUT_NOT_FOUND = 404 "payout_not_found" "There is no such payout";
    MERCHANT_NOT_FOUND = 404 "merchant_not_found" "There is no such merchant";
    PAYMENT_NOT_FOUND = 404 "payment_not_found" "There is no such payment";
    REFUND_NOT_FOUND = 404 "refund_not_found" "There is no such refund";
    DISCREPANCY_NOT_FOUND = 404 "discrepancy_not_found" "There is no such discrepancy";
    RECONCILIATION_NOT_FOUND = 404 "reconciliation_not_found" "There is no such reconciliation";
    PSP_NOT_FOUND = 404 "psp_not_found" "There is no such PSP";
    PAYOUT_RUN_NOT_FOUND = 404 "payout_run_not_found" "There is no such payout run";
    METHOD_NOT_ALLOWED = 405 "method_not_allowed" "The path does not take this method";
    BODY_TIMEOUT = 408 "body_timeout" "The body did not arrive in time";
    KEY_IN_FLIGHT = 409 "idempotency_key_in_flight" "A request with this key is under way";
    WALLET_EXISTS = 409 "wallet_exists" "The wallet exists with other settings";
    DEAD_LETTER_DECIDED = 409 "dead_letter_decided" "The dead letter was decided on before";
    REPLAY_RUNNING = 409 "replay_running" "A replay is at the topic";
    RECONCILIATION_RUNNING = 409 "reconciliation_running" "A run or an approval is at these statements";
    BODY_TOO_LARGE = 413 "body_too_large" "The body is too large";
    CONTENT_TYPE_UNSUPPORTED = 415 "content_type_unsupported" "The body's type is not taken";
    FIELDS_INVALID = 422 "fields_invalid" "Fields can't be taken as they are";
    CURRENCY_NEEDED = 422 "currency_needed" "The address has wallets in several currencies";
    MERCHANT_EXISTS = 422 "merchant_exists" "The merchant exists, and is another one";
    BELOW_FLOOR = 422 "below_floor" "A wallet is below what the terms let it fall to";
    PAYEE_NOT_FOUND = 422 "merchant_not_found" "There is no such merchant";
    MERCHANT_FROZEN = 422 "merchant_frozen" "The merchant is frozen";
    CURRENCY_NOT_AGREED = 422 "currency_not_agreed" "The merchant has no terms in the currency";
    RECIPIENT_MISSING = 422 "recipient_missing" "The merchant has no payout recipient";
    AMOUNT_BELOW_MINIMUM = 422 "amount_below_minimum" "The payout is below the agreed minimum";
    PAYOUT_NOT_OPEN = 422 "payout_not_open" "The payout has ended";
    PAYOUT_NOT_SENT = 422 "payout_not_sent" "The payout was never sent";
    PAYOUT_BEING_SENT = 422 "payout_being_sent" "The payout is being sent at this moment";
    REFERENCE_TAKEN = 422 "reference_taken" "The reference stands for something else";
    PAYMENT_NOT_PAID = 422 "payment_not_paid" "The payment is not paid";
    PAYMENT_DISPUTED = 422 "payment_disputed" "The payment is disputed";
    REFUND_EXCEEDS_PAYMENT = 422 "refund_exceeds_payment" "Less of the payment is left";
    REFUND_NOT_OPEN = 422 "refund_not_open" "The refund has ended";
    REFUND_NOT_SENT = 422 "refund_not_sent" "The refund was never sent";
    REFUND_BEING_SENT = 422 "refund_being_sent" "The refund is being sent at this moment";
    PAYOUT_RUN_KEY_REUSED = 422 "payout_run_key_reused" "The key belongs to another payout run";
    PAYOUT_RUN_CANCELLED = 422 "payout_run_cancelled" "The payout run was cancelled";
    APPROVER_IS_STARTER = 422 "approver_is_starter" "Whoever started a payout run can't approve of it";
    APPROVER_UNKNOWN = 422 "approver_unknown" "Nobody can tell who wants to approve";
    STARTER_UNKNOWN = 422 "starter_unknown" "Nobody can tell who started the payout run";
    PROPOSER_UNKNOWN = 422 "proposer_unknown" "Nobody can tell who proposed how it is resolved";
    APPROVAL_NEEDED = 422 "approval_needed" "The payout run waits for approval";
    NOTHING_TO_CANCEL = 422 "nothing_to_cancel" "All payouts of the run are requested";
    NOTHING_DUE = 422 "nothing_due" "No payout is due";
    LIST_CHANGED = 422 "list_changed" "What is due has changed meanwhile";
    LIST_EMPTY = 422 "list_empty" "The list is empty";
    LIST_TOO_LONG = 422 "list_too_long" "The list is too long";
    MERCHANT_REPEATED = 422 "merchant_repeated" "A merchant stands in the list twice";
    STATEMENT_UNUSABLE = 422 "statement_unusable" "The statement can't be used";
    DISCREPANCY_RESOLVED = 422 "discrepancy_resolved" "The discrepancy was resolved before";
    DISCREPANCY_NOT_PROPOSED = 422 "discrepancy_not_proposed" "Nobody proposed how it is resolved";
    PROPOSAL_CHANGED = 422 "proposal_changed" "Another proposal waits than the one that was seen";
    SECOND_PERSON_NEEDED = 422 "second_person_needed" "Somebody else has to approve";
    OVERLOADED = 429 "overloaded" "Too many requests wait";
    INTERNAL = 500 "internal" "An error of the server";
    DATABASE_UNAVAILABLE = 503 "database_unavailable" "The database can't be reached";
    DATABASE_EXHAUSTED = 503 "database_exhausted" "The database has no room to work";
    BUS_UNAVAILABLE = 503 "bus_unavailable" "The bus can't be reached";
    PSP_NOT_CONFIGURED = 503 "psp_not_configured" "No PSP is configured";
    PSP_UNAVAILABLE = 503 "psp_unavailable" "The PSP gives no answer";
    CONTENDED = 503 "contended" "Other writers were in the way";
    STOPPING = 503 "stopping" "The instance is stopping";
    TIMEOUT = 504 "timeout" "The request took too long";
}
