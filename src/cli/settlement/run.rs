//! `aegisctl settlement run`.

use serde::Serialize;

use super::{ScopeArgs, look};
use crate::cli::confirm::{self, confirm};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record, Table};
use crate::cli::progress::Progress;
use crate::settlement::{self, Options, Report, Step, Work};
use crate::view::{SettlementFailedView, SettlementWorkView};

/// How many connections a run needs.
const CONNECTIONS: u32 = 2;
/// A plan of more periods than these is shown by its sums.
const SHOWN_MAX: usize = 50;

/// Settle what has matured, and release reserves whose time has come
///
/// Each merchant, currency and period is settled once, in a COMMIT of its own: a run that was killed
/// is simply started again, and several at once do no harm. Shows what is due and asks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl settlement run
  aegisctl settlement run --merchant acme --dry-run
  aegisctl --yes -o json settlement run --date 2026-11-22

Exit codes: 0 all that was due is settled; 5 some could not be, and standard error says why; 8
declined, or no terminal to ask on; 130 stopped in between, and the rest is still due.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Show what is due, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Summary {
    settled: u64,
    released: u64,
    failed: Vec<SettlementFailedView>,
    dry_run: bool,
}

impl Record for Summary {
    const COLUMNS: &'static [Column] = &[
        Column::number("settled"),
        Column::number("released"),
        Column::number("failed"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let number = |n: u64| Cell::from(i64::try_from(n).unwrap_or(i64::MAX));
        let failed = i64::try_from(self.failed.len()).unwrap_or(i64::MAX);
        vec![number(self.settled), number(self.released), failed.into()]
    }
}

impl Summary {
    fn of(report: &Report, dry_run: bool) -> Self {
        let failed = report.failed.iter().map(SettlementFailedView::from);
        Self {
            settled: report.settled,
            released: report.released,
            failed: failed.collect(),
            dry_run,
        }
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let out = &context.out;
    let scope = args.scope.scope()?;
    let looking = async {
        let mut conn = context.connect().await?;
        let ledger = context.ledger(&mut conn).await?;
        let work = look(&mut conn, &ledger, &scope).await?;
        Ok((ledger, work))
    };
    let (ledger, work) = context.unless_interrupted(looking).await?;
    let (periods, reserves) = (work.periods.len(), work.reserves.len());
    show(context, &work);
    if args.dry_run || (periods == 0 && reserves == 0) {
        out.record(&Summary::of(&Report::default(), args.dry_run))?;
        out.note(match args.dry_run {
            true => "nothing was done",
            false => "nothing is due",
        });
        return Ok(Exit::Done);
    }
    let question = format!("Settle {periods} periods and release {reserves} reserves?");
    confirm(context, &question).await?;
    let options = Options::from_config(context.config());
    let pool = context.database()?.posting_pool(CONNECTIONS);
    let total = u64::try_from(periods.saturating_add(reserves)).unwrap_or(u64::MAX);
    let mut progress = Progress::start(out, "settling", "steps", Some(total));
    let mut done: u64 = 0;
    let tell = |step: &Step| {
        done = done.saturating_add(1);
        progress.at(done.min(total), done);
        if let Step::Failed(failed) = step {
            let (merchant, what, why) = (&failed.merchant, &failed.what, &failed.why);
            progress.suspend(|| out.warn(&format!("{merchant}, {what}: {why}")));
        }
    };
    let ran = settlement::run(&pool, &options, &ledger, &scope, &context.interrupt, tell).await;
    progress.finish();
    pool.close().await;
    let report = ran?;
    out.record(&Summary::of(&report, false))?;
    if report.stopped {
        out.note("stopped between two periods; run it again for the rest");
        return Ok(Exit::Interrupted);
    }
    Ok(match report.failed.is_empty() {
        true => Exit::Done,
        false => Exit::Partly,
    })
}

fn show(context: &Context, work: &Work) {
    let view = SettlementWorkView::from(work);
    let shown = view.periods.get(..SHOWN_MAX).unwrap_or(&view.periods);
    if !shown.is_empty() {
        confirm::show(context, &Table::of(shown));
    }
    let more = view.periods.len().saturating_sub(shown.len());
    if more > 0 {
        let advice = "aegisctl settlement preview shows all";
        context
            .out
            .note(&format!("and {more} periods more; {advice}"));
    }
    if !view.reserves.is_empty() {
        let reserves = view.reserves.len();
        context
            .out
            .note(&format!("reserves whose time has come: {reserves}"));
    }
}
