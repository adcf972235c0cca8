//! `aegisctl merchant`.

mod create;
mod freeze;
mod list;
mod policy;
mod show;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Record};
use crate::ledger::Ledger;
use crate::merchant::MerchantId;
use crate::terms::{InvalidTerms, Terms};
use crate::view::{AgreedTermsView, MerchantView};

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl merchant create acme --name 'Acme Stores' --currency NGN --terms terms.json
  aegisctl merchant show acme
  aegisctl merchant policy acme --currency NGN --terms new-terms.json
  aegisctl merchant freeze acme --reason 'chargebacks far above normal, ticket 4711'")]
pub(super) enum Command {
    /// Make a merchant with its wallets
    Create(create::Args),
    /// List merchants
    List(list::Args),
    /// Show a merchant with the terms in force
    Show(show::Args),
    /// Show a merchant's terms, or agree on others
    Policy(policy::Args),
    /// Take no more payments and pay nothing out
    Freeze(freeze::Args),
    /// Let a frozen merchant go on
    Unfreeze(freeze::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => create::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Policy(args) => policy::run(context, &args).await,
        Command::Freeze(args) => freeze::run(context, &args, true).await,
        Command::Unfreeze(args) => freeze::run(context, &args, false).await,
    }
}

/// What `--terms` takes.
const TERMS_HELP: &str = r#"Terms are JSON, from a file, from standard input (-), or as they are:
  {
    "fee": {"basis_points": 150, "fixed": 10000, "minimum": 0, "cap": 200000},
    "settlement": {"days": 1, "calendar": "business", "time_zone": "Africa/Lagos",
                   "cut_off": "17:00", "holidays": ["2026-12-25"]},
    "reserve": {"basis_points": 1000, "days": 90},
    "payout": {"minimum": 100000, "schedule": "weekly", "weekday": "friday",
               "recipient": "RCP_1a2b3c"},
    "refund": {"fee": "kept", "below_zero_max": 0},
    "chargeback": {"fee": "kept", "penalty": 500000, "below_zero_max": 1000000}
  }
Needed are fee.basis_points and fixed, settlement.days, calendar and time_zone, payout.minimum and
schedule. Amounts are minor units."#;

/// Reads terms from where they are said to be.
async fn read_terms(place: &str) -> anyhow::Result<Terms> {
    let usage = |problem: String| anyhow::Error::from(Failure::Usage(problem));
    let text = match place {
        "-" => {
            let read = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
            read.await?
                .map_err(|error| usage(format!("standard input can't be read: {error}")))?
        }
        json if json.trim_start().starts_with('{') => json.to_owned(),
        file => tokio::fs::read_to_string(file)
            .await
            .map_err(|error| usage(format!("{file} can't be read: {error}")))?,
    };
    text.parse().map_err(|invalid: InvalidTerms| {
        let lines = invalid
            .problems
            .iter()
            .map(|p| format!("\n  {}: {}", p.field, p.problem));
        usage(format!(
            "the terms can't be taken:{}",
            lines.collect::<String>()
        ))
    })
}

fn missing(ledger: &Ledger, id: &MerchantId) -> anyhow::Error {
    let detail = format!("there is no merchant {id} in ledger {}", ledger.name);
    Failure::Rejected {
        code: "merchant_not_found",
        detail,
    }
    .into()
}

impl Record for MerchantView {
    const COLUMNS: &'static [Column] = &[
        Column::text("id"),
        Column::text("ledger").detail(),
        Column::text("name"),
        Column::text("status"),
        Column::text("currencies"),
        Column::text("created_at"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let currencies: Vec<&str> = self.terms.iter().map(|t| t.currency.as_str()).collect();
        vec![
            self.id.as_str().into(),
            self.ledger.as_str().into(),
            self.name.as_str().into(),
            self.status.into(),
            currencies.join(" ").into(),
            Cell::Time(self.created_at),
        ]
    }
}

impl Record for AgreedTermsView {
    const COLUMNS: &'static [Column] = &[
        Column::text("currency"),
        Column::number("version"),
        Column::text("terms"),
        Column::text("made_at"),
        Column::text("made_by"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.currency.as_str().into(),
            i64::from(self.version).into(),
            self.terms.get().into(),
            Cell::Time(self.made_at),
            self.made_by.as_str().into(),
        ]
    }
}
