//! `aegisctl reconcile`.

mod clearing;
mod list;
mod resolve;
mod run;
mod runs;
mod show;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Record, Tone};
use crate::postgres::discrepancies::Discrepancy;
use crate::reconcile::ReconcileError;
use crate::view::DiscrepancyView;

/// Hold the ledger against what PSPs and banks say
///
/// A run reads a statement and matches its lines with payments, payouts and the ledger's entries.
/// What does not agree is a discrepancy: one person proposes how it is resolved, another approves.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl reconcile run --psp paystack --file settlement.csv
  aegisctl reconcile list
  aegisctl reconcile resolve 7 --reason 'paid to the bank on 22 November' \\
      --transaction psp:paystack NGN 125000 --transaction bank:main NGN -125000
  aegisctl reconcile resolve 7 --approve
  aegisctl reconcile clearing")]
pub(super) enum Command {
    /// Hold the ledger against a statement
    Run(run::Args),
    /// List discrepancies, the oldest first
    List(list::Args),
    /// Show a discrepancy
    Show(show::Args),
    /// Propose how a discrepancy is resolved, or approve what somebody else proposed
    Resolve(resolve::Args),
    /// List runs, the newest first
    Runs(runs::Args),
    /// Tell what stands in the wallets that money only passes through
    Clearing(clearing::Args),
}

impl Command {
    /// See [`super::Command::stops_itself`].
    pub(super) fn stops_itself(&self) -> bool {
        matches!(self, Self::Resolve(_))
    }
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => run::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Resolve(args) => resolve::run(context, &args).await,
        Command::Runs(args) => runs::run(context, &args).await,
        Command::Clearing(args) => clearing::run(context, &args).await,
    }
}

/// The command that approves what is proposed, and no other proposal.
fn approval_of(it: &Discrepancy) -> String {
    let hash = it.proposal_hash().unwrap_or_default();
    format!(
        "aegisctl reconcile resolve {} --approve --proposal {hash}",
        it.id
    )
}

fn failure(error: ReconcileError) -> anyhow::Error {
    match error {
        ReconcileError::Refused { code, detail } => Failure::Rejected { code, detail }.into(),
        ReconcileError::Unusable(unusable) => {
            Failure::Usage(format!("{unusable}; nothing was done")).into()
        }
        ReconcileError::Busy { .. } => Failure::Busy(error.to_string()).into(),
        error => error.into(),
    }
}

impl Record for DiscrepancyView {
    const COLUMNS: &'static [Column] = &[
        Column::number("id"),
        Column::text("class"),
        Column::text("status"),
        Column::text("wallet"),
        Column::text("reference"),
        Column::number("expected_amount"),
        Column::text("expected_currency").detail(),
        Column::number("found_amount"),
        Column::text("found_currency").detail(),
        Column::text("opened_at"),
        Column::number("age_seconds"),
        Column::text("detail"),
        Column::text("source").detail(),
        Column::text("psp").detail(),
        Column::text("subject_kind").detail(),
        Column::text("subject_id").detail(),
        Column::text("occurred_at").detail(),
        Column::text("reconciliation_id").detail(),
        Column::text("proposal").detail(),
        Column::text("proposed_by").detail(),
        Column::text("reason").detail(),
        Column::text("transaction_id").detail(),
        Column::text("resolved_by").detail(),
        Column::text("resolved_at").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        let money = |amount: Option<i64>, currency: &Option<String>| {
            let currency = currency.as_deref().unwrap_or_default();
            amount.map_or(Cell::Absent("-"), |amount| Cell::money(amount, currency))
        };
        let text = |text: &Option<String>| Cell::optional(text.as_deref());
        let id =
            |id: Option<uuid::Uuid>| id.map_or(Cell::Absent("-"), |id| Cell::Text(id.to_string()));
        let time = |time: Option<time::OffsetDateTime>| time.map_or(Cell::Absent("-"), Cell::Time);
        let tone = match self.status {
            "resolved" => Tone::Good,
            _ => Tone::Warn,
        };
        vec![
            self.id.into(),
            self.class.into(),
            Cell::Word(self.status.to_owned(), tone),
            text(&self.wallet),
            text(&self.reference),
            money(self.expected_amount, &self.expected_currency),
            text(&self.expected_currency),
            money(self.found_amount, &self.found_currency),
            text(&self.found_currency),
            Cell::Time(self.opened_at),
            self.age_seconds.into(),
            Cell::Long(self.detail.clone()),
            self.source.as_str().into(),
            text(&self.psp),
            text(&self.subject_kind),
            id(self.subject_id),
            time(self.occurred_at),
            id(self.reconciliation_id),
            Cell::optional(self.proposal.as_ref().map(ToString::to_string).as_deref()),
            text(&self.proposed_by),
            text(&self.reason),
            id(self.transaction_id),
            text(&self.resolved_by),
            time(self.resolved_at),
        ]
    }
}
