//! `aegisctl payout create`.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{CONNECTIONS_MAX, failure, options};
use crate::cli::amount::{AmountArgs, Unread};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::who;
use crate::ledger::{Currency, Details, IdempotencyKey, InvalidField};
use crate::merchant::MerchantId;
use crate::payouts::{self, NewPayout, Requested};
use crate::view::PayoutView;

/// Ask for a payout
///
/// Takes the funds from merchant:<m>:available into transit; aegisd sends it (or, while it is down,
/// `aegisctl payout requery`). The key makes it safe to repeat: the same key with the same request is
/// the same payout, for ever.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout create --merchant acme --currency NGN --amount 1250.00 --key november-acme
  aegisctl payout create --merchant acme --currency NGN --minor 125000 --reference november

Where it goes stands in the merchant's terms. A rule's no ends with exit code 3.")]
pub(in crate::cli) struct Args {
    /// To whom
    #[arg(long, value_name = "M")]
    merchant: MerchantId,
    /// Currency code of ISO 4217, such as NGN
    #[arg(long, value_name = "C")]
    currency: Currency,
    #[command(flatten)]
    amount: AmountArgs,
    /// Makes a repeat safe: 1 to 255 printable characters; made up unless given
    #[arg(long, value_name = "K")]
    key: Option<IdempotencyKey>,
    /// Your own name for it, which the recipient reads too; not unique, up to 255 characters
    #[arg(long, value_name = "R")]
    reference: Option<String>,
    /// Ties it to what caused it, up to 255 characters
    #[arg(long, value_name = "X")]
    correlation_id: Option<String>,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let amount = args.amount.in_minor(args.currency.code());
    let amount = amount.map_err(|unread| match unread {
        Unread::Rule(rejection) => Failure::from(rejection),
        Unread::Ambiguous(field) | Unread::Field(field) => usage(&field),
    })?;
    let details = details(args).map_err(|field| usage(&field))?;
    let key = match &args.key {
        Some(key) => key.clone(),
        None => Uuid::now_v7()
            .to_string()
            .parse()
            .map_err(anyhow::Error::msg)?,
    };
    let ledger = context.ledger_unless_interrupted().await?;
    if args.key.is_none() {
        // Said before: whoever loses the connection can still repeat it.
        let note = format!("key {key} (repeat with --key {key} to be safe)");
        context.out.note(&note);
    }
    let new = NewPayout {
        merchant: args.merchant.clone(),
        currency: args.currency,
        amount,
        label: details.reference,
        key: key.clone(),
        run: None,
        correlation_id: details.correlation_id,
        traceparent: None,
        requested_by: who::operator().name,
    };
    let pool = context.database()?.posting_pool(CONNECTIONS_MAX);
    let (options, now) = (options(context), OffsetDateTime::now_utc());
    let requested = tokio::select! {
        requested = payouts::request_now(&pool, &options, &ledger, &new, now) => requested,
        () = context.interrupt.cancelled() => {
            return Err(Failure::Interrupted(format!(
                "whether the payout was asked for is unknown: repeat it with --key {key}"
            )).into());
        }
    };
    let (payout, is_new) = match requested.map_err(failure)? {
        Requested::Now(payout) => (payout, true),
        Requested::Before(payout) => (payout, false),
        Requested::Rejected { code, detail } => {
            return Err(Failure::Rejected { code, detail }.into());
        }
    };
    context.out.record(&PayoutView::new(&ledger, &payout))?;
    if !is_new {
        let note = "it had been asked for before, under the same key";
        context.out.note(note);
    }
    Ok(Exit::Done)
}

fn details(args: &Args) -> Result<Details, InvalidField> {
    let mut details = Details::default();
    if let Some(reference) = &args.reference {
        details = details.with_reference(reference)?;
    }
    if let Some(correlation_id) = &args.correlation_id {
        details = details.with_correlation_id(correlation_id)?;
    }
    Ok(details)
}

fn usage(field: &InvalidField) -> Failure {
    let name = field.field.replace('_', "-");
    Failure::Usage(format!("--{name}: {}", field.problem))
}
