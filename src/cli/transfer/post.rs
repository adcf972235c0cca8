//! `aegisctl transfer post`.

use anyhow::Context as _;
use uuid::Uuid;

use super::show_transaction;
use crate::cli::amount::{AmountArgs, Unread};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::engine::{PostError, Request};
use crate::ledger::{Command, Details, IdempotencyKey, InvalidField, Outcome, WalletRef};
use crate::view::TransactionView;

/// Post one transfer
///
/// Debits one wallet and credits another of the same currency. The key makes it safe to repeat:
/// the same key with the same request takes effect once, for ever, and is answered with `replayed`
/// from then on. A transfer that a rule refuses leaves no trace and ends with exit code 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl transfer post --from psp:paystack --to merchant:acme:available \\
      --currency NGN --amount 1250.00 --key order-17
  aegisctl transfer post --from psp:paystack --to merchant:acme:available \\
      --currency NGN --minor 125000 --reference invoice-9 --metadata '{\"order\": 17}'

An amount needs exactly its currency's decimals: --amount 1250 in NGN is refused, since it could
mean 1250.00 or 12.50.")]
pub(in crate::cli) struct Args {
    /// The wallet to debit: address or id
    #[arg(long, value_name = "WALLET")]
    from: WalletRef,
    /// The wallet to credit: address or id
    #[arg(long, value_name = "WALLET")]
    to: WalletRef,
    /// Currency code of ISO 4217, such as NGN
    #[arg(long, value_name = "C")]
    currency: String,
    #[command(flatten)]
    amount: AmountArgs,
    /// Makes a repeat safe: 1 to 255 printable characters; made up unless given
    #[arg(long, value_name = "K")]
    key: Option<IdempotencyKey>,
    /// Your own name for the transfer, not unique, up to 255 characters
    #[arg(long, value_name = "R")]
    reference: Option<String>,
    /// Ties the transfer to what caused it, up to 255 characters
    #[arg(long, value_name = "X")]
    correlation_id: Option<String>,
    /// When it takes effect in the books: RFC 3339, such as 2026-11-22T09:30:00Z [default: now]
    #[arg(long, value_name = "T")]
    effective_at: Option<String>,
    /// Your own JSON object, up to 16 KiB
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
}

impl Args {
    fn details(&self) -> Result<Details, InvalidField> {
        let mut details = Details::default();
        if let Some(reference) = &self.reference {
            details = details.with_reference(reference)?;
        }
        if let Some(correlation_id) = &self.correlation_id {
            details = details.with_correlation_id(correlation_id)?;
        }
        if let Some(effective_at) = &self.effective_at {
            details = details.with_effective_at(effective_at)?;
        }
        if let Some(metadata) = &self.metadata {
            details = details.with_metadata(metadata)?;
        }
        Ok(details)
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let amount = args
        .amount
        .in_minor(&args.currency)
        .map_err(|unread| match unread {
            Unread::Rule(rejection) => Failure::from(rejection),
            Unread::Ambiguous(field) | Unread::Field(field) => usage(&field),
        })?;
    let details = args.details().map_err(|field| usage(&field))?;
    let made_up = args.key.is_none();
    let key = match args.key {
        Some(key) => key,
        None => Uuid::now_v7()
            .to_string()
            .parse()
            .map_err(anyhow::Error::msg)?,
    };
    let ledger = context.ledger_unless_interrupted().await?;
    let command = Command::transfer(
        key.clone(),
        args.from,
        args.to,
        &args.currency,
        amount,
        details,
    );
    if made_up {
        // Said before posting: whoever loses the connection can still repeat it.
        context
            .out
            .note(&format!("key {key} (repeat with --key {key} to be safe)"));
    }
    let engine = context.engine()?;
    let requests = [Request::one(command)];
    let posted = tokio::select! {
        posted = engine.post(&ledger, &requests) => posted,
        () = context.interrupt.cancelled() => {
            return Err(Failure::Interrupted(format!(
                "whether the transfer took effect is unknown: repeat it with --key {key}"
            )).into());
        }
    };
    let outcome = posted
        .map_err(|error| unanswered(error, &key))?
        .into_iter()
        .flatten()
        .next()
        .context("the engine gave no answer")?;
    let (receipt, status) = match &outcome {
        Outcome::Posted(receipt) => (receipt, "posted"),
        Outcome::Replayed(receipt) => (receipt, "replayed"),
        Outcome::Rejected(rejection) => return Err(Failure::from(rejection.clone()).into()),
    };
    show_transaction(
        &context.out,
        &TransactionView::new(&ledger, receipt, status),
    )?;
    if status == "replayed" {
        context
            .out
            .note("replayed: it had taken effect before, under the same key");
    }
    Ok(Exit::Done)
}

fn usage(field: &InvalidField) -> Failure {
    Failure::Usage(format!(
        "--{}: {}",
        field.field.replace('_', "-"),
        field.problem
    ))
}

/// A lost connection leaves open whether the transfer took effect; the key tells.
fn unanswered(error: PostError, key: &IdempotencyKey) -> anyhow::Error {
    match error {
        PostError::Unavailable { source } => Failure::Unreachable(format!(
            "the database can't be reached any more ({source}); whether the transfer took effect \
             is unknown: repeat it with --key {key}"
        ))
        .into(),
        error => error.into(),
    }
}
