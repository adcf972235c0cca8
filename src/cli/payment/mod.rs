//! `aegisctl payment`.

mod create;
mod list;
mod requery;
mod show;

use sqlx::PgConnection;
use uuid::Uuid;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::output::{Cell, Column, Record, Tone};
use crate::ledger::Ledger;
use crate::payments::{Options, PaymentError};
use crate::postgres::payments::{self, Payment};
use crate::psp::{Paystack, PaystackOptions, paystack};
use crate::view::PaymentView;

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl payment create --merchant acme --currency NGN --amount 12500.00 \\
      --email ada@example.com --key order-1001
  aegisctl payment list --status pending
  aegisctl payment requery order-1001")]
pub(super) enum Command {
    /// Make a payment and have the PSP open it
    Create(create::Args),
    /// List payments in the order in which they were asked for
    List(list::Args),
    /// Show a payment
    Show(show::Args),
    /// Ask the PSP how a payment stands, and apply the answer
    Requery(requery::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => create::run(context, args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Requery(args) => requery::run(context, &args).await,
    }
}

impl Record for PaymentView {
    const COLUMNS: &'static [Column] = &[
        Column::text("id"),
        Column::text("ledger").detail(),
        Column::text("merchant"),
        Column::text("reference"),
        Column::text("status"),
        Column::text("currency"),
        Column::number("amount"),
        Column::number("fee"),
        Column::number("net"),
        Column::number("refunded").detail(),
        Column::text("checkout_url"),
        Column::text("email").detail(),
        Column::text("created_at").detail(),
        Column::text("paid_at").detail(),
        Column::text("period").detail(),
        Column::text("matures_at").detail(),
        Column::number("psp_fee").detail(),
        Column::text("next_attempt_at").detail(),
        Column::text("last_error").detail(),
    ];

    fn cells(&self) -> Vec<Cell> {
        let money = |minor| Cell::money(minor, &self.currency);
        let time = |time: Option<_>| time.map_or(Cell::Absent("-"), Cell::Time);
        let tone = match self.status {
            "succeeded" => Some(Tone::Good),
            "failed" | "disputed" => Some(Tone::Bad),
            "abandoned" => Some(Tone::Warn),
            _ => None,
        };
        vec![
            self.id.to_string().into(),
            self.ledger.as_str().into(),
            self.merchant.as_str().into(),
            self.reference.as_str().into(),
            match tone {
                Some(tone) => Cell::Word(self.status.to_owned(), tone),
                None => self.status.into(),
            },
            self.currency.as_str().into(),
            money(self.amount),
            money(self.fee),
            money(self.net),
            money(self.refunded),
            Cell::optional(self.checkout_url.as_deref()),
            Cell::optional(self.email.as_deref()),
            Cell::Time(self.created_at),
            time(self.paid_at),
            Cell::optional(self.period.as_deref()),
            time(self.matures_at),
            self.psp_fee.map_or(Cell::Absent("-"), money),
            time(self.next_attempt_at),
            Cell::optional(self.last_error.as_deref()),
        ]
    }
}

/// Which payment.
#[derive(Debug, clap::Args)]
pub(super) struct PaymentArgs {
    /// The payment's id, or its reference
    #[arg(value_name = "ID")]
    name: String,
}

impl PaymentArgs {
    async fn find(&self, conn: &mut PgConnection, ledger: &Ledger) -> anyhow::Result<Payment> {
        let name = &self.name;
        let mut found = match name.parse::<Uuid>() {
            Ok(id) => payments::find(conn, ledger.id, id).await?,
            Err(_) => None,
        };
        if found.is_none() {
            let psp = paystack::NAME;
            found = payments::find_by_reference(conn, ledger.id, psp, name).await?;
        }
        found.ok_or_else(|| {
            Failure::Rejected {
                code: "payment_not_found",
                detail: format!(
                    "there is no payment {name} in ledger {}; `aegisctl payment list` shows what \
                     there is",
                    ledger.name
                ),
            }
            .into()
        })
    }
}

/// The PSP of the configuration.
fn psp(context: &Context) -> anyhow::Result<Paystack> {
    let Some(options) = PaystackOptions::from_config(&context.config().paystack) else {
        return Err(Failure::Usage(
            "psp_not_configured: there is no PSP to call: set PAYSTACK_SECRET_KEY".to_owned(),
        )
        .into());
    };
    Ok(Paystack::new(options)?)
}

fn options(context: &Context, ledger: &Ledger) -> Options {
    Options::from_config(context.config(), paystack::NAME, ledger.clone())
}

/// A PSP that gives no answer is a dependency that can't be reached.
fn failed(error: PaymentError) -> anyhow::Error {
    match error {
        PaymentError::Psp(error) => {
            Failure::Unreachable(format!("the PSP was asked: {error}; nothing changed")).into()
        }
        error => error.into(),
    }
}
