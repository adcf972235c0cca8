//! `aegisctl reconcile resolve`.

use time::OffsetDateTime;

use super::failure;
use crate::cli::confirm::{self, confirm};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Cell, Column, Record, Table};
use crate::cli::who;
use crate::dlq::discard::Reason;
use crate::postgres::discrepancies;
use crate::reconcile::Options;
use crate::reconcile::resolve::{self, Leg};
use crate::view::DiscrepancyView;

const CONNECTIONS_MAX: u32 = 2;

/// Propose how a discrepancy is resolved, or approve what somebody else proposed
///
/// Without --transaction the proposal is to accept the difference as it is: nothing is posted.
/// Approving posts the transaction and closes the discrepancy, together; whoever proposed can't. What
/// is approved is the proposal that is shown, or the one of --proposal: where another one came
/// meanwhile, nothing is done.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl reconcile resolve 7 --reason 'paid to the bank on 22 November' \\
      --transaction psp:paystack NGN 125000 --transaction bank:main NGN -125000
  aegisctl reconcile resolve 8 --reason 'a test payment of ours'
  aegisctl reconcile resolve 7 --approve
  aegisctl reconcile resolve 7 --approve --proposal 5b2f0c9d1e7a48366d21c0be94f8a7d3

Exit codes: 3 it was resolved before, has no proposal or another one, or was proposed by yourself or
somebody unknown; 6 a run is at its statements; 8 declined, or no terminal to ask on.")]
#[command(group = clap::ArgGroup::new("deed").required(true))]
pub(in crate::cli) struct Args {
    /// The discrepancy's number
    id: i64,
    /// Propose, and why
    #[arg(long, value_name = "TEXT", group = "deed")]
    reason: Option<Reason>,
    /// A leg of the correcting transaction: credit positive, debit negative, minor units
    #[arg(long, num_args = 3, value_names = ["WALLET", "CURRENCY", "MINOR"],
          allow_negative_numbers = true, conflicts_with = "approve")]
    transaction: Vec<String>,
    /// Approve what somebody else proposed
    #[arg(long, group = "deed")]
    approve: bool,
    /// The hash of the proposal that is approved, as `show` tells it [default: the one that waits]
    #[arg(long, value_name = "HASH", requires = "approve")]
    proposal: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Record for Leg {
    const COLUMNS: &'static [Column] = &[
        Column::text("wallet"),
        Column::text("currency"),
        Column::number("amount"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.wallet.to_string().into(),
            self.currency.code().into(),
            Cell::money(self.amount, self.currency.code()),
        ]
    }
}

fn legs(words: &[String]) -> Result<Vec<Leg>, Failure> {
    let wrong = |problem: String| Failure::Usage(format!("--transaction {problem}"));
    let leg = |words: &[String]| match words {
        [wallet, currency, amount] => Ok(Leg {
            wallet: wallet.parse().map_err(wrong)?,
            currency: currency.parse().map_err(wrong)?,
            amount: amount
                .parse()
                .map_err(|_| wrong(format!("{amount:?} is no number of minor units")))?,
        }),
        _ => Err(wrong(
            "takes a wallet, a currency and minor units".to_owned(),
        )),
    };
    words.chunks(3).map(leg).collect()
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let given = legs(&args.transaction)?;
    let id = args.id;
    let reading = async {
        let mut conn = context.connect().await?;
        let ledger = context.ledger(&mut conn).await?;
        let found = discrepancies::find(&mut conn, ledger.id, id, false).await?;
        let found = found.ok_or_else(|| failure(resolve::not_found(&ledger, id)))?;
        Ok((ledger, found))
    };
    let (ledger, found) = context.unless_interrupted(reading).await?;
    let seen = args.proposal.clone().or_else(|| found.proposal_hash());
    let seen = seen.unwrap_or_default();
    if args.proposal.is_some() {
        resolve::is_as_seen(&found, &seen).map_err(failure)?;
    }
    let legs = match args.approve {
        true => resolve::proposed(&found),
        false => given,
    };
    let view = DiscrepancyView::new(&ledger, &found, OffsetDateTime::now_utc());
    if args.dry_run {
        context.out.record(&view)?;
        context.out.note("nothing was done");
        return Ok(Exit::Done);
    }
    confirm::show(context, &Table::of(std::slice::from_ref(&view)));
    if !legs.is_empty() {
        confirm::show(context, &Table::of(&legs));
    }
    let what = match legs.is_empty() {
        true => "to accept the difference",
        false => "this transaction",
    };
    let question = match (args.approve, &found.proposed_by, &found.reason) {
        (true, Some(by), Some(reason)) => {
            format!("Approve {what} for discrepancy {id}, as {by} proposed ({reason})?")
        }
        (true, _, _) => format!("Approve {what} for discrepancy {id}?"),
        (false, _, _) => format!("Propose {what} for discrepancy {id}?"),
    };
    confirm(context, &question).await?;
    let pool = context.database()?.posting_pool(CONNECTIONS_MAX);
    let (actor, now) = (who::operator(), OffsetDateTime::now_utc());
    let done = match &args.reason {
        Some(reason) => {
            resolve::propose(&pool, &ledger, id, &legs, reason.as_str(), &actor, now).await
        }
        None => {
            let options = Options::from_config(context.config());
            resolve::approve(&pool, &options, &ledger, (id, &seen), &actor, now).await
        }
    };
    let done = done.map_err(failure)?;
    context
        .out
        .record(&DiscrepancyView::new(&ledger, &done, now))?;
    if !args.approve {
        context.out.note(&format!(
            "proposed; somebody else approves with `{}`",
            super::approval_of(&done)
        ));
    }
    Ok(Exit::Done)
}
