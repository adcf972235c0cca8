//! `aegisctl dlq discard`.

use serde::Serialize;
use time::OffsetDateTime;

use super::{failure, letters, unknown};
use crate::cli::confirm::{self, confirm};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Format, Record, Table};
use crate::cli::who;
use crate::dlq::discard::{self, DiscardPlan, Reason};
use crate::view::{DeadLetterView, LeftOutView};

/// Give letters up, with a reason; their rows stay
///
/// Shows the letters and asks. A letter that was discarded is not replayed any more, unless somebody
/// names it by its number and insists.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl dlq discard 17 --reason 'paid by hand, ticket 4711'
  aegisctl dlq discard 17 18 --reason 'test data' --dry-run

Exit codes: 0 all were discarded, now or before; 5 some were replayed before; 6 a replay is at one
of their topics; 8 declined, or no terminal to ask on.")]
pub(in crate::cli) struct Args {
    /// The letters' numbers
    #[arg(value_name = "ID", required = true)]
    ids: Vec<i64>,
    /// Why, for whoever reads it later
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Show the letters, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Summary<'a> {
    discarded: Vec<i64>,
    reason: &'a str,
    left_out: Vec<LeftOutView>,
    dry_run: bool,
}

impl Record for Summary<'_> {
    const COLUMNS: &'static [Column] = &[
        Column::text("discarded"),
        Column::text("reason"),
        Column::number("left_out"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let ids: Vec<String> = self.discarded.iter().map(i64::to_string).collect();
        let left_out = i64::try_from(self.left_out.len()).unwrap_or(i64::MAX);
        vec![ids.join(" ").into(), self.reason.into(), left_out.into()]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let out = &context.out;
    let planning = async {
        let mut conn = context.connect().await?;
        let ledger = context.ledger_flag(&mut conn).await?;
        let made = DiscardPlan::make(&mut conn, &args.ids, ledger.as_deref()).await?;
        Ok((conn, made))
    };
    let (mut conn, made) = context.unless_interrupted(planning).await?;
    if !made.unknown.is_empty() {
        return Err(unknown(&made.unknown).into());
    }
    if !made.letters.is_empty() {
        let views = made.letters.iter().cloned();
        let views: Vec<DeadLetterView> = views.map(DeadLetterView::from).collect();
        confirm::show(context, &Table::of(&views));
    }
    for left in &made.left_out {
        out.note(&format!("left out: letter {} {}", left.id, left.why));
    }
    let mut summary = Summary {
        discarded: made.letters.iter().map(|letter| letter.id).collect(),
        reason: args.reason.as_str(),
        left_out: made.left_out.iter().map(LeftOutView::from).collect(),
        dry_run: args.dry_run,
    };
    if !args.dry_run && !made.letters.is_empty() {
        confirm(
            context,
            &format!("Discard {}?", letters(made.letters.len())),
        )
        .await?;
        let (actor, now) = (who::operator(), OffsetDateTime::now_utc());
        summary.discarded = discard::discard(&mut conn, &made, &args.reason, &actor, now)
            .await
            .map_err(failure)?;
    }
    if out.format() != Format::Table {
        out.record(&summary)?;
    }
    let count = letters(summary.discarded.len());
    match (args.dry_run, summary.discarded.is_empty()) {
        (true, _) => out.note(&format!("{count} would be discarded; nothing was done")),
        (false, true) => out.note("nothing to discard"),
        (false, false) => out.note(&format!("discarded {count}: {}", args.reason)),
    }
    let others = made.left_out.iter().any(|left| left.why.is_done());
    let overtaken = summary.discarded.len() < made.letters.len();
    Ok(match !args.dry_run && (others || overtaken) {
        true => Exit::Partly,
        false => Exit::Done,
    })
}
