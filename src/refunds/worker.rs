//! Refunds that are due, and looks at the PSP's lists that are: one step after the other. Several
//! workers, and several daemons, may run.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::advance::{Begun, begin, carry_out};
use super::{Options, RefundError, look_up};
use crate::ledger::{Ledger, later};
use crate::postgres::{atomically, refunds};
use crate::psp::Psp;
use crate::resilience::rounds::Rounds;

/// Does one refund's step and looks at one list, where they are due: whether there was one. Neither
/// waits for all of the other. Skips what is in other hands, and holds no transaction while the PSP
/// is called.
///
/// # Errors
/// [`RefundError`].
pub async fn work_once<P: Psp>(
    pool: &PgPool,
    options: &Options,
    psp: &P,
    now: OffsetDateTime,
) -> Result<bool, RefundError> {
    let clock = Instant::now();
    let taken: Result<Option<(Ledger, Begun)>, RefundError> =
        atomically!(pool, |conn| take(conn, options, now));
    let taken = taken?;
    let was_due = taken.is_some();
    if let Some((ledger, Begun::Call(call))) = taken {
        carry_out(pool, options, psp, &ledger, *call).await?;
    }
    let was_looked_up = look_up(pool, options, psp, later(now, clock.elapsed())).await?;
    Ok(was_due || was_looked_up)
}

async fn take(
    conn: &mut PgConnection,
    options: &Options,
    now: OffsetDateTime,
) -> Result<Option<(Ledger, Begun)>, RefundError> {
    let Some((ledger, refund)) = refunds::next_due(conn, &options.psp_name, now).await? else {
        return Ok(None);
    };
    let begun = begin(conn, options, &ledger, refund, false, now).await?;
    Ok(Some((ledger, begun)))
}

/// Sees to refunds until it is stopped; the call under way is waited for. `due` wakes it, and it
/// looks by itself each `poll`.
pub async fn run<P: Psp>(
    pool: PgPool,
    options: Options,
    psp: P,
    due: &Notify,
    poll: Duration,
    stop: CancellationToken,
) {
    let mut rounds = Rounds::new(poll, "refunds wait", "refunds go on");
    while !stop.is_cancelled() {
        let now = OffsetDateTime::now_utc();
        let was_due = work_once(&pool, &options, &psp, now).await;
        let Some(rest) = rounds.rest_after(was_due, RefundError::is_away) else {
            continue;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = due.notified() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}
