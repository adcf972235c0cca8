//! `aegisctl payout requery`.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{CONNECTIONS_MAX, failure, options, psp};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::payouts::{self, PayoutStatus};
use crate::view::PayoutView;

/// Do the step that is due, or ask the PSP how a payout stands
///
/// What aegisd does by itself, now: a payout that is due to be sent is sent; about any other the PSP
/// is asked by its reference, and the answer takes effect as a webhook would.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl payout requery 0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f

Exit codes: 0 whatever the PSP said; 3 there is no such payout.")]
pub(in crate::cli) struct Args {
    /// The payout's id
    id: Uuid,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let psp = psp(context)?;
    let ledger = context.ledger_unless_interrupted().await?;
    let pool = context.database()?.posting_pool(CONNECTIONS_MAX);
    let (options, id) = (options(context), args.id);
    let asking = async {
        let mut conn = pool.acquire().await?;
        let found = crate::postgres::payouts::find(&mut conn, ledger.id, id).await?;
        drop(conn);
        let now = OffsetDateTime::now_utc();
        let is_due = found.is_some_and(|payout| {
            payout.status == PayoutStatus::Requested
                && payout.next_attempt_at.is_some_and(|due| due <= now)
        });
        match is_due {
            true => payouts::advance(&pool, &options, &psp, &ledger, id, now).await,
            false => payouts::requery(&pool, &options, &psp, &ledger, id, now).await,
        }
    };
    let payout = tokio::select! {
        asked = asking => asked.map_err(failure)?,
        () = context.interrupt.cancelled() => {
            return Err(Failure::Interrupted(format!(
                "a call may be lost; aegisd, or `aegisctl payout requery {id}` after a while, asks \
                 the PSP what became of it"
            )).into());
        }
    };
    context.out.record(&PayoutView::new(&ledger, &payout))?;
    if payout.status.is_open()
        && let Some(why) = &payout.last_error
    {
        context.out.note(why);
    }
    Ok(Exit::Done)
}
