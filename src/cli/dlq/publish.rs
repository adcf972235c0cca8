//! Carries a plan out: by itself over Kafka, through `aegisd` over the local bus.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::aegisd::Aegisd;
use super::failure;
use super::summary::{Summary, no_replay};
use super::watch::follow;
use crate::bus::{Bus, KafkaBus, KafkaOptions};
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::cli::who;
use crate::config::BusKind;
use crate::dlq::discard::Reason;
use crate::dlq::plan::Plan;
use crate::dlq::replay::{Counts, Notice, Options, Replay};
use crate::dlq::runs;

/// How long Kafka may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the messages go.
pub(super) enum Way {
    /// To Kafka, from here.
    Here(Bus),
    /// To the bus within aegisd.
    Aegisd(Aegisd),
}

impl Way {
    /// The configured way, having seen that it is open.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where it isn't.
    pub(super) async fn open(context: &Context, plan: &Plan) -> anyhow::Result<Self> {
        if context.config().bus == BusKind::Local {
            let aegisd = Aegisd::of(context, plan)?;
            aegisd.check(plan).await?;
            return Ok(Self::Aegisd(aegisd));
        }
        let brokers = &context.config().kafka.brokers;
        let mut options = KafkaOptions::new(brokers);
        options.client_id = "aegisctl".to_owned();
        let bus = Bus::Kafka(KafkaBus::new(options)?);
        match bus.ping(PATIENCE).await {
            Ok(_) => Ok(Self::Here(bus)),
            Err(error) => Err(Failure::Unreachable(format!(
                "Kafka at {brokers}: {error}: check KAFKA_BROKERS, or start Kafka; nothing was done"
            ))
            .into()),
        }
    }

    /// Carries the plan out to its end, or to where it is stopped.
    pub(super) async fn carry_out(
        self,
        context: &Context,
        conn: PgConnection,
        plan: Plan,
        rate: Option<NonZeroU32>,
    ) -> anyhow::Result<Summary> {
        match self {
            Self::Here(bus) => here(context, conn, plan, rate, &bus).await,
            Self::Aegisd(aegisd) => within(context, conn, plan, rate, &aegisd).await,
        }
    }
}

async fn here(
    context: &Context,
    conn: PgConnection,
    plan: Plan,
    rate: Option<NonZeroU32>,
    bus: &Bus,
) -> anyhow::Result<Summary> {
    let began = Instant::now();
    let options = Options {
        rate,
        ..Options::default()
    };
    let replay = Replay::begin(conn, plan.clone(), options, who::operator())
        .await
        .map_err(failure)?;
    let total = u64::try_from(plan.letters.len()).unwrap_or(u64::MAX);
    let progress = Progress::start(&context.out, "replaying", "letters", Some(total));
    let view = View {
        out: &context.out,
        progress: Mutex::new(progress),
    };
    let mut notice = |notice: Notice<'_>| view.notice(notice);
    let done = {
        let running = replay.run(bus, &context.interrupt, &mut notice);
        tokio::pin!(running);
        tokio::select! {
            done = &mut running => done,
            () = context.interrupt.cancelled() => {
                view.say("stopping behind the letters at hand; once more stops at once");
                running.await
            }
        }
    };
    view.finish();
    let report = done.map_err(|error| {
        anyhow::Error::from(error)
            .context("what was marked stays replayed; go on with the same command")
    })?;
    Ok(Summary::here(report, &plan, began.elapsed()))
}

/// What a person sees on the way. Shared between the replay and whoever interrupts it.
struct View<'a> {
    out: &'a Output,
    progress: Mutex<Progress>,
}

impl View<'_> {
    fn notice(&self, notice: Notice<'_>) {
        match notice {
            Notice::Progress(Counts {
                replayed, failed, ..
            }) => {
                let handled = u64::try_from(replayed.saturating_add(failed)).unwrap_or_default();
                if let Ok(mut progress) = self.progress.lock() {
                    progress.at(handled, handled);
                }
            }
            Notice::Failed { id, reason } => self.warn(&format!("letter {id}: {reason}")),
            Notice::BusAway(reason) => {
                self.warn(&format!("the bus is away, trying again: {reason}"))
            }
        }
    }

    fn say(&self, message: &str) {
        if let Ok(progress) = self.progress.lock() {
            progress.suspend(|| self.out.note(message));
        }
    }

    fn warn(&self, message: &str) {
        if let Ok(progress) = self.progress.lock() {
            progress.suspend(|| self.out.warn(message));
        }
    }

    fn finish(&self) {
        if let Ok(progress) = self.progress.lock() {
            progress.finish();
        }
    }
}

async fn within(
    context: &Context,
    mut conn: PgConnection,
    plan: Plan,
    rate: Option<NonZeroU32>,
    aegisd: &Aegisd,
) -> anyhow::Result<Summary> {
    let begun = aegisd.start(&plan, rate.map(NonZeroU32::get)).await?;
    let Some(id) = begun else {
        // Somebody was quicker.
        return Ok(Summary::nothing(&plan));
    };
    if follow(context, &mut conn, id, &context.interrupt)
        .await?
        .is_none()
    {
        context
            .out
            .note("stopping behind the letters at hand; once more leaves it to itself");
        let now = OffsetDateTime::now_utc();
        let reason: Option<Reason> = "interrupted at the keyboard".parse().ok();
        let reason = reason.as_ref().map(Reason::as_str);
        runs::cancel(&mut conn, id, reason, &who::operator(), now).await?;
        let never = tokio_util::sync::CancellationToken::new();
        follow(context, &mut conn, id, &never).await?;
    }
    let found = runs::find(&mut conn, id, None, OffsetDateTime::now_utc()).await?;
    let account = found.ok_or_else(|| no_replay(id))?;
    let summary = Summary::elsewhere(account, &plan);
    for failed in &summary.failures {
        context
            .out
            .warn(&format!("letter {}: {}", failed.id, failed.reason));
    }
    Ok(summary)
}
