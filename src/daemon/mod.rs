//! `aegisd`: the API, the committer, the relay and the consumers in one process.
//!
//! On SIGTERM or SIGINT it drains in order: intake stops, requests that were accepted are
//! answered, replays of dead letters stop, calls to PSPs end, the committer finishes its queue, the
//! relay empties the outbox as far as the bus lets it, the consumers stop, the producer is flushed,
//! connections close; all under one deadline.

mod consumers;
mod gauges;
mod money;
mod notify;
mod parts;
mod readiness;
mod reload;
mod server;
mod startup;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiState};
use crate::bus::Bus;
use crate::config::{Config, ConfigError, Loaded};
use crate::dlq::Replayer;
use crate::engine::{Committer, Engine, Limits};
use crate::onboarding::Office;
use crate::outbox::{Relay, RelayOptions};
use crate::settlement::{self, Settler};
use crate::telemetry::{LogFilter, Metrics, Traces};

use consumers::Consumers;
use money::Money;
use parts::{Part, Starter};
pub use startup::DaemonError;
use supervisor::Phase;

/// A run works on one period at a time; callers may start some of their own.
const SETTLEMENT_CONNECTIONS: u32 = 4;

/// The parts that run until the end, in the order in which they are drained.
struct Parts {
    address: std::net::SocketAddr,
    server: Part,
    committer: Part,
    relay: Part,
    consumers: Consumers,
    replayer: Replayer,
    money: Option<Money>,
    readiness: Part,
    gauges: Part,
    supervision: Part,
    phase: watch::Sender<Phase>,
    settling: Part,
    bus: Arc<Bus>,
    pool: PgPool,
    stop_intake: CancellationToken,
    stop_relay: CancellationToken,
}

/// Runs until a signal comes and all is drained, or a part fails. A signal during the start ends it
/// there: nothing was accepted. On SIGHUP `reread` reads the configuration again, and `log` logs by
/// it from then on.
///
/// # Errors
/// See [`DaemonError`]; each has its exit code.
pub async fn run(
    config: &Config,
    reread: impl Fn() -> Result<Loaded, ConfigError>,
    log: &LogFilter,
) -> Result<(), DaemonError> {
    let mut stop = Stop::heard()?;
    let mut hangup = signal(SignalKind::hangup()).map_err(DaemonError::Signals)?;
    let traces = Traces::start(&config.telemetry)?;
    let (starter, mut endings) = parts::starter();
    let parts = tokio::select! {
        started = start(config, &starter) => started?,
        () = stop.asked() => {
            tracing::info!("stopping; it did not serve yet");
            supervisor::stopping_early();
            return Ok(());
        }
    };
    tracing::info!(address = %parts.address, bus = ?config.bus, "serving");
    parts.phase.send_replace(Phase::Serving);
    let reloads = async {
        while hangup.recv().await.is_some() {
            reload::apply(reread(), log);
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        () = stop.asked() => None,
        () = reloads => None,
        part = endings.next() => Some(part),
    };
    if let Some(part) = ended {
        // Without it nothing is right any more: a supervisor starts the process anew.
        return Err(DaemonError::PartEnded(part));
    }
    tracing::info!("stopping");
    parts.phase.send_replace(Phase::Draining);
    let deadline = config.server.shutdown_deadline;
    tokio::time::timeout(deadline, drain(parts))
        .await
        .map_err(|_| DaemonError::Deadline(deadline))?;
    // Behind the drain: its spans are sent, too.
    if let Some(traces) = traces {
        traces.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// The signals that ask for an end.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn heard() -> Result<Self, DaemonError> {
        let heard = |kind| signal(kind).map_err(DaemonError::Signals);
        Ok(Self {
            terminate: heard(SignalKind::terminate())?,
            interrupt: heard(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn start(config: &Config, starter: &Starter) -> Result<Parts, DaemonError> {
    config.check_listen_address(false)?;
    let inherited = startup::inherited_listener(config)?;
    let metrics = Metrics::start();
    let settings = startup::database(config)?;
    let pool = settings.pool();
    startup::check_schema(&pool, &settings).await?;
    let (bus, letters) = startup::bus(config)?;
    let consumers = Consumers::start(config, &settings, &bus, &letters, starter)?;
    let money = Money::start(config, &settings, &pool, starter).await?;
    let cache = startup::cache(config)?;
    let mut engine = Engine::new(&settings, &config.kafka.topic_transactions);
    if let Some(locks) = startup::locks(cache.as_ref(), config) {
        engine = engine.with_locks(locks);
    }
    let limits = Limits {
        batch_commands_max: config.posting.batch_commands_max,
        queue_commands_max: config.posting.queue_commands_max,
        queue_wait: config.posting.queue_wait,
    };
    let (committer, committing) = Committer::start(engine, limits);
    let committing = starter.start("committer", async move {
        if let Err(error) = committing.await {
            tracing::error!(%error, "the committer did not end well");
        }
    });
    let relay_options = RelayOptions {
        claim_rows_max: config.relay.claim_rows_max,
        poll: config.relay.poll,
        schedule: startup::schedule(config),
    };
    let relay = Relay::new(pool.clone(), Arc::clone(&bus), relay_options).with_letters(letters);
    let (stop_intake, stop_relay) = (CancellationToken::new(), CancellationToken::new());
    let (report, reported) = watch::channel(api::Readiness::default());
    let relay_turns = relay.turns();
    let readiness = readiness::watch(
        pool.clone(),
        config.redis.address.clone().zip(cache.clone()),
        Arc::clone(&bus),
        money.as_ref().map(|money| money.desk.psp().clone()),
        relay.turns(),
        report,
    );
    let readiness = starter.start("readiness", readiness);
    // Over connections of its own, so that it takes none from requests.
    let settling_pool = settings.posting_pool(SETTLEMENT_CONNECTIONS);
    let settler = Settler::new(
        settling_pool.clone(),
        settlement::Options::from_config(config),
    );
    let every = config.settlement.every;
    let settling = settler.clone().keep_settling(every, stop_intake.clone());
    let settling = starter.start("settlement", settling);
    let stop = stop_relay.clone();
    let relay = starter.start("relay", async move { relay.run(stop).await });
    let listener = startup::listener(config, inherited).await?;
    let address = listener.local_addr().map_err(DaemonError::Signals)?;
    let api_limits = api::Limits {
        body_bytes_max: config.server.body_bytes_max,
        request_timeout: config.server.request_timeout,
        requests_max: config.server.requests_max,
    };
    let (liveness, live) = watch::channel(api::Liveness::default());
    let phase = watch::Sender::new(Phase::Starting);
    let supervision = supervisor::watch(
        address,
        phase.subscribe(),
        relay_turns,
        committer.pulse(),
        reported.clone(),
        liveness,
        config.server.stuck_after,
    );
    let supervision = starter.start("supervision", supervision);
    let replayer = Replayer::new(pool.clone(), Arc::clone(&bus));
    let pools = pools(&pool, &settling_pool, &consumers, money.as_ref());
    let gauges = gauges::watch(pools, committer.pulse(), metrics.clone());
    let gauges = starter.start("gauges", gauges);
    let state = ApiState::new(committer, pool.clone(), api_limits, reported)
        .with_office(Office::from_config(config))
        .with_settler(settler)
        .with_reconcile(crate::reconcile::Options::from_config(config));
    let mut state = state.with_replayer(replayer.clone()).with_metrics(metrics);
    state = state.with_liveness(live);
    if let Some(cache) = &cache {
        state = state.with_records(startup::records(cache, &pool).await?);
    }
    if let Some(money) = &money {
        state = state.with_desk(money.desk.clone());
        state = state.with_dispatch(money.dispatch.clone());
        state = state.with_refunds(money.refunds.clone());
        state = state.with_run_limits(crate::payout_runs::Limits::from_config(config));
    }
    let router = api::router(state);
    let server = server::serve(listener, router, stop_intake.clone());
    let server = starter.start("server", server);
    Ok(Parts {
        address,
        server,
        committer: committing,
        relay,
        consumers,
        replayer,
        money,
        readiness,
        gauges,
        supervision,
        phase,
        settling,
        bus,
        pool,
        stop_intake,
        stop_relay,
    })
}

/// All pools, by the names that they have in the metrics; the API's first.
fn pools(
    api: &PgPool,
    settlement: &PgPool,
    consumers: &Consumers,
    money: Option<&Money>,
) -> Vec<gauges::NamedPool> {
    let mut pools = vec![
        ("api", api.clone()),
        ("settlement", settlement.clone()),
        ("consumers", consumers.pool().clone()),
    ];
    pools.extend(money.iter().flat_map(|money| money.pools()).cloned());
    pools
}

async fn drain(parts: Parts) {
    parts.stop_intake.cancel();
    parts.server.ended().await;
    parts.settling.ended().await;
    // What was begun over HTTP stops at a safe point; the rest of its letters waits.
    parts.replayer.stop().await;
    if let Some(money) = parts.money {
        money.stop().await;
    }
    // The server held the last handle on the committer: it ends once its queue is empty.
    parts.committer.ended().await;
    parts.stop_relay.cancel();
    parts.relay.ended().await;
    parts.consumers.stop().await;
    parts.readiness.abort();
    parts.gauges.abort();
    parts.supervision.abort();
    if let Err(error) = parts.bus.flush(Duration::from_secs(5)).await {
        tracing::warn!(%error, "the bus was not flushed; what it had is published again later");
    }
    parts.pool.close().await;
}
