//! `aegisctl payout run`.

mod approve;
mod cancel;
mod carry;
mod file;
mod items;
mod list;
mod plan;
mod resume;
mod show;
mod start;
mod summary;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{options, psp};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::ledger::Ledger;
use crate::payout_runs::{self, Desk, Pace, Refusal, RunKey};
use crate::postgres::payout_runs::{Run, find};
use crate::psp::Paystack;

/// Payout runs: many payouts under one key, which cron may start twice
///
/// The list of a run is frozen, counted, summed up and hashed before the first payment. Whatever stops
/// a run, it can be gone on with, and nobody is paid twice.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl payout run start --key 2026-11-22-evening --due --currency NGN --dry-run
  aegisctl --yes payout run start --key 2026-11-22-evening --due --currency NGN
  aegisctl payout run start --key bonus-november --file bonus.csv
  aegisctl payout run approve --key bonus-november
  aegisctl payout run show bonus-november")]
pub(in crate::cli) enum Command {
    /// Freeze a list under a key, and pay it
    Start(start::Args),
    /// Approve of a run that waits, as somebody else than who started it, and pay it
    Approve(approve::Args),
    /// Go on with a run that stopped
    Resume(resume::Args),
    /// Give up what a run has not requested yet
    Cancel(cancel::Args),
    /// Show a run, and what did not succeed
    Show(show::Args),
    /// List the payouts of a run
    Items(items::Args),
    /// List runs, the newest first
    List(list::Args),
}

impl Command {
    /// See [`crate::cli::Command::stops_itself`].
    pub(in crate::cli) fn stops_itself(&self) -> bool {
        !matches!(self, Self::Show(_) | Self::Items(_) | Self::List(_))
    }
}

pub(in crate::cli) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Start(args) => start::run(context, &args).await,
        Command::Approve(args) => approve::run(context, &args).await,
        Command::Resume(args) => resume::run(context, &args).await,
        Command::Cancel(args) => cancel::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Items(args) => items::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
    }
}

/// Which run.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct KeyArgs {
    /// The run's key
    #[arg(value_name = "KEY")]
    key: Option<RunKey>,
    /// The same, by name
    #[arg(long = "key", value_name = "KEY")]
    named: Option<RunKey>,
}

impl KeyArgs {
    fn get(&self) -> Result<&RunKey, Failure> {
        let either = self.key.as_ref().or(self.named.as_ref());
        either.ok_or_else(|| Failure::Usage("which run? Give its key".to_owned()))
    }
}

/// What it takes to pay, by this configuration.
fn desk(context: &Context) -> anyhow::Result<Desk<Paystack>> {
    let pace = Pace::from_config(context.config());
    let connections = u32::try_from(pace.at_once).unwrap_or(u32::MAX);
    Ok(Desk {
        pool: context
            .database()?
            .posting_pool(connections.saturating_add(1)),
        payouts: options(context),
        psp: psp(context)?,
        pace,
    })
}

async fn found(conn: &mut PgConnection, ledger: &Ledger, key: &RunKey) -> anyhow::Result<Run> {
    let run = find(conn, ledger.id, key.as_str()).await?;
    run.ok_or_else(|| refused(payout_runs::not_found(ledger, key.as_str())).into())
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Rejected {
        code: refusal.code,
        detail: refusal.detail,
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// `1 payout`, `2 payouts`.
fn payouts(count: impl TryInto<i64>) -> String {
    match count.try_into().unwrap_or(i64::MAX) {
        1 => "1 payout".to_owned(),
        count => format!("{count} payouts"),
    }
}

/// `12 payouts of 1250.00 NGN`.
fn amounts(run: &Run) -> String {
    let (total, currency) = (run.currency.format_minor(run.total), run.currency);
    format!("{} of {total} {currency}", payouts(run.count))
}
