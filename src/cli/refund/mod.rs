//! `aegisctl refund`.

mod create;
mod list;
mod requery;
mod resolve;
mod show;

use uuid::Uuid;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Record, Tone};
use crate::psp::{Paystack, PaystackOptions, paystack};
use crate::refunds::{Options, RefundError};
use crate::view::RefundView;

/// Connections of one verb.
const CONNECTIONS_MAX: u32 = 2;

/// Refunds: money back to customers
///
/// A refund's money is in transit from when it is asked for until the PSP or a person says how it
/// ended. aegisd sends refunds and asks the PSP about them by itself; those that were made at the PSP,
/// and chargebacks, stand among them once the PSP has told of them.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl refund create --payment 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f --key order-17
  aegisctl refund list --status unknown
  aegisctl refund resolve 0195f3c2-8a01-7d20-8c3b-1f2e3d4c5b6a --as failed \\
      --reason 'the PSP has nothing of it, ticket 4711'")]
pub(super) enum Command {
    /// Refund a payment, or a part of it
    Create(create::Args),
    /// List refunds and chargebacks, the newest first
    List(list::Args),
    /// Show a refund or a chargeback
    Show(show::Args),
    /// Do the step that is due, or ask the PSP how a refund stands
    Requery(requery::Args),
    /// Decide how a refund ended, with a reason
    Resolve(resolve::Args),
}

impl Command {
    /// See [`super::Command::stops_itself`].
    pub(super) fn stops_itself(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Requery(_) | Self::Resolve(_))
    }
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => create::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Requery(args) => requery::run(context, &args).await,
        Command::Resolve(args) => resolve::run(context, &args).await,
    }
}

/// How refunds are looked after by this configuration.
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
fn failure(error: RefundError) -> anyhow::Error {
    match error {
        RefundError::NotFound(id) => not_found(id).into(),
        RefundError::PaymentNotFound(id) => payment_not_found(id).into(),
        RefundError::Refused { rejection, .. } => Failure::from(rejection).into(),
        error => error.into(),
    }
}

fn not_found(id: Uuid) -> Failure {
    Failure::Rejected {
        code: "refund_not_found",
        detail: format!("there is no refund {id}: list them with `aegisctl refund list`"),
    }
}

fn payment_not_found(id: Uuid) -> Failure {
    Failure::Rejected {
        code: "payment_not_found",
        detail: format!("there is no payment {id}: list them with `aegisctl payment list`"),
    }
}

impl Record for RefundView {
    const COLUMNS: &'static [Column] = &[
        Column::text("id"),
        Column::text("ledger").detail(),
        Column::text("payment"),
        Column::text("merchant"),
        Column::number("amount"),
        Column::text("currency"),
        Column::text("status"),
        Column::text("origin"),
        Column::number("fee_returned").detail(),
        Column::number("penalty").detail(),
        Column::number("from_pending").detail(),
        Column::number("from_available").detail(),
        Column::number("from_owed").detail(),
        Column::text("customer_note").detail(),
        Column::text("psp").detail(),
        Column::text("psp_id").detail(),
        Column::text("psp_status").detail(),
        Column::number("attempts").detail(),
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
            self.payment.to_string().into(),
            self.merchant.as_str().into(),
            money(self.amount),
            self.currency.as_str().into(),
            status_cell(self.status),
            self.origin.into(),
            money(self.fee_returned),
            money(self.penalty),
            money(self.from_pending),
            money(self.from_available),
            money(self.from_owed),
            long(&self.customer_note),
            self.psp.as_str().into(),
            Cell::optional(self.psp_id.as_deref()),
            Cell::optional(self.psp_status.as_deref()),
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
        "unknown" => Cell::Word(status.to_owned(), Tone::Warn),
        "failed" => Cell::Word(status.to_owned(), Tone::Bad),
        _ => status.into(),
    }
}
