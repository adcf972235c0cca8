//! `aegisd`: the API, the committer, the relay and the consumers in one process.
//!
//! On SIGTERM or SIGINT it drains in order: intake stops, requests that were accepted are
//! answered, replays of dead letters and calls about payouts end, the committer finishes its queue, the relay empties the
//! outbox as far as the bus lets it, the consumers stop, the producer is flushed, connections close; all under one
//! deadline.

mod consumers;
mod gauges;
mod payout_runs;
mod payouts;
mod readiness;
mod server;
mod startup;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiState};
use crate::bus::Bus;
use crate::config::Config;
use crate::dlq::Replayer;
use crate::engine::{Committer, Engine, Limits};
use crate::outbox::{Relay, RelayOptions};
use crate::telemetry::Metrics;

use consumers::Consumers;
pub use startup::DaemonError;

/// The parts that run until the end, in the order in which they are drained.
struct Parts {
    address: std::net::SocketAddr,
    server: JoinHandle<()>,
    committer: JoinHandle<()>,
    relay: JoinHandle<()>,
    consumers: Consumers,
    replayer: Replayer,
    payouts: Option<payouts::Worker>,
    payout_runs: Option<payout_runs::Runs>,
    readiness: JoinHandle<()>,
    gauges: JoinHandle<()>,
    bus: Arc<Bus>,
    pool: PgPool,
    stop_intake: CancellationToken,
    stop_relay: CancellationToken,
}

/// Runs until a signal comes and all is drained, or a part fails.
///
/// # Errors
/// See [`DaemonError`]; each has its exit code.
pub async fn run(config: &Config) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let mut parts = start(config).await?;
    tracing::info!(address = %parts.address, bus = ?config.bus, "serving");
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        _ = &mut parts.server => Some("server"),
        _ = &mut parts.committer => Some("committer"),
        _ = &mut parts.relay => Some("relay"),
        part = parts.consumers.ended() => Some(part),
        () = ended(&mut parts.payouts) => Some("payouts' worker"),
    };
    if let Some(part) = ended {
        // Without it nothing is right any more: a supervisor starts the process anew.
        return Err(DaemonError::PartEnded(part));
    }
    tracing::info!("stopping");
    let deadline = config.server.shutdown_deadline;
    tokio::time::timeout(deadline, drain(parts))
        .await
        .map_err(|_| DaemonError::Deadline(deadline))?;
    tracing::info!("stopped");
    Ok(())
}

async fn start(config: &Config) -> Result<Parts, DaemonError> {
    config.check_listen_address(false)?;
    let metrics = Metrics::start();
    let settings = startup::database(config)?;
    let pool = settings.pool();
    startup::check_schema(&pool, &settings).await?;
    let (bus, letters) = startup::bus(config)?;
    let consumers = Consumers::start(config, &settings, &bus, &letters)?;
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
    let (committer, committer_task) = Committer::start(engine, limits);
    let relay_options = RelayOptions {
        claim_rows_max: config.relay.claim_rows_max,
        poll: config.relay.poll,
        schedule: startup::schedule(config),
    };
    let relay = Relay::new(pool.clone(), Arc::clone(&bus), relay_options).with_letters(letters);
    let (stop_intake, stop_relay) = (CancellationToken::new(), CancellationToken::new());
    let (report, reported) = watch::channel(api::Readiness::default());
    let readiness = tokio::spawn(readiness::watch(
        pool.clone(),
        config.redis.address.clone().zip(cache.clone()),
        Arc::clone(&bus),
        relay.turns(),
        report,
    ));
    let stop = stop_relay.clone();
    let relay = tokio::spawn(async move { relay.run(stop).await });
    let listener = TcpListener::bind(config.server.address())
        .await
        .map_err(|source| DaemonError::Listen {
            address: config.server.address(),
            source,
        })?;
    let address = listener.local_addr().map_err(DaemonError::Signals)?;
    let api_limits = api::Limits {
        body_bytes_max: config.server.body_bytes_max,
        request_timeout: config.server.request_timeout,
        requests_max: config.server.requests_max,
    };
    let replayer = Replayer::new(pool.clone(), Arc::clone(&bus));
    let state = ApiState::new(committer, pool.clone(), api_limits, reported);
    let gauges = tokio::spawn(gauges::watch(pool.clone()));
    let mut state = state.with_replayer(replayer.clone()).with_metrics(metrics);
    if let Some(cache) = &cache {
        state = state.with_records(startup::records(cache, &pool).await?);
    }
    let psp = payouts::psp(config)?;
    let payout_runs = psp
        .clone()
        .map(|psp| payout_runs::Runs::start(config, &settings, psp));
    let payouts = psp.map(|psp| payouts::Worker::start(config, &settings, psp));
    if let Some(payouts) = &payouts {
        state = state
            .with_dispatch(payouts.dispatch.clone())
            .with_run_limits(crate::payout_runs::Limits::from_config(config));
    }
    let router = api::router(state);
    let server = tokio::spawn(server::serve(listener, router, stop_intake.clone()));
    Ok(Parts {
        address,
        server,
        committer: committer_task,
        relay,
        consumers,
        replayer,
        payouts,
        payout_runs,
        readiness,
        gauges,
        bus,
        pool,
        stop_intake,
        stop_relay,
    })
}

async fn drain(parts: Parts) {
    parts.stop_intake.cancel();
    report("server", parts.server.await);
    // What was begun over HTTP stops at a safe point; the rest of its letters waits.
    parts.replayer.stop().await;
    if let Some(runs) = parts.payout_runs {
        runs.stop().await;
    }
    if let Some(payouts) = parts.payouts {
        payouts.stop().await;
    }
    // The server held the last handle on the committer: it ends once its queue is empty.
    report("committer", parts.committer.await);
    parts.stop_relay.cancel();
    report("relay", parts.relay.await);
    parts.consumers.stop().await;
    parts.readiness.abort();
    parts.gauges.abort();
    if let Err(error) = parts.bus.flush(Duration::from_secs(5)).await {
        tracing::warn!(%error, "the bus was not flushed; what it had is published again later");
    }
    parts.pool.close().await;
}

/// The end of the payouts' worker, where there is one.
async fn ended(payouts: &mut Option<payouts::Worker>) {
    match payouts {
        Some(payouts) => payouts.ended().await,
        None => std::future::pending().await,
    }
}

fn report<T>(part: &str, ended: Result<T, tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(part, %error, "a part did not end well");
    }
}
