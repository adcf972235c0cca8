//! `aegisctl merchant freeze` and `unfreeze`.

use time::OffsetDateTime;

use super::missing;
use crate::cli::confirm::{self, confirm};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::Table;
use crate::cli::who;
use crate::dlq::discard::Reason;
use crate::merchant::{MerchantId, MerchantStatus};
use crate::onboarding::{self, Call, Office};
use crate::view::MerchantView;

/// Take no more payments and pay nothing out, or go on
///
/// A frozen merchant takes no new payment and is not paid out; what was paid before is credited and
/// settled all the same. Asks first, and keeps who did it and why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl merchant freeze acme --reason 'chargebacks far above normal, ticket 4711'
  aegisctl --yes merchant unfreeze acme --reason 'explained, ticket 4711'")]
pub(in crate::cli) struct Args {
    /// The merchant's id
    id: MerchantId,
    /// Why, for whoever reads it later
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Show the merchant, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: &Args, freeze: bool) -> anyhow::Result<Exit> {
    let (status, deed) = match freeze {
        true => (MerchantStatus::Frozen, "Freeze"),
        false => (MerchantStatus::Active, "Unfreeze"),
    };
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let found = onboarding::read(&mut conn, &ledger, &args.id).await?;
    let standing = found.ok_or_else(|| missing(&ledger, &args.id))?;
    drop(conn);
    let view = |merchant| MerchantView::new(&ledger, merchant, &standing.terms);
    if standing.merchant.status == status {
        context
            .out
            .note(&format!("the merchant is {} already", status.as_str()));
        context.out.record(&view(&standing.merchant))?;
        return Ok(Exit::Done);
    }
    let before = view(&standing.merchant);
    confirm::show(context, &Table::of(std::slice::from_ref(&before)));
    if args.dry_run {
        context.out.note("nothing was done");
        return Ok(Exit::Done);
    }
    confirm(context, &format!("{deed} {}?", args.id)).await?;
    let pool = context.database()?.posting_pool(1);
    let call = Call {
        office: &Office::from_config(context.config()),
        ledger: &ledger,
        actor: &who::operator(),
        now: OffsetDateTime::now_utc(),
    };
    let done = onboarding::set_status(&pool, call, &args.id, status, args.reason.as_str()).await?;
    let (merchant, _) = done.ok_or_else(|| missing(&ledger, &args.id))?;
    context.out.record(&view(&merchant))?;
    Ok(Exit::Done)
}
