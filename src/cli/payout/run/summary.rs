//! What a run came to, for a person, a mail or a program.

use crate::cli::context::Context;
use crate::cli::output::{Cell, Column, Format, Record, Table, Tone};
use crate::ledger::Ledger;
use crate::postgres::payout_runs::items::{self, Outcome};
use crate::postgres::payout_runs::{Run, RunStatus, Sum};
use crate::view::{PayoutRunItemView, PayoutRunView};

/// The status of a run that is not there, since nothing is due.
pub(super) const NOTHING_DUE: &str = "nothing_due";
/// The items that are named in a summary.
const NAMED_MAX: i64 = 100;

impl Record for PayoutRunView {
    const COLUMNS: &'static [Column] = &[
        Column::text("key"),
        Column::text("status"),
        Column::number("count"),
        Column::number("total"),
        Column::text("currency"),
        Column::number("succeeded"),
        Column::number("failed"),
        Column::number("unknown"),
        Column::number("waiting"),
        Column::number("cancelled").detail(),
        Column::number("succeeded_total").detail(),
        Column::number("failed_total").detail(),
        Column::number("unknown_total").detail(),
        Column::number("waiting_total").detail(),
        Column::text("list_hash").detail(),
        Column::text("source").detail(),
        Column::text("started_by"),
        Column::text("started_at"),
        Column::text("approval_reason").detail(),
        Column::text("approved_by"),
        Column::text("approved_at").detail(),
        Column::text("cancelled_by").detail(),
        Column::text("cancel_reason").detail(),
        Column::text("finished_at"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let money = |minor| Cell::money(minor, &self.currency);
        let bad = |count: i64, tone| match count {
            0 => count.into(),
            count => Cell::Word(count.to_string(), tone),
        };
        vec![
            self.key.as_str().into(),
            status_cell(self.status),
            self.count.into(),
            money(self.total),
            self.currency.as_str().into(),
            self.succeeded.into(),
            bad(self.failed, Tone::Bad),
            bad(self.unknown, Tone::Warn),
            self.waiting.into(),
            self.cancelled.into(),
            money(self.succeeded_total),
            money(self.failed_total),
            money(self.unknown_total),
            money(self.waiting_total),
            self.list_hash.as_str().into(),
            self.source.into(),
            self.started_by.as_str().into(),
            Cell::Time(self.started_at),
            Cell::optional(self.approval_reason.as_deref()),
            Cell::optional(self.approved_by.as_deref()),
            self.approved_at.map_or(Cell::Absent("-"), Cell::Time),
            Cell::optional(self.cancelled_by.as_deref()),
            Cell::optional(self.cancel_reason.as_deref()),
            self.finished_at.map_or(Cell::Absent("-"), Cell::Time),
        ]
    }
}

fn status_cell(status: &str) -> Cell {
    match RunStatus::from_name(status) {
        Some(RunStatus::Finished) => Cell::Word(status.to_owned(), Tone::Good),
        Some(RunStatus::Waiting) => Cell::Word(status.to_owned(), Tone::Warn),
        Some(RunStatus::Cancelled) => Cell::Word(status.to_owned(), Tone::Bad),
        _ => status.into(),
    }
}

impl Record for PayoutRunItemView {
    const COLUMNS: &'static [Column] = &[
        Column::number("number"),
        Column::text("merchant"),
        Column::number("amount"),
        Column::text("currency").detail(),
        Column::text("outcome"),
        Column::text("reference"),
        Column::text("due_on").detail(),
        Column::text("payout_id").detail(),
        Column::text("payout_status").detail(),
        Column::text("code"),
        Column::text("detail"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let payout_id = self.payout_id.map(|id| id.to_string());
        let outcome = match Outcome::from_name(self.outcome) {
            Some(Outcome::Succeeded) => Cell::Word(self.outcome.to_owned(), Tone::Good),
            Some(Outcome::Failed) => Cell::Word(self.outcome.to_owned(), Tone::Bad),
            Some(Outcome::Unknown) => Cell::Word(self.outcome.to_owned(), Tone::Warn),
            _ => self.outcome.into(),
        };
        vec![
            i64::from(self.number).into(),
            self.merchant.as_str().into(),
            Cell::money(self.amount, &self.currency),
            self.currency.as_str().into(),
            outcome,
            Cell::optional(self.reference.as_deref()),
            Cell::optional(self.due_on.as_deref()),
            Cell::optional(payout_id.as_deref()),
            Cell::optional(self.payout_status.as_deref()),
            Cell::optional(self.code.as_deref()),
            self.detail.clone().map_or(Cell::Absent("-"), Cell::Long),
        ]
    }
}

/// Prints a run: for people with the items that need a look, else its record.
pub(super) async fn print(context: &Context, ledger: &Ledger, run: &Run) -> anyhow::Result<()> {
    let (out, view) = (&context.out, PayoutRunView::new(ledger, run));
    if out.format() != Format::Table {
        out.record(&view)?;
        return Ok(());
    }
    let mut text = out.vertical(&Table::of(std::slice::from_ref(&view)));
    let mut conn = context.connect().await?;
    let (id, key) = (ledger.id, run.key.as_str());
    let looked_at = [Outcome::Failed, Outcome::Unknown];
    let found = items::page(&mut conn, id, key, &looked_at, 0, NAMED_MAX).await?;
    if !found.is_empty() {
        let items: Vec<PayoutRunItemView> = found
            .into_iter()
            .map(|item| PayoutRunItemView::new(&view.currency, item))
            .collect();
        let shown = i64::try_from(items.len()).unwrap_or(i64::MAX);
        text.push_str("\nTo be looked at:\n");
        text.push_str(&out.horizontal(&Table::of(&items)));
        let all = view.failed.saturating_add(view.unknown);
        if shown < all {
            text.push_str(&format!(
                "and {} more: `aegisctl payout run items {key} --outcome failed`\n",
                all.saturating_sub(shown)
            ));
        }
    }
    out.text(text.as_bytes())?;
    Ok(())
}

/// `3 of 4 payouts succeeded (30.00 NGN), 1 failed (10.00 NGN)`.
pub(super) fn counts(run: &Run) -> String {
    let (tally, currency) = (&run.tally, run.currency);
    let money = |sum: Sum| format!("{} {currency}", currency.format_minor(sum.total));
    let mut told = format!(
        "{} of {} payouts succeeded ({})",
        tally.succeeded.count,
        run.count,
        money(tally.succeeded)
    );
    for (sum, word) in [
        (tally.failed, "failed"),
        (tally.unknown, "unknown"),
        (tally.waiting, "waiting"),
        (tally.cancelled, "cancelled"),
    ] {
        if sum.count > 0 {
            told.push_str(&format!(", {} {word} ({})", sum.count, money(sum)));
        }
    }
    told
}

/// The last word of a run that is over, or is left.
pub(super) fn told(run: &Run) -> String {
    let (tally, mut told) = (
        &run.tally,
        format!("payout run {}: {}", run.key, counts(run)),
    );
    if tally.unknown.count > 0 || tally.waiting.count > 0 {
        told.push_str("; aegisd goes on with what is not at its end");
    }
    told
}
