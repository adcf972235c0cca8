//! The API's description of itself, generated from the handlers and their types.
//!
//! What all operations have in common (headers, path segments, errors) is added here, once.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::kinds::{self, Kind};
use super::schema::{FieldProblem, ProblemDocument};
use super::{
    dead_letters, entries, ledgers, merchants, payments, payout_runs, payouts, probes,
    reconciliations, refunds, replays, settlements, trace, transactions, transfers, wallets,
    webhooks,
};
use crate::ledger::RejectionCode;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aegis",
        description = "A settlement engine and double-entry ledger. Amounts are integers in minor \
                       units; times are UTC, as of RFC 3339."
    ),
    paths(
        ledgers::create,
        ledgers::list,
        ledgers::show,
        ledgers::balances,
        wallets::create,
        wallets::list,
        wallets::show,
        entries::list,
        transfers::post,
        transfers::post_batch,
        transactions::post,
        transactions::list,
        transactions::show,
        trace::show,
        merchants::create,
        merchants::list,
        merchants::show,
        merchants::agree,
        merchants::history,
        merchants::freeze,
        merchants::unfreeze,
        payments::create,
        payments::list,
        payments::show,
        payments::requery,
        webhooks::receive,
        reconciliations::run,
        reconciliations::runs,
        reconciliations::show_run,
        reconciliations::clearing,
        reconciliations::list,
        reconciliations::show,
        reconciliations::propose,
        reconciliations::approve,
        payouts::create,
        payouts::list,
        payouts::show,
        payouts::requery,
        payouts::resolve,
        refunds::create,
        refunds::list,
        refunds::show,
        refunds::resolve,
        settlements::run,
        settlements::list,
        settlements::preview,
        settlements::show,
        payout_runs::start,
        payout_runs::list,
        payout_runs::show,
        payout_runs::list_items,
        payout_runs::approve,
        payout_runs::resume,
        payout_runs::cancel,
        dead_letters::list,
        dead_letters::stats,
        dead_letters::show,
        dead_letters::discard,
        replays::start,
        replays::list,
        replays::show,
        replays::cancel,
        probes::live,
        probes::ready,
        probes::started,
        probes::metrics
    ),
    components(schemas(ProblemDocument, FieldProblem)),
    tags(
        (name = "ledgers", description = "Books, each balanced in itself."),
        (name = "wallets", description = "Who holds what, and how it came about."),
        (name = "transfers", description = "From one wallet to another."),
        (name = "transactions", description = "Many legs at once, and finding what was posted."),
        (name = "trace", description = "All that is known of money, wherever it is on its way."),
        (name = "merchants", description = "Whose money it is, and what was agreed with them."),
        (name = "payments", description = "Money in through a PSP."),
        (name = "webhooks", description = "What PSPs tell by themselves, signed instead of under a key."),
        (name = "reconciliation", description = "The ledger held against what PSPs and banks say."),
        (name = "payouts", description = "Money out through a PSP."),
        (name = "refunds", description = "Money back to customers, and chargebacks."),
        (name = "settlements", description = "What matured becomes the merchants' to have."),
        (name = "payout-runs", description = "Many payouts under one key."),
        (name = "dead-letters", description = "Messages that could not be handled, and what becomes of them: of all ledgers, or under a ledger's path of that ledger alone."),
        (name = "probes", description = "For whoever restarts and routes.")
    )
)]
struct Api;

/// The whole description.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    // The types of the description can always be written.
    let mut document = serde_json::to_value(Api::openapi()).unwrap_or_default();
    complete(&mut document);
    document
});

static JSON: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(DOCUMENT.to_string()));

pub(super) async fn document() -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type)], JSON.clone()).into_response()
}

/// Every kind of error, the ledger's rejections behind the others.
pub(super) fn all_kinds() -> impl Iterator<Item = Kind> {
    let rejections = RejectionCode::ALL.into_iter().map(Kind::of_rejection);
    kinds::ALL.iter().copied().chain(rejections)
}

fn complete(document: &mut Value) {
    let Some(components) = document
        .get_mut("components")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    components.insert("parameters".to_owned(), parameters());
    components.insert("headers".to_owned(), headers());
    if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
        complete_schemas(schemas);
    }
    let mut paths = document.get_mut("paths").and_then(Value::as_object_mut);
    if let Some(paths) = &mut paths {
        repeat_under_ledgers(paths);
    }
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete_operation(path, method, operation);
        }
    }
}

/// What belongs to no ledger is also there within one.
fn repeat_under_ledgers(paths: &mut Map<String, Value>) {
    let of_all = paths.iter().filter_map(|(path, item)| {
        let rest = path.strip_prefix("/v1/dead-letters")?;
        let mut item = item.clone();
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            let summary = operation["summary"].as_str().unwrap_or_default();
            operation["summary"] = json!(format!("{summary} of a ledger"));
            let id = operation["operationId"].as_str().unwrap_or_default();
            operation["operationId"] = json!(format!("{id}_of_ledger"));
        }
        Some((format!("/v1/ledgers/{{ledger}}/dead-letters{rest}"), item))
    });
    let repeated: Vec<_> = of_all.collect();
    paths.extend(repeated);
}

/// Unknown fields are refused, and codes are a closed list.
fn complete_schemas(schemas: &mut Map<String, Value>) {
    for (name, schema) in schemas.iter_mut() {
        if name.ends_with("Request") {
            schema["additionalProperties"] = json!(false);
        }
    }
    if let Some(code) = schemas
        .get_mut("Problem")
        .and_then(|p| p.pointer_mut("/properties/code"))
    {
        let mut codes: Vec<&str> = all_kinds().map(|kind| kind.code).collect();
        codes.sort_unstable();
        codes.dedup();
        code["enum"] = json!(codes);
    }
}

const WEBHOOKS: &str = "/v1/webhooks/";

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    if path.starts_with("/v1/") {
        // A PSP signs what it sends, and has no keys.
        let writes = method == "post" && !path.starts_with(WEBHOOKS);
        complete_parameters(path, writes, &mut operation["parameters"]);
        complete_responses(path, writes, &mut operation["responses"]);
    }
}

fn complete_parameters(path: &str, writes: bool, parameters: &mut Value) {
    let reference = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
    let mut all = Vec::new();
    if path.contains("{ledger}") {
        all.push(reference("Ledger"));
    }
    if path.contains("{merchant}") {
        all.push(reference("Merchant"));
    }
    let own = parameters.as_array().cloned().unwrap_or_default();
    all.extend(own.into_iter().map(|own| match own["name"].as_str() {
        Some("limit") => reference("Limit"),
        Some("after") => reference("After"),
        _ => own,
    }));
    if writes {
        all.push(reference("IdempotencyKey"));
    }
    all.extend([reference("CorrelationId"), reference("Traceparent")]);
    *parameters = json!(all);
}

fn complete_responses(path: &str, writes: bool, responses: &mut Value) {
    let Some(responses) = responses.as_object_mut() else {
        return;
    };
    let header = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
    for (status, response) in responses.iter_mut() {
        response["headers"] = json!({
            "X-Correlation-Id": header("CorrelationId"),
            "traceparent": header("Traceparent"),
        });
        if writes && status.starts_with('2') {
            response["headers"]["Idempotent-Replayed"] = header("IdempotentReplayed");
        }
    }
    for kind in all_kinds().filter(|kind| may_answer(path, writes, *kind)) {
        let problem = responses
            .entry(kind.status.to_string())
            .or_insert_with(|| problem_response(kind.status));
        let mut codes = problem["description"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        codes.push_str(if codes.is_empty() { "" } else { ", " });
        codes.push_str(&format!("`{}`", kind.code));
        problem["description"] = json!(codes);
    }
}

/// Whether an operation can be answered with this kind of error.
fn may_answer(path: &str, writes: bool, kind: Kind) -> bool {
    // A batch answers its rejections one by one.
    let posts = writes && (path.ends_with("/transfers") || path.ends_with("/transactions"));
    let commits = posts || path.ends_with("/batch");
    let names_wallet = path.contains("{wallet}");
    let begins_replay = writes && path.ends_with("/replays");
    let discards = path.ends_with("/discard");
    let is_payout = path.contains("/payouts/{id}");
    let makes_payout = writes && path.ends_with("/payouts");
    let resolves_payout = is_payout && path.ends_with("/resolve");
    let settles =
        path.ends_with("/settlements/preview") || (writes && path.ends_with("/settlements"));
    let is_webhook = path.starts_with(WEBHOOKS);
    let makes_payment = writes && path.ends_with("/payments");
    let asks_psp = path.ends_with("/payments/{id}/requery");
    let makes_refund = writes && path.ends_with("/refunds");
    let is_refund = path.contains("/refunds/{id}");
    let resolves_refund = is_refund && path.ends_with("/resolve");
    let reconciles = writes && path.ends_with("/reconciliations");
    let is_discrepancy = path.contains("/discrepancies/{id}");
    let proposes = is_discrepancy && path.ends_with("/propose");
    let approves = is_discrepancy && path.ends_with("/approve");
    let moves_money = makes_payment || makes_payout || makes_refund;
    let is_run = path.contains("/payout-runs/{key}");
    let starts_run = writes && path.ends_with("/payout-runs");
    let goes_on = is_run && (path.ends_with("/approve") || path.ends_with("/resume"));
    match (kind.status, kind.code) {
        (_, "not_found" | "method_not_allowed") => false,
        (_, "correlation_id_invalid" | "contended") => true,
        (401, _) => is_webhook,
        (_, "psp_not_found") => is_webhook,
        (_, "psp_not_configured") if writes && (starts_run || is_run) => true,
        (_, "psp_not_configured") => {
            is_webhook || moves_money || asks_psp || resolves_refund || (writes && is_payout)
        }
        (_, "psp_unavailable") => asks_psp,
        (_, "discrepancy_not_found") => is_discrepancy,
        (_, "reconciliation_not_found") => path.contains("/reconciliations/{id}"),
        (_, "statement_unusable") => reconciles,
        (_, "reconciliation_running") => reconciles || approves,
        (_, "discrepancy_resolved") => proposes || approves,
        (_, "approver_unknown") if approves => true,
        (
            _,
            "discrepancy_not_proposed"
            | "proposal_changed"
            | "second_person_needed"
            | "proposer_unknown",
        ) => approves,
        (
            422,
            "wallet_not_found" | "currency_mismatch" | "wallet_frozen" | "insufficient_funds"
            | "balance_overflow",
        ) if approves => true,
        (
            _,
            "unbalanced"
            | "same_wallet"
            | "too_many_legs"
            | "amount_not_positive"
            | "amount_too_large"
            | "currency_unknown",
        ) if proposes => true,
        (404, "merchant_not_found") => path.contains("{merchant}"),
        (_, "merchant_exists") => writes && path.ends_with("/merchants"),
        (_, "below_floor") => writes && path.ends_with("/terms"),
        (_, "payment_not_found") => path.contains("/payments/{id}"),
        (422, "merchant_not_found") if settles => true,
        (_, "settlement_not_found") => path.contains("/settlements/{id}"),
        (_, "payout_not_found") => is_payout,
        (_, "nothing_found") => path.contains("/trace/"),
        (_, "payout_not_open" | "payout_not_sent" | "payout_being_sent") => resolves_payout,
        (_, "refund_not_found") => is_refund,
        (_, "payment_not_paid" | "payment_disputed" | "refund_exceeds_payment") => makes_refund,
        (_, "refund_not_open" | "refund_not_sent" | "refund_being_sent") => resolves_refund,
        (422, "merchant_not_found" | "merchant_frozen" | "currency_not_agreed") => {
            makes_payment || makes_payout || starts_run
        }
        (_, "reference_taken") => makes_payment,
        (_, "recipient_missing" | "amount_below_minimum") => makes_payout || starts_run,
        (_, "amount_not_positive") if moves_money => true,
        (_, "insufficient_funds") if makes_payout || makes_refund => true,
        (_, "amount_too_large") if makes_refund => true,
        (_, "wallet_frozen")
            if makes_payout || makes_refund || resolves_refund || (writes && is_payout) =>
        {
            true
        }
        (_, "payout_run_not_found") => is_run,
        (_, "payout_run_key_reused" | "nothing_due") => starts_run,
        (_, "list_changed" | "list_empty" | "list_too_long" | "merchant_repeated") => starts_run,
        (_, "approver_is_starter" | "approver_unknown" | "starter_unknown") => {
            is_run && path.ends_with("/approve")
        }
        (_, "approval_needed") => is_run && path.ends_with("/resume"),
        (_, "payout_run_cancelled") => goes_on,
        (_, "nothing_to_cancel") => is_run && path.ends_with("/cancel"),
        (_, "amount_not_positive" | "amount_too_large" | "currency_mismatch") if starts_run => true,
        (_, "currency_unknown") if starts_run => true,
        (422, _) if is_webhook => false,
        (408 | 413, _) if is_webhook => true,
        (400, "body_unreadable") if is_webhook => true,
        (_, "ledger_not_found") => path.contains("{ledger}"),
        (404, "wallet_not_found") => names_wallet,
        (_, "transaction_not_found") => path.contains("/transactions/{id}"),
        (_, "dead_letter_not_found") => path.contains("/dead-letters/{id}") || begins_replay,
        (_, "replay_not_found") => path.contains("/replays/{id}"),
        (_, "dead_letter_decided") => discards,
        (_, "replay_running") => discards || begins_replay,
        (_, "bus_unavailable") => begins_replay,
        (_, "idempotency_key_reused" | "idempotency_key_in_flight") => writes,
        (_, "wallet_exists") => writes && path.ends_with("/wallets"),
        (_, "currency_needed") => names_wallet,
        (_, "overloaded" | "stopping") => commits,
        (400 | 408 | 413 | 415, _) => writes,
        (_, "amount_too_large") => {
            commits || makes_payment || makes_payout || (writes && path.ends_with("/wallets"))
        }
        (_, "currency_unknown") => {
            posts
                || makes_payment
                || makes_payout
                || path.contains("/wallets")
                || (!writes && path.ends_with("/settlements"))
                || path.ends_with("/terms")
                || (writes && path.ends_with("/merchants"))
        }
        (422, code) if code != kinds::FIELDS_INVALID.code => posts,
        _ => true,
    }
}

fn parameters() -> Value {
    let text = json!({"type": "string", "minLength": 1, "maxLength": 255});
    json!({
        "Ledger": {
            "name": "ledger", "in": "path", "required": true, "example": "main",
            "description": "The ledger's name.", "schema": {"type": "string"},
        },
        "Merchant": {
            "name": "merchant", "in": "path", "required": true, "example": "acme",
            "description": "The merchant's id.", "schema": {"type": "string"},
        },
        "Limit": {
            "name": "limit", "in": "query", "required": false,
            "description": "How many items a page may have.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        },
        "After": {
            "name": "after", "in": "query", "required": false,
            "description": "The `next` of the page before.", "schema": {"type": "string"},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": true,
            "example": "order-1001",
            "description": "1 to 255 printable characters, new for every new request to a \
                            ledger, and the same for a repeat, which is answered as the request was. \
                            A request that was refused or failed leaves its key free.",
            "schema": text,
        },
        "CorrelationId": {
            "name": "X-Correlation-Id", "in": "header", "required": false,
            "description": "What the request belongs to; a UUIDv7 is made where it is absent.",
            "schema": text,
        },
        "Traceparent": {
            "name": "traceparent", "in": "header", "required": false,
            "description": "W3C trace context; made where it is absent or malformed.",
            "schema": {"type": "string"},
        },
    })
}

fn headers() -> Value {
    json!({
        "CorrelationId": {
            "description": "The body's correlation id, else the header's, else one that was made.",
            "schema": {"type": "string"},
        },
        "Traceparent": {
            "description": "The trace context that events carry on.",
            "schema": {"type": "string"},
        },
        "IdempotentReplayed": {
            "description": "`true` where the request had taken effect before.",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "RetryAfter": {
            "description": "Seconds to wait before the same request is sent again.",
            "schema": {"type": "integer"},
        },
    })
}

/// An answer with an error; its codes are listed behind.
fn problem_response(status: u16) -> Value {
    let mut response = json!({
        "description": "",
        "headers": {
            "X-Correlation-Id": {"$ref": "#/components/headers/CorrelationId"},
            "traceparent": {"$ref": "#/components/headers/Traceparent"},
        },
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
        }},
    });
    if matches!(status, 409 | 429 | 503) {
        response["headers"]["Retry-After"] = json!({"$ref": "#/components/headers/RetryAfter"});
    }
    response
}
