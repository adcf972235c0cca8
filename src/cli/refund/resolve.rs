//! `aegisctl refund resolve`.

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
use crate::refunds::{self, Resolved, Verdict};
use crate::view::RefundView;

/// Decide how a refund ended, with a reason
///
/// For a refund whose end nobody else tells: the PSP's own people, or the customer, were asked. Shows
/// the refund and asks. `succeeded` takes the money out of transit for good, `failed` gives it back to
/// whom it came from. What the PSP says against it later opens a discrepancy and moves nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl refund resolve 0195f3c2-8a01-7d20-8c3b-1f2e3d4c5b6a --as failed \\
      --reason 'the PSP has nothing of it, ticket 4711'
  aegisctl refund resolve 0195f3c2-8a01-7d20-8c3b-1f2e3d4c5b6a --as succeeded \\
      --reason 'seen on the dashboard' --dry-run

Exit codes: 3 a rule says no: the refund has ended, was never sent, or is being sent at this moment;
8 declined, or no terminal to ask on.")]
pub(in crate::cli) struct Args {
    /// The refund's id
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
    refund: &'a RefundView,
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
            self.refund.id.to_string().into(),
            self.refund.merchant.as_str().into(),
            Cell::money(self.refund.amount, &self.refund.currency),
            self.refund.currency.as_str().into(),
            self.refund.status.into(),
            self.r#as.into(),
            self.moves.as_str().into(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let reading = async {
        let mut conn = context.connect().await?;
        let ledger = context.ledger(&mut conn).await?;
        let found = crate::postgres::refunds::find(&mut conn, ledger.id, args.id).await?;
        Ok((ledger, found.ok_or_else(|| not_found(args.id))?))
    };
    let (ledger, refund) = context.unless_interrupted(reading).await?;
    let (id, reason) = (args.id, args.reason.as_str());
    let said = refund.resolution.as_ref();
    if refund.status == args.verdict.into() && said.is_some_and(|said| said.reason == reason) {
        context.out.record(&RefundView::new(&ledger, &refund))?;
        context.out.note("the same was said before: nothing to do");
        return Ok(Exit::Done);
    }
    if let Some((code, detail)) = refunds::objection(&refund, args.verdict) {
        return Err(Failure::Rejected { code, detail }.into());
    }
    let view = RefundView::new(&ledger, &refund);
    let to = match args.verdict {
        Verdict::Succeeded => format!("psp:{}", refund.psp),
        Verdict::Failed => "whom it came from".to_owned(),
    };
    let plan = Plan {
        refund: &view,
        r#as: args.verdict.as_str(),
        moves: format!("refunds:in_transit to {to}"),
        dry_run: args.dry_run,
    };
    if args.dry_run {
        context.out.record(&plan)?;
        context.out.note("nothing was done");
        return Ok(Exit::Done);
    }
    confirm::show(context, &Table::of(std::slice::from_ref(&plan)));
    if let Some(why) = &refund.last_error {
        context.out.note(&format!("the last that was heard: {why}"));
    }
    let question = format!("Take refund {id} for {}?", args.verdict.as_str());
    confirm(context, &question).await?;
    let pool = context.database()?.posting_pool(CONNECTIONS_MAX);
    let (options, actor) = (options(context), who::operator());
    let (now, verdict) = (OffsetDateTime::now_utc(), args.verdict);
    let resolved =
        refunds::resolve(&pool, &options, &ledger, id, verdict, reason, &actor, now).await;
    match resolved.map_err(failure)? {
        Resolved::Now(refund) | Resolved::Before(refund) => {
            context.out.record(&RefundView::new(&ledger, &refund))?;
            Ok(Exit::Done)
        }
        Resolved::Rejected { code, detail } => Err(Failure::Rejected { code, detail }.into()),
    }
}
