//! The HTTP API: JSON under `/v1`, probes, and its own description.
//!
//! A request goes through `request::attend`, which gives it its ids, its time limit and its log
//! line; if it writes, through `idempotency`, which answers repeats; then to the handler of its
//! resource, which reads every field before it says what is wrong with any, and hands commands to
//! the committer. Errors are problem documents with stable
//! codes. Nothing is decided here: the ledger's rules are the engine's.

mod body;
mod caller;
mod correlation;
mod dead_letters;
mod docs;
mod entries;
mod extract;
mod fields;
mod fingerprint;
mod idempotency;
mod kinds;
mod ledgers;
mod liveness;
mod measured;
mod merchants;
mod openapi;
mod payments;
mod payout_runs;
mod payouts;
mod posting;
mod probes;
mod problem;
mod query;
mod readiness;
mod reconciliations;
mod refunds;
mod replays;
mod request;
mod respond;
pub mod schema;
mod settlements;
mod state;
mod trace;
mod transactions;
mod transfers;
mod values;
mod wallets;
mod webhooks;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub use caller::Peer;
pub use liveness::{Liveness, LoopStanding};
pub use readiness::{BreakerStanding, Check, CheckStatus, Readiness};
pub use state::{ApiState, Limits};

use idempotency::writing;
use problem::Problem;

/// The whole API over what the handlers share.
pub fn router(state: ApiState) -> Router {
    let at = &state;
    let ledger = Router::new()
        .route("/", get(ledgers::show))
        .route("/balances", get(ledgers::balances))
        .route(
            "/wallets",
            get(wallets::list).merge(writing(at, wallets::create)),
        )
        .route("/wallets/{wallet}", get(wallets::show))
        .route("/wallets/{wallet}/entries", get(entries::list))
        .route("/transfers", writing(at, transfers::post))
        .route("/transfers/batch", writing(at, transfers::post_batch))
        .route(
            "/transactions",
            get(transactions::list).merge(writing(at, transactions::post)),
        )
        .route("/transactions/{id}", get(transactions::show))
        .route("/trace/{reference}", get(trace::show))
        .nest("/merchants", merchants(at))
        .route(
            "/payouts",
            get(payouts::list).merge(writing(at, payouts::create)),
        )
        .route("/payouts/{id}", get(payouts::show))
        .route("/payouts/{id}/requery", writing(at, payouts::requery))
        .route("/payouts/{id}/resolve", writing(at, payouts::resolve))
        .route(
            "/payments",
            get(payments::list).merge(writing(at, payments::create)),
        )
        .route("/payments/{id}", get(payments::show))
        .route("/payments/{id}/requery", writing(at, payments::requery))
        .route(
            "/payments/{id}/refunds",
            get(refunds::list).merge(writing(at, refunds::create)),
        )
        .route("/refunds/{id}", get(refunds::show))
        .route("/refunds/{id}/resolve", writing(at, refunds::resolve))
        .route(
            "/settlements",
            get(settlements::list).merge(writing(at, settlements::run)),
        )
        .route("/settlements/preview", get(settlements::preview))
        .route("/settlements/{id}", get(settlements::show))
        .nest("/payout-runs", payout_runs(at))
        .nest("/reconciliations", reconciliations(at))
        .nest("/discrepancies", discrepancies(at))
        .nest("/dead-letters", dead_letters(at));
    Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/startupz", get(probes::started))
        .route("/metrics", get(probes::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(docs::page))
        .route(
            "/v1/ledgers",
            get(ledgers::list).merge(writing(at, ledgers::create)),
        )
        .route("/v1/webhooks/{psp}", post(webhooks::receive))
        .nest("/v1/ledgers/{ledger}", ledger)
        .nest("/v1/dead-letters", dead_letters(at))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), request::attend))
        .with_state(state)
}

fn reconciliations(at: &ApiState) -> Router<ApiState> {
    Router::new()
        .route(
            "/",
            get(reconciliations::runs).merge(writing(at, reconciliations::run)),
        )
        .route("/clearing", get(reconciliations::clearing))
        .route("/{id}", get(reconciliations::show_run))
}

fn discrepancies(at: &ApiState) -> Router<ApiState> {
    Router::new()
        .route("/", get(reconciliations::list))
        .route("/{id}", get(reconciliations::show))
        .route("/{id}/propose", writing(at, reconciliations::propose))
        .route("/{id}/approve", writing(at, reconciliations::approve))
}

fn merchants(at: &ApiState) -> Router<ApiState> {
    Router::new()
        .route(
            "/",
            get(merchants::list).merge(writing(at, merchants::create)),
        )
        .route("/{merchant}", get(merchants::show))
        .route(
            "/{merchant}/terms",
            get(merchants::history).merge(writing(at, merchants::agree)),
        )
        .route("/{merchant}/freeze", writing(at, merchants::freeze))
        .route("/{merchant}/unfreeze", writing(at, merchants::unfreeze))
}

fn payout_runs(at: &ApiState) -> Router<ApiState> {
    Router::new()
        .route(
            "/",
            get(payout_runs::list).merge(writing(at, payout_runs::start)),
        )
        .route("/{key}", get(payout_runs::show))
        .route("/{key}/items", get(payout_runs::list_items))
        .route("/{key}/approve", writing(at, payout_runs::approve))
        .route("/{key}/resume", writing(at, payout_runs::resume))
        .route("/{key}/cancel", writing(at, payout_runs::cancel))
}

/// Of all ledgers, or of the one that the path names.
fn dead_letters(at: &ApiState) -> Router<ApiState> {
    Router::new()
        .route("/", get(dead_letters::list))
        .route("/stats", get(dead_letters::stats))
        .route("/{id}", get(dead_letters::show))
        .route("/{id}/discard", writing(at, dead_letters::discard))
        .route(
            "/replays",
            get(replays::list).merge(writing(at, replays::start)),
        )
        .route("/replays/{id}", get(replays::show))
        .route("/replays/{id}/cancel", writing(at, replays::cancel))
}

async fn not_found(uri: Uri) -> Problem {
    let detail = format!(
        "There is nothing at {}; /docs lists what there is.",
        shown(&uri)
    );
    Problem::new(kinds::NOT_FOUND, detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} does not take {method}; the Allow header lists what it takes.",
        shown(&uri)
    );
    Problem::new(kinds::METHOD_NOT_ALLOWED, detail)
}

fn shown(uri: &Uri) -> String {
    uri.path().chars().take(255).collect()
}
