//! `aegisctl refund create`.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{CONNECTIONS_MAX, failure, options, payment_not_found};
use crate::cli::amount::{self, Unread};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::who;
use crate::ledger::{Currency, IdempotencyKey, InvalidField};
use crate::postgres::payments;
use crate::refunds::{self, CustomerNote, NewRefund, Requested};
use crate::view::RefundView;

/// Refund a payment, or a part of it
///
/// Takes the merchant's share and, as its terms say, the platform's into transit; aegisd sends it (or,
/// while it is down, `aegisctl refund requery`). The key makes it safe to repeat: the same key with
/// the same request is the same refund, for ever.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl refund create --payment 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f --key order-17
  aegisctl refund create --payment 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f --amount 12.50 \\
      --key order-17-socks --note 'one of two was out of stock'

A rule's no ends with exit code 3.")]
pub(in crate::cli) struct Args {
    /// The payment's id
    #[arg(long, value_name = "ID")]
    payment: Uuid,
    /// Amount with exactly the currency's decimals; all that is left of the payment unless given
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    amount: Option<String>,
    /// Amount in minor units: 125000 is NGN 1250.00
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        conflicts_with = "amount"
    )]
    minor: Option<String>,
    /// Makes a repeat safe: 1 to 255 printable characters; made up unless given
    #[arg(long, value_name = "K")]
    key: Option<IdempotencyKey>,
    /// What the customer is told, up to 255 characters
    #[arg(long, value_name = "TEXT")]
    note: Option<CustomerNote>,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let key = match &args.key {
        Some(key) => key.clone(),
        None => Uuid::now_v7()
            .to_string()
            .parse()
            .map_err(anyhow::Error::msg)?,
    };
    let reading = async {
        let mut conn = context.connect().await?;
        let ledger = context.ledger(&mut conn).await?;
        let found = payments::find(&mut conn, ledger.id, args.payment).await?;
        let payment = found.ok_or_else(|| payment_not_found(args.payment))?;
        Ok((ledger, payment))
    };
    let (ledger, payment) = context.unless_interrupted(reading).await?;
    let amount = wanted(args, payment.currency)?;
    if args.key.is_none() {
        // Said before: whoever loses the connection can still repeat it.
        let note = format!("key {key} (repeat with --key {key} to be safe)");
        context.out.note(&note);
    }
    let new = NewRefund {
        payment_id: payment.id,
        amount,
        customer_note: args.note.as_ref().map(|note| note.as_str().to_owned()),
        key: key.clone(),
        correlation_id: payment.correlation_id,
        traceparent: None,
        requested_by: who::operator().name,
    };
    let pool = context.database()?.posting_pool(CONNECTIONS_MAX);
    let (options, now) = (options(context), OffsetDateTime::now_utc());
    let requested = tokio::select! {
        requested = refunds::request_now(&pool, &options, &ledger, &new, now) => requested,
        () = context.interrupt.cancelled() => {
            return Err(Failure::Interrupted(format!(
                "whether the refund was asked for is unknown: repeat it with --key {key}"
            )).into());
        }
    };
    let (refund, is_new) = match requested.map_err(failure)? {
        Requested::Now(refund) => (refund, true),
        Requested::Before(refund) => (refund, false),
        Requested::Rejected { code, detail } => {
            return Err(Failure::Rejected { code, detail }.into());
        }
    };
    context.out.record(&RefundView::new(&ledger, &refund))?;
    if !is_new {
        let note = "it had been asked for before, under the same key";
        context.out.note(note);
    }
    Ok(Exit::Done)
}

/// Minor units; none: all that is left.
fn wanted(args: &Args, currency: Currency) -> anyhow::Result<Option<i64>> {
    let read = match (&args.minor, &args.amount) {
        (Some(text), _) => amount::read_minor(text),
        (None, Some(text)) => amount::read(text, currency.code()),
        (None, None) => return Ok(None),
    };
    let read = read.map_err(|unread| match unread {
        Unread::Rule(rejection) => Failure::from(rejection),
        Unread::Ambiguous(field) | Unread::Field(field) => usage(&field),
    })?;
    Ok(Some(read))
}

fn usage(field: &InvalidField) -> Failure {
    let name = field.field.replace('_', "-");
    Failure::Usage(format!("--{name}: {}", field.problem))
}
