//! `aegisctl payout resolve`.

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{CONNECTIONS_MAX, failure, not_found, options};
use crate::cli::confirm::{self, confirm};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Cell, Column, Record, Table};
use crate::cli::who;
use crate::dlq::discard::Reason;
use crate::payouts::{self, Resolved, Verdict};
use crate::view::PayoutView;

/// Decide how a payout ended, with a reason
///
/// For a payout whose end nobody else tells: the recipient's bank, or the PSP's own people, were
/// asked. Shows the payout and asks. `succeeded` takes the funds out of transit for good, `failed`
/// gives them back to the merchant. What the PSP says against it later opens a discrepancy and moves
/// nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout resolve 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f --as failed \\
      --reason 'the bank has nothing of it, ticket 4711'
  aegisctl payout resolve 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f --as succeeded \\
      --reason 'seen on the statement of 24 November' --dry-run

Exit codes: 3 a rule says no: the payout has ended, was never sent, or is being sent at this moment;
8 declined, or no terminal to ask on.")]
pub(in crate::cli) struct Args {
    /// The payout's id
    id: Uuid,
    /// How it ended: succeeded or failed
    #[arg(long = "as", value_name = "VERDICT")]
    verdict: Verdict,
    /// Why, for whoever reads it later
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is to be done.
#[derive(Serialize)]
struct Plan<'a> {
    #[serde(flatten)]
    payout: &'a PayoutView,
    r#as: &'a str,
    moves: String,
    dry_run: bool,
}

impl Record for Plan<'_> {
    const COLUMNS: &'static [Column] = &[
        Column::text("id"),
        Column::text("merchant"),
        Column::number("amount"),
        Column::text("currency"),
        Column::text("status"),
        Column::text("as"),
        Column::text("moves"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.payout.id.to_string().into(),
            self.payout.merchant.as_str().into(),
            Cell::money(self.payout.amount, &self.payout.currency),
            self.payout.currency.as_str().into(),
            self.payout.status.into(),
            self.r#as.into(),
            self.moves.as_str().into(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let reading = async {
        let mut conn = context.connect().await?;
        let ledger = context.ledger(&mut conn).await?;
        let found = crate::postgres::payouts::find(&mut conn, ledger.id, args.id).await?;
        Ok((ledger, found.ok_or_else(|| not_found(args.id))?))
    };
    let (ledger, payout) = context.unless_interrupted(reading).await?;
    let (id, reason) = (args.id, args.reason.as_str());
    let said = payout.resolution.as_ref();
    if payout.status == args.verdict.into() && said.is_some_and(|said| said.reason == reason) {
        context.out.record(&PayoutView::new(&ledger, &payout))?;
        context.out.note("the same was said before: nothing to do");
        return Ok(Exit::Done);
    }
    if let Some((code, detail)) = payouts::objection(&payout, args.verdict) {
        return Err(Failure::Rejected { code, detail }.into());
    }
    let view = PayoutView::new(&ledger, &payout);
    let to = match args.verdict {
        Verdict::Succeeded => format!("psp:{}", payout.psp),
        Verdict::Failed => format!("merchant:{}:available", payout.merchant),
    };
    let plan = Plan {
        payout: &view,
        r#as: args.verdict.as_str(),
        moves: format!("payouts:in_transit to {to}"),
        dry_run: args.dry_run,
    };
    if args.dry_run {
        context.out.record(&plan)?;
        context.out.note("nothing was done");
        return Ok(Exit::Done);
    }
    confirm::show(context, &Table::of(std::slice::from_ref(&plan)));
    if let Some(why) = &payout.last_error {
        context.out.note(&format!("the last that was heard: {why}"));
    }
    let question = format!("Take payout {id} for {}?", args.verdict.as_str());
    confirm(context, &question).await?;
    let pool = context.database()?.posting_pool(CONNECTIONS_MAX);
    let (options, actor) = (options(context), who::operator());
    let (now, verdict) = (OffsetDateTime::now_utc(), args.verdict);
    let resolved =
        payouts::resolve(&pool, &options, &ledger, id, verdict, reason, &actor, now).await;
    match resolved.map_err(failure)? {
        Resolved::Now(payout) | Resolved::Before(payout) => {
            context.out.record(&PayoutView::new(&ledger, &payout))?;
            Ok(Exit::Done)
        }
        Resolved::Rejected { code, detail } => Err(Failure::Rejected { code, detail }.into()),
    }
}
