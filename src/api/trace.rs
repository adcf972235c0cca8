//! The way of money.

use axum::extract::State;
use axum::response::Response;

use super::ApiState;
use super::extract::{InLedger, ReferenceSegment};
use super::fields::{Wrong, shown};
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::state::database;
use crate::trace::{self, THINGS_DEFAULT, THINGS_MAX};
use crate::view::TraceView;

/// Trace a reference
///
/// All that is known of a transaction, payment, refund, settlement, payout, event, dead letter, key,
/// reference or correlation id, with what lies before and behind it on money's way, in order of time.
/// `payment:<id>` and the like name one thing alone. A payout that money left with is found first in,
/// first out.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/trace/{reference}", tag = "trace",
    params(
        ("reference" = String, Path, description = "Whatever there is in hand.", example = "order-1001"),
        ("things" = Option<usize>, Query, description = "At most about so many things, 1 to 2,000; 200 unless said."),
    ),
    responses((status = 200, description = "What is known.", body = TraceView)),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    ReferenceSegment(reference): ReferenceSegment,
    mut params: Params,
) -> Result<Response, Problem> {
    let things = params.read("things", |text| {
        let things = text.parse().ok();
        let things = things.filter(|things| (1..=THINGS_MAX).contains(things));
        things.ok_or_else(|| {
            Wrong::new(format!(
                "is no number of things: write an integer from 1 to {THINGS_MAX}"
            ))
        })
    });
    params.finish()?;
    let things_max = things.unwrap_or(THINGS_DEFAULT);
    let found = database!(state, |conn| trace::trace(
        conn, &ledger, &reference, things_max
    ));
    let Some(found) = found else {
        let shown = shown(&reference);
        let detail = format!("Nothing in ledger {} is known as {shown}.", ledger.name);
        return Err(Problem::new(kinds::NOTHING_FOUND, detail));
    };
    respond::ok(&TraceView::new(
        &ledger,
        &reference,
        &found.found,
        &found.moments,
        (found.things, found.cut),
    ))
}
