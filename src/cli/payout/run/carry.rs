//! Pays a run: takes it, brings it on, and says what came of it.

use std::time::Duration;

use super::summary::{self, print};
use super::{amounts, found, now, payouts, refused};
use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::Progress;
use crate::cli::when;
use crate::cli::who;
use crate::ledger::Ledger;
use crate::payout_runs::{self, Decided, Desk, Ending, Held, Notice, RunKey, drive};
use crate::postgres::payout_runs::{Run, RunStatus, lock};
use crate::psp::Psp;

/// What to do with a run that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is new, or was approved just now: whoever said so said yes.
    Begin,
    /// Somebody goes on with it, which is asked about and written down.
    GoOn {
        /// Only say what would be done.
        dry_run: bool,
    },
}

/// Pays what a run has to pay.
pub(super) async fn pay<P: Psp>(
    context: &Context,
    desk: impl FnOnce(&Context) -> anyhow::Result<Desk<P>>,
    ledger: &Ledger,
    run: Run,
    way: Way,
) -> anyhow::Result<Exit> {
    let key: RunKey = run.key.parse().map_err(Failure::Usage)?;
    match run.status {
        RunStatus::Waiting => return waits(context, ledger, &run).await,
        RunStatus::Finished => {
            context
                .out
                .note(&format!("payout run {key} is finished: nothing to do"));
            print(context, ledger, &run).await?;
            return Ok(Exit::Done);
        }
        RunStatus::Cancelled => return Err(refused(payout_runs::cancelled(&run)).into()),
        RunStatus::Running => {}
    }
    check_free(context, ledger, &key).await?;
    if let Way::GoOn { dry_run } = way {
        let told = format!(
            "payout run {key}: {}, of which {} not at their ends",
            amounts(&run),
            run.tally
                .waiting
                .count
                .saturating_add(run.tally.unknown.count)
        );
        context.out.note(&told);
        if dry_run {
            print(context, ledger, &run).await?;
            context
                .out
                .note("it would be gone on with; nothing was done");
            return Ok(Exit::Done);
        }
    }
    let desk = desk(context)?;
    if let Way::GoOn { .. } = way {
        confirm(context, &format!("Go on with payout run {key}?")).await?;
    }
    let conn = context.database()?.connect("aegis-payout-run").await?;
    let Some(held) = Held::take(conn, ledger, &key).await? else {
        return Err(busy(&key).into());
    };
    if let Way::GoOn { .. } = way {
        let actor = who::operator();
        let noted = payout_runs::resume(&desk.pool, ledger, &key, None, &actor, now()).await?;
        if let Decided::Refused(refusal) = noted {
            return Err(refused(refusal).into());
        }
    }
    let ending = bring_on(context, &desk, ledger, held, &run).await?;
    end(context, ledger, &ending).await
}

async fn bring_on<P: Psp>(
    context: &Context,
    desk: &Desk<P>,
    ledger: &Ledger,
    held: Held,
    run: &Run,
) -> anyhow::Result<Ending> {
    let total = u64::try_from(run.count).ok();
    let mut progress = Progress::start(&context.out, "paying", "payouts", total);
    let (mut began, mut stays) = (false, false);
    let patience = desk.pace.patience;
    let mut notice = |notice: Notice| match notice {
        Notice::Requested(done) => {
            if !began {
                progress.resume_at(done, done);
                began = true;
            }
            progress.at(done, done);
        }
        Notice::Staying(left) if left > 0 && !stays => {
            stays = true;
            progress.suspend(|| context.out.note(&staying(left, patience)));
        }
        Notice::Staying(_) => {}
    };
    let driven = drive(desk, ledger, held, &context.interrupt, &mut notice).await;
    progress.finish();
    let key = &run.key;
    driven.map_err(|error| {
        let told = format!(
            "payout run {key} broke off; `aegisctl payout run resume --key {key}` goes on with it"
        );
        anyhow::Error::new(error).context(told)
    })
}

fn staying(left: usize, patience: Duration) -> String {
    format!(
        "{} on the way; staying for up to {}",
        payouts(left),
        when::duration(patience.as_secs_f64())
    )
}

async fn end(context: &Context, ledger: &Ledger, ending: &Ending) -> anyhow::Result<Exit> {
    let run = ending.run();
    print(context, ledger, run).await?;
    let key = &run.key;
    let message = match ending {
        Ending::Stopped(_) => Some(format!(
            "{}; `aegisctl payout run resume --key {key}` goes on",
            summary::counts(run)
        )),
        _ if run.status == RunStatus::Cancelled => Some(format!(
            "payout run {key} was cancelled meanwhile by {}",
            run.cancelled_by.as_deref().unwrap_or("somebody")
        )),
        _ => None,
    };
    if let Some(message) = message {
        return Err(Failure::Interrupted(message).into());
    }
    context.out.note(&summary::told(run));
    let tally = &run.tally;
    let all_paid = tally.failed.count == 0 && tally.unknown.count == 0 && tally.waiting.count == 0;
    Ok(match all_paid {
        true => Exit::Done,
        false => Exit::Partly,
    })
}

/// A run that waits for its approval is where it should be.
async fn waits(context: &Context, ledger: &Ledger, run: &Run) -> anyhow::Result<Exit> {
    print(context, ledger, run).await?;
    context.out.note(&format!(
        "payout run {} waits for approval, since {}: somebody other than {} runs `aegisctl payout \
         run approve --key {}`",
        run.key,
        run.approval_reason
            .as_deref()
            .unwrap_or("it is over a limit"),
        run.started_by.name,
        run.key
    ));
    Ok(Exit::Done)
}

async fn check_free(context: &Context, ledger: &Ledger, key: &RunKey) -> anyhow::Result<()> {
    let mut conn = context.connect().await?;
    match lock::is_taken(&mut conn, ledger.id, key.as_str()).await? {
        true => Err(busy(key).into()),
        false => Ok(()),
    }
}

fn busy(key: &RunKey) -> Failure {
    Failure::Busy(format!(
        "payout run {key} is in progress elsewhere, in another process or in aegisd: `aegisctl \
         payout run show {key}` tells how far it is; nothing was done"
    ))
}

/// The run as it stands, once somebody has taken part in it.
pub(super) async fn read(context: &Context, ledger: &Ledger, key: &RunKey) -> anyhow::Result<Run> {
    let mut conn = context.connect().await?;
    found(&mut conn, ledger, key).await
}
