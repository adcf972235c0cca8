//! `aegisctl payout`.

mod create;
mod list;
mod requery;
mod resolve;
mod run;
mod show;

use uuid::Uuid;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Record, Tone};
use crate::payouts::{Options, PayoutError};
use crate::psp::{Paystack, PaystackOptions, paystack};
use crate::view::PayoutView;

/// Connections of one verb.
const CONNECTIONS_MAX: u32 = 2;

/// Payouts: money on its way to merchants
///
/// A payout's funds are in transit from when it is asked for until the PSP, a webhook or a person says
/// how it ended. aegisd sends payouts and asks the PSP about them by itself.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl payout create --merchant acme --currency NGN --amount 1250.00 --key november-acme
  aegisctl payout list --status unknown
  aegisctl payout resolve 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f --as failed \\
      --reason 'the bank has nothing of it, ticket 4711'")]
pub(super) enum Command {
    /// Ask for a payout
    Create(create::Args),
    /// List payouts, the newest first
    List(list::Args),
    /// Show a payout with the calls to the PSP about it
    Show(show::Args),
    /// Do the step that is due, or ask the PSP how a payout stands
    Requery(requery::Args),
    /// Decide how a payout ended, with a reason
    Resolve(resolve::Args),
    /// Payout runs: many payouts under one key, which cron may start twice
    #[command(subcommand)]
    Run(run::Command),
}

impl Command {
    /// See [`super::Command::stops_itself`].
    pub(super) fn stops_itself(&self) -> bool {
        match self {
            Self::Run(command) => command.stops_itself(),
            Self::Create(_) | Self::Requery(_) | Self::Resolve(_) => true,
            Self::List(_) | Self::Show(_) => false,
        }
    }
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => create::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Requery(args) => requery::run(context, &args).await,
        Command::Resolve(args) => resolve::run(context, &args).await,
        Command::Run(command) => run::run(context, command).await,
    }
}

/// How payouts are looked after by this configuration.
fn options(context: &Context) -> Options {
    Options::from_config(context.config(), paystack::NAME)
}

/// The PSP.
fn psp(context: &Context) -> anyhow::Result<Paystack> {
    let config = context.config();
    let Some(options) = PaystackOptions::from_config(&config.paystack) else {
        let message = "no PSP is configured: set PAYSTACK_SECRET_KEY";
        return Err(Failure::Usage(message.to_owned()).into());
    };
    Paystack::new(options).map_err(|error| Failure::Usage(error.to_string()).into())
}

/// What a failure means for the exit code.
fn failure(error: PayoutError) -> anyhow::Error {
    match error {
        PayoutError::NotFound(id) => not_found(id).into(),
        PayoutError::Refused { rejection, .. } => Failure::from(rejection).into(),
        error => error.into(),
    }
}

fn not_found(id: Uuid) -> Failure {
    Failure::Rejected {
        code: "payout_not_found",
        detail: format!("there is no payout {id}: list them with `aegisctl payout list`"),
    }
}

impl Record for PayoutView {
    const COLUMNS: &'static [Column] = &[
        Column::text("id"),
        Column::text("ledger").detail(),
        Column::text("merchant"),
        Column::number("amount"),
        Column::text("currency"),
        Column::text("status"),
        Column::text("label"),
        Column::text("reference").detail(),
        Column::text("recipient").detail(),
        Column::text("run_key").detail(),
        Column::number("run_number").detail(),
        Column::text("psp").detail(),
        Column::text("psp_code").detail(),
        Column::number("psp_fee").detail(),
        Column::number("attempts"),
        Column::text("next_attempt_at"),
        Column::text("last_error"),
        Column::text("resolved_by").detail(),
        Column::text("reason").detail(),
        Column::text("correlation_id").detail(),
        Column::text("requested_by").detail(),
        Column::text("created_at"),
        Column::text("updated_at").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        let money = |minor| Cell::money(minor, &self.currency);
        let long = |text: &Option<String>| text.clone().map_or(Cell::Absent("-"), Cell::Long);
        vec![
            self.id.to_string().into(),
            self.ledger.as_str().into(),
            self.merchant.as_str().into(),
            money(self.amount),
            self.currency.as_str().into(),
            status_cell(self.status),
            Cell::optional(self.label.as_deref()),
            self.reference.as_str().into(),
            self.recipient.as_str().into(),
            Cell::optional(self.run_key.as_deref()),
            self.run_number
                .map_or(Cell::Absent("-"), |number| i64::from(number).into()),
            self.psp.as_str().into(),
            Cell::optional(self.psp_code.as_deref()),
            self.psp_fee.map_or(Cell::Absent("-"), money),
            i64::from(self.attempts).into(),
            self.next_attempt_at.map_or(Cell::Absent("-"), Cell::Time),
            long(&self.last_error),
            Cell::optional(self.resolved_by.as_deref()),
            long(&self.reason),
            Cell::optional(self.correlation_id.as_deref()),
            self.requested_by.as_str().into(),
            Cell::Time(self.created_at),
            Cell::Time(self.updated_at),
        ]
    }
}

/// A status as a word that a terminal may colour.
fn status_cell(status: &str) -> Cell {
    match status {
        "succeeded" => Cell::Word(status.to_owned(), Tone::Good),
        "unknown" | "returned" => Cell::Word(status.to_owned(), Tone::Warn),
        "failed" => Cell::Word(status.to_owned(), Tone::Bad),
        _ => status.into(),
    }
}
