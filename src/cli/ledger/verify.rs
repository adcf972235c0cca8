//! `aegisctl ledger verify`.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::MissedTickBehavior;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Cell, Column, Table, Tone};
use crate::cli::{progress, who};
use crate::ledger::{Currency, Ledger, RejectionCode, WalletRef};
use crate::postgres::verify_runs::{self, VerifyRun};
use crate::verify::{self, Options, Progress, Report, VerifyError};

/// Prove a ledger from its entries, while posting goes on
///
/// Reads all entries out of one snapshot and checks that transactions sum to zero, balances are
/// the sums of their entries, versions have no gaps, hashes chain from the first entry to the
/// wallet, and references hold. Repairs nothing; that a whole ledger was verified, and what came of it,
/// is written down for `aegisctl status` and the metrics. Says for every check where the first violation
/// is and how to look at it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl ledger verify
  aegisctl -o json ledger verify | jq '.checks[] | select(.ok | not)'
  aegisctl ledger verify --wallet merchant:acme:available --currency NGN

Exit codes: 0 nothing is wrong, 4 something is, 130 interrupted. It holds one snapshot from
beginning to end: for as long as it runs the database keeps old row versions, and migrations wait.")]
pub(in crate::cli) struct Args {
    /// Verify the whole ledger, which is the default
    #[arg(long, conflicts_with = "wallet")]
    full: bool,
    /// Verify the chain of this wallet alone: its address or its id
    #[arg(long, value_name = "ADDRESS")]
    wallet: Option<WalletRef>,
    /// The wallet's currency, where only one of the address's wallets is meant
    #[arg(long, value_name = "C", requires = "wallet")]
    currency: Option<Currency>,
    /// Connections that read at the same time, 1 to 8 [default: one a processor]
    #[arg(long, value_name = "N", conflicts_with = "wallet",
          value_parser = clap::value_parser!(u32).range(1..=8))]
    connections: Option<u32>,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    drop(conn);
    let settings = context.database()?;
    let progress = Progress::default();
    let stop = &context.interrupt;
    let verification = async {
        match &args.wallet {
            Some(wallet) => {
                verify::wallet(&settings, &ledger, wallet, args.currency, &progress, stop).await
            }
            None => {
                let mut options = Options::default();
                options.connections = args.connections.unwrap_or(options.connections);
                verify::ledger(&settings, &ledger, options, &progress, stop).await
            }
        }
    };
    let started_at = OffsetDateTime::now_utc();
    let report = watch(context, &progress, verification)
        .await
        .map_err(|error| failure(error, args, &ledger))?;
    if args.wallet.is_none()
        && let Err(error) = remember(context, &ledger, &report, started_at).await
    {
        let what =
            "what was found could not be written down, so that status and metrics don't know";
        context.out.warn(&format!("{what}: {error:#}"));
    }
    show(context, &report)?;
    Ok(if report.ok { Exit::Done } else { Exit::Found })
}

/// Writes down that the ledger was verified, for `aegisctl status` and the metrics.
async fn remember(
    context: &Context,
    ledger: &Ledger,
    report: &Report,
    started_at: OffsetDateTime,
) -> anyhow::Result<()> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let failed = report.checks.iter().filter(|check| !check.ok);
    let run = VerifyRun {
        failed_checks: failed.map(|check| check.name.as_str().to_owned()).collect(),
        transactions: count(report.transactions),
        entries: count(report.entries),
        wallets: count(report.wallets),
        started_at,
        finished_at: OffsetDateTime::now_utc().max(started_at),
    };
    let mut conn = context.connect().await?;
    verify_runs::record(&mut conn, ledger.id, &run, &who::operator()).await?;
    Ok(())
}

fn failure(error: VerifyError, args: &Args, ledger: &Ledger) -> anyhow::Error {
    match error {
        VerifyError::Stopped => Failure::Interrupted(
            "nothing is known about what was not read; run it again from the beginning".to_owned(),
        )
        .into(),
        VerifyError::WalletNotFound { wallet, .. } => Failure::Rejected {
            code: RejectionCode::WalletNotFound.as_str(),
            detail: format!(
                "there is no wallet {wallet}{} in ledger {}; `aegisctl wallet list` shows what \
                 there is",
                args.currency
                    .map(|currency| format!(" in {currency}"))
                    .unwrap_or_default(),
                ledger.name
            ),
        }
        .into(),
        VerifyError::Database(error) => {
            anyhow::Error::new(error).context("the ledger could not be read to the end")
        }
        error @ VerifyError::Worker(_) => error.into(),
    }
}

/// Shows how far it is until it is done.
async fn watch<T>(context: &Context, progress: &Progress, work: impl Future<Output = T>) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = |what, items, total| progress::Progress::start(&context.out, what, items, total);
    let mut shown = begin("reading", "wallets", None);
    let mut total = 0;
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                shown.finish();
                return done;
            }
            _ = tick.tick() => {
                let now = progress.standing();
                if total == 0 && now.pages_total > 0 {
                    total = now.pages_total;
                    shown.finish();
                    shown = begin("verifying", "entries", Some(total));
                }
                match (total, now.entries) {
                    (0, 0) => shown.at(now.wallets, now.wallets),
                    // One wallet alone: how many entries it has is known at the end.
                    (0, entries) => shown.at(entries, entries),
                    (_, entries) => shown.at(now.pages_done, entries),
                }
            }
        }
    }
}

const HEAD: &[Column] = &[
    Column::text("ledger"),
    Column::text("ok"),
    Column::text("transactions"),
    Column::text("entries"),
    Column::text("wallets"),
    Column::text("seconds"),
    Column::text("entries_per_second"),
];

const CHECKS: &[Column] = &[
    Column::text("check"),
    Column::text("ok"),
    Column::number("checked"),
    Column::number("violations"),
    Column::text("first").detail(),
    Column::text("look").detail(),
];

fn show(context: &Context, report: &Report) -> anyhow::Result<()> {
    let word = |ok| match ok {
        true => Cell::Word("yes".to_owned(), Tone::Good),
        false => Cell::Word("NO".to_owned(), Tone::Bad),
    };
    let number = |count: u64| Cell::Number(i128::from(count));
    let mut head = Table::empty(HEAD);
    head.row(vec![
        report.ledger.as_str().into(),
        word(report.ok),
        number(report.transactions),
        number(report.entries),
        number(report.wallets),
        report.seconds.to_string().into(),
        number(report.entries_per_second),
    ]);
    let mut checks = Table::empty(CHECKS);
    for check in &report.checks {
        let first = check.first.as_ref();
        checks.row(vec![
            check.name.as_str().into(),
            word(check.ok),
            number(check.checked),
            number(check.violations),
            Cell::optional(first.map(ToString::to_string).as_deref()),
            Cell::optional(first.map(|first| first.look.as_str())),
        ]);
    }
    context.out.document(report, Some(&head), &checks)?;
    for check in &report.checks {
        if let Some(first) = &check.first {
            let (name, look) = (check.name.as_str(), &first.look);
            context
                .out
                .error(&format!("{name}: {first}\n  look: {look}"));
        }
    }
    Ok(())
}
