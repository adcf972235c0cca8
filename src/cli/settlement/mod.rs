//! `aegisctl settlement`.

mod list;
mod preview;
mod run;
mod show;

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Record};
use super::who;
use crate::ledger::Ledger;
use crate::merchant::MerchantId;
use crate::postgres::merchants;
use crate::settlement::{self, Scope, Work};
use crate::view::{DuePeriodView, SettlementView};

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl settlement preview
  aegisctl settlement run
  aegisctl settlement run --merchant acme --date 2026-11-22
  aegisctl settlement list --merchant acme")]
pub(super) enum Command {
    /// What a run would settle; nothing is done
    Preview(preview::Args),
    /// Settle what has matured, and release reserves whose time has come
    Run(run::Args),
    /// List settlements, the newest first
    List(list::Args),
    /// Show a settlement with its reserves
    Show(show::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Preview(args) => preview::run(context, &args).await,
        Command::Run(args) => run::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
    }
}

/// Which part of what is due.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ScopeArgs {
    /// Only this merchant
    #[arg(long, value_name = "ID")]
    merchant: Option<MerchantId>,
    /// What had matured by the end of this day in UTC, today at the latest [default: by now]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    date: Option<Date>,
}

fn day(text: &str) -> Result<Date, String> {
    settlement::day(text)
}

impl ScopeArgs {
    fn scope(&self) -> Result<Scope, Failure> {
        let by = who::operator().name;
        let scope = Scope::new(
            self.merchant.clone(),
            self.date,
            by,
            OffsetDateTime::now_utc(),
        );
        scope.map_err(|error| {
            let date = self.date.map(|date| date.to_string());
            Failure::Usage(format!("--date {} {error}", date.unwrap_or_default()))
        })
    }
}

/// What is due; a merchant that is not there is refused, and not found to have nothing due.
async fn look(conn: &mut PgConnection, ledger: &Ledger, scope: &Scope) -> anyhow::Result<Work> {
    if let Some(merchant) = &scope.merchant
        && merchants::find(conn, ledger.id, merchant).await?.is_none()
    {
        let detail = format!("there is no merchant {merchant} in ledger {}", ledger.name);
        return Err(Failure::Rejected {
            code: "merchant_not_found",
            detail,
        }
        .into());
    }
    Ok(settlement::preview(conn, ledger, scope, usize::MAX).await?)
}

impl Record for DuePeriodView {
    const COLUMNS: &'static [Column] = &[
        Column::text("merchant"),
        Column::text("currency"),
        Column::text("period"),
        Column::text("matured_at").detail(),
        Column::number("payments"),
        Column::number("gross"),
        Column::number("refunded"),
        Column::number("amount"),
        Column::number("owed_repaid"),
        Column::number("reserved"),
        Column::number("released"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let money = |amount| Cell::money(amount, &self.currency);
        vec![
            self.merchant.as_str().into(),
            self.currency.as_str().into(),
            self.period.as_str().into(),
            Cell::Time(self.matured_at),
            self.payments.into(),
            money(self.gross),
            money(self.refunded),
            money(self.amount),
            money(self.owed_repaid),
            money(self.reserved),
            money(self.released),
        ]
    }
}

impl Record for SettlementView {
    const COLUMNS: &'static [Column] = &[
        Column::text("id"),
        Column::text("ledger").detail(),
        Column::text("merchant"),
        Column::text("currency"),
        Column::text("period"),
        Column::number("payments"),
        Column::number("gross"),
        Column::number("fee").detail(),
        Column::number("net").detail(),
        Column::number("refunded"),
        Column::number("amount"),
        Column::number("owed_repaid"),
        Column::number("reserved"),
        Column::number("released"),
        Column::text("transaction_id").detail(),
        Column::text("settled_at"),
        Column::text("settled_by").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        let money = |amount| Cell::money(amount, &self.currency);
        let transaction = self.transaction_id.map(|id| id.to_string());
        vec![
            self.id.to_string().into(),
            self.ledger.as_str().into(),
            self.merchant.as_str().into(),
            self.currency.as_str().into(),
            self.period.as_str().into(),
            self.payments.into(),
            money(self.gross),
            money(self.fee),
            money(self.net),
            money(self.refunded),
            money(self.amount),
            money(self.owed_repaid),
            money(self.reserved),
            money(self.released),
            Cell::optional(transaction.as_deref()),
            Cell::Time(self.settled_at),
            self.settled_by.as_str().into(),
        ]
    }
}
