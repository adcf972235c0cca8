//! The half that takes messages from the bus.

use std::time::Instant;

use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;

use super::command::{Verdict, attempt};
use super::message::{message_of, span_of, working_on};
use super::retries::CONFLICT_WAIT;
use super::{ConsumerError, NAME, Shared};
use crate::bus::{Arrived, Handled, Handler};
use crate::postgres::in_time;
use crate::postgres::retries::{self, Message, Standing};
use crate::resilience::failpoint;

/// How often a message is attempted at once where the server undoes the work.
const ATTEMPTS_MAX: u32 = 5;

/// Takes messages from the bus; fed by [`crate::bus::feed()`].
#[derive(Debug)]
pub struct Settlements {
    shared: Shared,
}

impl Handler for Settlements {
    async fn handle(&self, claim: &[Arrived]) -> Handled {
        let began = Instant::now();
        for (done, arrived) in claim.iter().enumerate() {
            // A member that settles nothing for minutes is expelled from its group, and one that
            // joins waits for it.
            if done > 0 && began.elapsed() >= self.shared.options.patience {
                return Handled { done, held: None };
            }
            if let Err(error) = self.take(arrived, OffsetDateTime::now_utc()).await {
                return Handled {
                    done,
                    held: Some(error.to_string()),
                };
            }
        }
        Handled {
            done: claim.len(),
            held: None,
        }
    }
}

impl Settlements {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Done with a message: it took effect, or it waits in the database.
    ///
    /// # Errors
    /// [`ConsumerError`] where neither could be.
    pub async fn take(&self, arrived: &Arrived, now: OffsetDateTime) -> Result<(), ConsumerError> {
        let message = message_of(arrived);
        let span = span_of(&message, 1);
        let taking = async {
            let mut conn = self.shared.pool.acquire().await?;
            let taken = self.take_over(&mut conn, &message, now).await;
            if taken.is_err() {
                conn.close_on_drop();
            }
            taken
        };
        let taken = working_on(&message, &span, taking).await;
        if let Err(error) = &taken {
            span.fail(error.to_string());
        }
        taken
    }

    async fn take_over(
        &self,
        conn: &mut PgConnection,
        message: &Message,
        now: OffsetDateTime,
    ) -> Result<(), ConsumerError> {
        let patience = self.shared.options.patience;
        for _ in 0..ATTEMPTS_MAX {
            match in_time(patience, self.try_once(conn, message, now)).await {
                Err(error) if error.is_conflict() => {}
                done => return done,
            }
        }
        // Others are in the way for longer: the partition doesn't wait for them.
        let standing = Standing {
            attempts: 0,
            next_attempt_at: now + CONFLICT_WAIT,
            last_error: Some("contended: other writers were in the way"),
        };
        in_time(patience, retries::park(conn, NAME, message, standing, now)).await?;
        self.shared.parked.notify_one();
        Ok(())
    }

    async fn try_once(
        &self,
        conn: &mut PgConnection,
        message: &Message,
        now: OffsetDateTime,
    ) -> Result<(), ConsumerError> {
        let mut transaction = conn.begin().await?;
        let (topic, key) = (&message.topic, &message.key);
        let verdict = match retries::is_lane_taken(&mut transaction, NAME, topic, key).await? {
            true => None,
            false => {
                let told_on = &self.shared.options.topic_transactions;
                Some(attempt(&mut transaction, message, told_on, now).await?)
            }
        };
        let parked = match &verdict {
            Some(Verdict::Done) => None,
            // Its turn comes; what can't be read is found unreadable again, and buried.
            None => Some((0, now, None)),
            Some(Verdict::Unreadable(reason)) => Some((0, now, Some(reason))),
            Some(Verdict::Failed(reason)) => {
                let wait = self.shared.options.schedule.delay_after(1);
                Some((1, now + wait.unwrap_or_default(), Some(reason)))
            }
        };
        if let Some((attempts, next_attempt_at, reason)) = parked {
            let standing = Standing {
                attempts,
                next_attempt_at,
                last_error: reason.map(String::as_str),
            };
            retries::park(&mut transaction, NAME, message, standing, now).await?;
        }
        failpoint::reach(failpoint::CONSUMER_COMMITS);
        transaction.commit().await?;
        failpoint::reach(failpoint::CONSUMER_COMMITTED);
        let outcome = match &verdict {
            None => "waits",
            Some(Verdict::Done) => "done",
            Some(Verdict::Failed(_)) => "failed",
            Some(Verdict::Unreadable(_)) => "unreadable",
        };
        metrics::counter!("aegis_consumer_messages_total", "outcome" => outcome).increment(1);
        if let Some((_, _, reason)) = parked {
            self.shared.parked.notify_one();
            if let Some(reason) = reason {
                let (event_id, topic) = (message.event_id, &message.topic);
                tracing::warn!(%event_id, topic, reason, "a message failed and waits");
            }
        }
        Ok(())
    }
}
