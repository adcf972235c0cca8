//! `aegisctl refund requery`.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{CONNECTIONS_MAX, failure, options, psp};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::refunds;
use crate::view::RefundView;

/// Do the step that is due, or ask the PSP how a refund stands
///
/// What aegisd does by itself, now: a refund that is due to be sent is sent; for any other the PSP's
/// list of its payment's refunds is read, and all that it says takes effect.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  aegisctl refund requery 0195f3c2-8a01-7d20-8c3b-1f2e3d4c5b6a

Exit codes: 0 whatever the PSP said; 3 there is no such refund.")]
pub(in crate::cli) struct Args {
    /// The refund's id
    id: Uuid,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let psp = psp(context)?;
    let ledger = context.ledger_unless_interrupted().await?;
    let pool = context.database()?.posting_pool(CONNECTIONS_MAX);
    let (options, id, now) = (options(context), args.id, OffsetDateTime::now_utc());
    let refund = tokio::select! {
        asked = refunds::requery(&pool, &options, &psp, &ledger, id, now) => {
            asked.map_err(failure)?
        }
        () = context.interrupt.cancelled() => {
            return Err(Failure::Interrupted(format!(
                "a call may be lost; aegisd, or `aegisctl refund requery {id}` after a while, asks \
                 the PSP what became of it"
            )).into());
        }
    };
    context.out.record(&RefundView::new(&ledger, &refund))?;
    if refund.status.is_open()
        && let Some(why) = &refund.last_error
    {
        context.out.note(why);
    }
    Ok(Exit::Done)
}
