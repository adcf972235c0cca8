//! `aegisctl payout show`.

use uuid::Uuid;

use super::not_found;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::{Cell, Column, Record, Table};
use crate::postgres::payouts;
use crate::view::{PayoutAttemptView, PayoutDetailView, PayoutView};

/// How many calls are shown.
const CALLS_MAX: i64 = 100;

/// Show a payout with the calls to the PSP about it
///
/// The last 100 calls, the latest first. One without an end is under way, or nobody came back from it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout show 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f
  aegisctl -o json payout show 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f | jq .calls")]
pub(in crate::cli) struct Args {
    /// The payout's id, which is also its reference at the PSP
    id: Uuid,
}

impl Record for PayoutAttemptView {
    const COLUMNS: &'static [Column] = &[
        Column::number("number"),
        Column::text("kind"),
        Column::text("host").detail(),
        Column::text("started_at"),
        Column::text("ended_at"),
        Column::text("outcome"),
        Column::text("detail"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            i64::from(self.number).into(),
            self.kind.into(),
            self.host.as_str().into(),
            Cell::Time(self.started_at),
            self.ended_at.map_or(Cell::Absent("-"), Cell::Time),
            Cell::optional(self.outcome),
            self.detail.clone().map_or(Cell::Absent("-"), Cell::Long),
        ]
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let found = payouts::find(&mut conn, ledger.id, args.id).await?;
    let payout = found.ok_or_else(|| not_found(args.id))?;
    let calls = payouts::attempts(&mut conn, ledger.id, payout.id, CALLS_MAX).await?;
    let view = PayoutDetailView {
        payout: PayoutView::new(&ledger, &payout),
        calls: calls.iter().map(PayoutAttemptView::from).collect(),
    };
    let head = Table::of(std::slice::from_ref(&view.payout));
    let parts = Table::of(&view.calls);
    context.out.document(&view, Some(&head), &parts)?;
    Ok(Exit::Done)
}
