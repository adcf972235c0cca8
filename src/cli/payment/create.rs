//! `aegisctl payment create`.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{failed, options, psp};
use crate::cli::amount::{AmountArgs, Unread};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::ledger::{Currency, Details, IdempotencyKey, InvalidField, Metadata};
use crate::merchant::MerchantId;
use crate::payments::{self, CallbackUrl, Created, Email, NewPayment, PaymentReference};
use crate::postgres::payments::PaymentStatus;
use crate::view::PaymentView;

/// Make a payment and have the PSP open it
///
/// The payment is written first. Where the PSP can't be reached it stays `created`, and is opened
/// by an aegisd, or by the same command with the same key once that is due. The key makes it safe to
/// repeat.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payment create --merchant acme --currency NGN --amount 12500.00 \\
      --email ada@example.com --key order-1001 --reference order-1001

An amount needs exactly its currency's decimals: --amount 1250 in NGN is refused, since it could
mean 1250.00 or 12.50.")]
pub(in crate::cli) struct Args {
    /// Whose money it will be
    #[arg(long, value_name = "ID")]
    merchant: MerchantId,
    /// Currency code of ISO 4217, such as NGN
    #[arg(long, value_name = "C")]
    currency: Currency,
    #[command(flatten)]
    amount: AmountArgs,
    /// The customer's address
    #[arg(long, value_name = "ADDRESS")]
    email: Email,
    /// Makes a repeat safe: 1 to 255 printable characters; made up unless given
    #[arg(long, value_name = "K")]
    key: Option<IdempotencyKey>,
    /// As the PSP is to know it [default: the payment's id]
    #[arg(long, value_name = "R")]
    reference: Option<PaymentReference>,
    /// Where the customer goes after paying
    #[arg(long, value_name = "URL")]
    callback_url: Option<CallbackUrl>,
    /// Ties the payment to what caused it, up to 255 characters
    #[arg(long, value_name = "X")]
    correlation_id: Option<String>,
    /// Your own JSON object, up to 16 KiB
    #[arg(long, value_name = "JSON")]
    metadata: Option<Metadata>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let amount = args.amount.in_minor(args.currency.code());
    let amount = amount.map_err(|unread| match unread {
        Unread::Rule(rejection) => Failure::from(rejection),
        Unread::Ambiguous(field) | Unread::Field(field) => usage(&field),
    })?;
    let correlation_id = match &args.correlation_id {
        Some(text) => {
            let details = Details::default().with_correlation_id(text);
            details.map_err(|field| usage(&field))?.correlation_id
        }
        None => None,
    };
    let psp = psp(context)?;
    let made_up = args.key.is_none();
    let key = match args.key {
        Some(key) => key,
        None => Uuid::now_v7()
            .to_string()
            .parse()
            .map_err(anyhow::Error::msg)?,
    };
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    drop(conn);
    if made_up {
        let note = format!("key {key} (repeat with --key {key} to be safe)");
        context.out.note(&note);
    }
    let new = NewPayment {
        key,
        merchant: args.merchant,
        amount,
        currency: args.currency,
        email: args.email,
        reference: args.reference,
        callback_url: args.callback_url,
        metadata: args.metadata,
        correlation_id,
        traceparent: None,
    };
    let (pool, options) = (
        context.database()?.posting_pool(2),
        options(context, &ledger),
    );
    let now = OffsetDateTime::now_utc();
    let created = payments::create(&pool, &options, &ledger, &new, now);
    let payment = match created.await.map_err(failed)? {
        Created::Now(payment) => {
            let opened = payments::open(&pool, &options, &psp, &ledger, &payment, true, now);
            opened.await.map_err(failed)?
        }
        Created::Before(payment) => {
            context
                .out
                .note("it had been asked for before, under the same key");
            let next = payments::open_again(&pool, &options, &psp, &ledger, payment, now);
            next.await.map_err(failed)?
        }
        Created::Rejected(refused) => {
            let (code, detail) = (refused.code, refused.detail);
            return Err(Failure::Rejected { code, detail }.into());
        }
    };
    context.out.record(&PaymentView::new(&ledger, &payment))?;
    if payment.status == PaymentStatus::Created {
        let why = payment.last_error.as_deref().unwrap_or("no answer yet");
        let note = format!("the PSP has not opened it yet ({why}); it is tried again");
        context.out.note(&note);
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
