//! `aegisctl payout run start`.

use std::time::Duration;

use super::carry::{Way, pay};
use super::file::Written;
use super::plan::{self, Plan};
use super::{amounts, now, payouts, refused};
use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::who;
use crate::ledger::{Currency, Ledger};
use crate::payout_runs::due::{self, LeftOut};
use crate::payout_runs::{self, Desk, Limits, List, RunKey, Start, Started, Wanted};
use crate::postgres::payout_runs::find;
use crate::psp::Paystack;

/// Freeze a list under a key, and pay it
///
/// Shows the list and asks; then it is frozen, counted, summed up and hashed, and paid. The same key
/// again goes on with the run that is there, or does nothing where that is finished; with another list
/// it is refused, and both hashes are shown. So cron may start it twice.
///
/// --due takes what the merchants' terms say is due now and what lies in their wallets. --file takes a
/// CSV with the columns merchant, currency, and minor or amount, and may have reference; the same
/// merchant may stand in it several times where each line has a reference of its own. A run has one
/// currency.
///
/// A run above a limit, which the configuration sets and the options can only tighten, waits for
/// somebody else's `payout run approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout run start --key 2026-11-22-evening --due --currency NGN --dry-run
  aegisctl --yes payout run start --key 2026-11-22-evening --due --currency NGN
  aegisctl payout run start --key bonus-november --file bonus.csv

Exit codes: 0 all payouts succeeded, nothing is due, it waits for approval, or there was nothing to do
under the key any more; 2 the list can't be read; 3 a rule said no, or the key belongs to another list;
5 some failed, are unknown or still on their way; 6 the run is in progress elsewhere; 8 declined, or no
terminal to ask on; 130 interrupted, at a safe point.")]
pub(in crate::cli) struct Args {
    /// The run's key, such as a date and a time of day
    #[arg(long, value_name = "KEY")]
    key: RunKey,
    /// Pay what is due, by the merchants' terms
    #[arg(long, required_unless_present = "file", conflicts_with = "file")]
    due: bool,
    /// Pay this list, a CSV; - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// With --due: only what is due in this currency
    #[arg(long, value_name = "CODE", conflicts_with = "file")]
    currency: Option<String>,
    /// Wait for approval where the total is above so many minor units
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    approval_above_minor: Option<i64>,
    /// Wait for approval where there are more payouts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    approval_above_count: Option<i64>,
    /// How long to stay with payouts that are on their way, such as 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = patience)]
    patience: Option<Duration>,
    /// Show the list, and do nothing
    #[arg(long)]
    dry_run: bool,
}

fn patience(text: &str) -> Result<Duration, String> {
    let read = || {
        let (number, seconds) = match text.split_at_checked(text.len().checked_sub(1)?)? {
            (number, "s") => (number, 1),
            (number, "m") => (number, 60),
            (number, "h") => (number, 3_600),
            _ => return None,
        };
        let number: u32 = number.parse().ok()?;
        Some(Duration::from_secs(u64::from(number) * seconds))
    };
    read().ok_or_else(|| "write a time such as 90s, 5m or 1h".to_owned())
}

impl Args {
    fn currency(&self) -> Result<Option<Currency>, Failure> {
        let parse = |code: &String| code.parse::<Currency>().map_err(Failure::Usage);
        self.currency.as_ref().map(parse).transpose()
    }

    fn desk(&self, context: &Context) -> anyhow::Result<Desk<Paystack>> {
        let mut desk = super::desk(context)?;
        if let Some(patience) = self.patience {
            desk.pace.patience = patience;
        }
        Ok(desk)
    }

    fn approval_reason(&self, context: &Context, list: &List) -> Option<String> {
        let asked = Limits {
            above_minor: self.approval_above_minor,
            above_count: self.approval_above_count,
        };
        let limits = Limits::from_config(context.config()).and(asked);
        limits.exceeded_by(list)
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let currency = args.currency()?;
    let written = args.file.as_deref().map(Written::read).transpose()?;
    let ledger = context.ledger_unless_interrupted().await?;
    let reading = list(context, args, &ledger, written, currency);
    let (list, left_out) = match context.unless_interrupted(reading).await? {
        Found::Before(run) => {
            let way = Way::GoOn {
                dry_run: args.dry_run,
            };
            return pay(context, |context| args.desk(context), &ledger, *run, way).await;
        }
        Found::Nothing(left_out) => {
            let currency = currency.map(|currency| currency.code());
            plan::nothing(context, &args.key, currency, &left_out, args.dry_run)?;
            return Ok(Exit::Done);
        }
        Found::New(list, left_out) => (list, left_out),
    };
    let approval_reason = args.approval_reason(context, &list);
    let plan = Plan {
        key: &args.key,
        list: &list,
        left_out: &left_out,
        approval_reason: approval_reason.as_deref(),
    };
    if args.dry_run {
        plan.print(context)?;
        return Ok(Exit::Done);
    }
    if approval_reason.is_none() {
        // What is not to be had is said before anything is frozen.
        args.desk(context)?;
    }
    plan.show(context);
    let question = format!(
        "{} {} in payout run {}?",
        if approval_reason.is_some() {
            "Freeze"
        } else {
            "Pay"
        },
        payouts(list.count()),
        args.key
    );
    confirm(context, &question).await?;
    let new = Start {
        key: args.key.clone(),
        list,
        approval_reason,
        in_background: false,
    };
    freeze(context, args, &ledger, &new).await
}

async fn freeze(
    context: &Context,
    args: &Args,
    ledger: &Ledger,
    new: &Start,
) -> anyhow::Result<Exit> {
    let (pool, config) = (context.database()?.pool(), context.config());
    let (topic, actor) = (&config.kafka.topic_settlements, who::operator());
    let started = payout_runs::start(&pool, topic, ledger, new, &actor, now()).await?;
    let (run, way) = match started {
        Started::Now(run) => {
            let frozen = format!("payout run {} is frozen: {}", run.key, amounts(&run));
            context.out.note(&frozen);
            (run, Way::Begin)
        }
        // Somebody was faster, and the question was about this list.
        Started::Before(run) => (run, Way::GoOn { dry_run: false }),
        Started::Refused(refusal) => return Err(refused(refusal).into()),
    };
    pay(context, |context| args.desk(context), ledger, run, way).await
}

enum Found {
    /// The run of that key.
    Before(Box<crate::postgres::payout_runs::Run>),
    /// A list for a new one.
    New(List, Vec<LeftOut>),
    /// Nothing is due.
    Nothing(Vec<LeftOut>),
}

async fn list(
    context: &Context,
    args: &Args,
    ledger: &Ledger,
    written: Option<Written>,
    currency: Option<Currency>,
) -> anyhow::Result<Found> {
    let mut conn = context.connect().await?;
    let before = find(&mut conn, ledger.id, args.key.as_str()).await?;
    let Some(written) = written else {
        if let Some(run) = before {
            Wanted::Due(currency).is_met_by(&run).map_err(refused)?;
            return Ok(Found::Before(Box::new(run)));
        }
        let due = due::find(&mut conn, ledger, currency, now()).await?;
        let due = due.map_err(refused)?;
        return Ok(match due.list {
            Some(list) => Found::New(list, due.left_out),
            None => Found::Nothing(due.left_out),
        });
    };
    if let Some(run) = before {
        // What has become of its merchants since is no reason to refuse a list that is frozen.
        let list = written.list(Vec::new())?;
        Wanted::List(&list).is_met_by(&run).map_err(refused)?;
        return Ok(Found::Before(Box::new(run)));
    }
    let refusals = payout_runs::refusals(&mut conn, ledger, &written.entries).await?;
    Ok(Found::New(written.list(refusals)?, Vec::new()))
}
