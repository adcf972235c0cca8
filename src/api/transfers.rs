//! Transfers: from one wallet to another, one a request or thousands.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;

use super::ApiState;
use super::body::JsonBody;
use super::extract::{InContext, InLedger, Key};
use super::fields::Object;
use super::problem::Problem;
use super::request::Context;
use super::schema::{BatchRequest, BatchResult, BatchResults, TransferRequest};
use super::values::{Items, Minor};
use super::{posting, respond};
use crate::engine::{REQUEST_COMMANDS_MAX, Request};
use crate::ledger::{Command, IdempotencyKey, Outcome, WalletRef};
use crate::view::TransactionView;

/// Post a transfer
///
/// The `Idempotency-Key` is the transfer's key for ever: a repeat with the same body is answered
/// with the transaction that was posted first.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/transfers", tag = "transfers",
    request_body = TransferRequest,
    responses(
        (status = 201, description = "Posted, now or before under this key.", body = TransactionView),
    ),
)]
pub(super) async fn post(
    State(state): State<ApiState>,
    InContext(context): InContext,
    Key(key): Key,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let command = body.read(|object| transfer(object, Some(key), &context))?;
    if let Ok(Some(leg)) = command.transaction.as_ref().map(|all| all.legs().first()) {
        context.note_wallet(&leg.wallet);
    }
    posting::post(&state, &ledger, &context, command).await
}

fn transfer(
    object: &mut Object<'_, '_>,
    key: Option<IdempotencyKey>,
    context: &Context,
) -> Option<Command> {
    let source = object.required::<WalletRef>("source");
    let destination = object.required::<WalletRef>("destination");
    let currency = object.required::<Cow<'_, str>>("currency");
    let amount = object.required::<Minor>("amount");
    let details = posting::details(object, context);
    Some(Command::transfer(
        key?,
        source?,
        destination?,
        &currency?,
        amount?.0,
        details,
    ))
}

/// Post many transfers
///
/// Each stands for itself with a key of its own unless `atomic` is true; a rejected one is an
/// answer in its place. A field that can't be read refuses the whole batch before anything is
/// posted. Only the keys of the transfers are kept for ever: a repeat of the batch is answered as it
/// was at first while that answer is at hand, for a day at most, and otherwise, or where some were
/// rejected, transfer by transfer, with `replayed` for what had been posted.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/transfers/batch", tag = "transfers",
    request_body = BatchRequest,
    responses((status = 200, description = "What came of each, in order.", body = BatchResults)),
)]
pub(super) async fn post_batch(
    State(state): State<ApiState>,
    InContext(context): InContext,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let request = body.read(|object| batch(object, &context))?;
    drop(body);
    let outcomes = state.committer().post(&ledger, request).await?;
    let results: Vec<_> = outcomes.into_iter().map(BatchResult::from).collect();
    let rejected = results.iter().any(|result| result.status == "rejected");
    let answer = respond::ok(&BatchResults { results })?;
    Ok(match rejected {
        true => respond::key_stays_free(answer),
        false => answer,
    })
}

fn batch(object: &mut Object<'_, '_>, context: &Context) -> Option<Request> {
    let items = object.required::<Items<'_>>("transfers");
    let atomic = object.optional::<bool>("atomic").unwrap_or_default();
    let Items(items) = items?;
    if !(1..=REQUEST_COMMANDS_MAX).contains(&items.len()) {
        let problem = format!(
            "has {} items: write 1 to {REQUEST_COMMANDS_MAX}",
            items.len()
        );
        object.wrong("transfers", problem);
        return None;
    }
    let mut commands = Vec::with_capacity(items.len());
    for (n, raw) in items.into_iter().enumerate() {
        let Some(mut item) = object.item("transfers", n, raw) else {
            continue;
        };
        let key = item.required::<IdempotencyKey>("idempotency_key");
        commands.extend(transfer(&mut item, key, context));
        item.finish();
    }
    Some(Request { commands, atomic })
}

impl From<Outcome> for BatchResult {
    fn from(outcome: Outcome) -> Self {
        let (status, receipt) = match outcome {
            Outcome::Posted(receipt) => ("posted", receipt),
            Outcome::Replayed(receipt) => ("replayed", receipt),
            Outcome::Rejected(rejection) => {
                return Self {
                    status: "rejected",
                    transaction_id: None,
                    code: Some(rejection.code.as_str()),
                    detail: Some(rejection.detail),
                };
            }
        };
        let transaction_id = Some(receipt.transaction_id);
        Self {
            status,
            transaction_id,
            code: None,
            detail: None,
        }
    }
}
