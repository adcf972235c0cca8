//! What has to be right before the daemon serves.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::net::TcpListener;

use super::supervisor;

use crate::bus::topics::LETTER_BYTES_MAX;
use crate::bus::{Bus, BusError, KafkaBus, KafkaOptions, LocalBus};
use crate::cache::idempotency::Records;
use crate::cache::locks::{LockOptions, Locks};
use crate::cache::{Cache, CacheError, CacheOptions};
use crate::config::{BusKind, Config, ConfigError, Locking};
use crate::postgres::migrate::{self, Standing};
use crate::postgres::{Failure, Settings, classify};
use crate::psp::paystack::PaystackError;
use crate::resilience::backoff::Schedule;
use crate::resilience::breaker::{Breaker, BreakerOptions};
use crate::telemetry::TracesError;

/// Deliveries that wait for one subscriber of the local bus.
const LOCAL_BUS_CAPACITY: usize = 1_024;

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration doesn't hold.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The database's address can't be read.
    #[error("the database's address can't be read: {0}; check DATABASE_URL")]
    DatabaseAddress(sqlx::Error),
    /// The database is older than the program.
    #[error(
        "the database is at schema version {found}, this program works with {wanted}; run: \
         aegisctl migrate up"
    )]
    SchemaBehind {
        /// The database's version.
        found: i64,
        /// The program's version.
        wanted: i64,
    },
    /// The database is newer than the program.
    #[error(
        "the database is at schema version {found}, this program only knows {wanted}; run a newer \
         aegisd"
    )]
    SchemaAhead {
        /// The database's version.
        found: i64,
        /// The program's version.
        wanted: i64,
    },
    /// The database could not be reached.
    #[error("the database at {place} can't be reached: {source}; start it, or check DATABASE_URL")]
    DatabaseUnreachable {
        /// Host, port and name.
        place: String,
        /// What happened.
        source: sqlx::Error,
    },
    /// The database answered with an error.
    #[error("the database can't be used: {0}")]
    Database(sqlx::Error),
    /// Redis's address doesn't hold.
    #[error("Redis's address can't be read: {0}; check REDIS_ADDRESS")]
    Cache(CacheError),
    /// Traces can't be sent.
    #[error("{0}")]
    Traces(#[from] TracesError),
    /// Paystack can't be called.
    #[error("{0}")]
    Psp(#[from] PaystackError),
    /// The bus can't be set up.
    #[error("the bus can't be set up: {0}")]
    Bus(#[from] BusError),
    /// The address to listen on is taken or not ours.
    #[error("can't listen on {address}: {source}; choose another with SERVER_PORT")]
    Listen {
        /// Host and port.
        address: String,
        /// What happened.
        source: std::io::Error,
    },
    /// What the supervisor handed over can't be listened on.
    #[error(
        "the socket that the supervisor handed over can't be used: {0}; it takes one with a \
         ListenStream= of host and port"
    )]
    Inherited(std::io::Error),
    /// The process can't hear signals, or not read its own address.
    #[error("the operating system refused: {0}")]
    Signals(std::io::Error),
    /// A part that runs until the end ended by itself.
    #[error("the {0} ended by itself; the log says why")]
    PartEnded(&'static str),
    /// Not all was drained in time. Nothing is lost: what was committed is in the outbox.
    #[error("not all was drained within {} ms; what was committed goes out at the next start",
            .0.as_millis())]
    Deadline(Duration),
}

impl DaemonError {
    /// The process's exit code: 2 for configuration, 7 for a dependency, 1 for the rest.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::DatabaseAddress(_)
            | Self::SchemaBehind { .. }
            | Self::SchemaAhead { .. }
            | Self::Cache(_)
            | Self::Psp(_)
            | Self::Traces(_)
            | Self::Bus(_)
            | Self::Listen { .. }
            | Self::Inherited(_) => 2,
            Self::DatabaseUnreachable { .. } => 7,
            Self::Database(_) | Self::Signals(_) | Self::PartEnded(_) | Self::Deadline(_) => 1,
        }
    }
}

pub(super) fn database(config: &Config) -> Result<Settings, DaemonError> {
    Settings::from_config(&config.database).map_err(DaemonError::DatabaseAddress)
}

pub(super) async fn check_schema(pool: &PgPool, settings: &Settings) -> Result<(), DaemonError> {
    let failed = |error: sqlx::Error| match classify(&error) {
        Failure::Lost => DaemonError::DatabaseUnreachable {
            place: settings.place(),
            source: error,
        },
        _ => DaemonError::Database(error),
    };
    // Whatever keeps it from connecting, the database can't be reached.
    let mut conn = pool
        .acquire()
        .await
        .map_err(|source| DaemonError::DatabaseUnreachable {
            place: settings.place(),
            source,
        })?;
    let wanted = migrate::program_version();
    match migrate::standing(&mut conn).await.map_err(failed)? {
        Standing::Current => Ok(()),
        Standing::Behind(found) => Err(DaemonError::SchemaBehind { found, wanted }),
        Standing::Ahead(found) => Err(DaemonError::SchemaAhead { found, wanted }),
    }
}

/// The socket that the supervisor holds, where there is one. Its address is looked at before anything
/// is begun: `server.host` has no say in it.
pub(super) fn inherited_listener(config: &Config) -> Result<Option<TcpListener>, DaemonError> {
    let listener = supervisor::inherited_listener().map_err(DaemonError::Inherited)?;
    if let Some(listener) = &listener {
        let address = listener.local_addr().map_err(DaemonError::Signals)?;
        config.check_inherited_address(address, false)?;
    }
    Ok(listener)
}

/// Where requests come in: at the inherited socket, or at one of our own.
pub(super) async fn listener(
    config: &Config,
    inherited: Option<TcpListener>,
) -> Result<TcpListener, DaemonError> {
    if let Some(listener) = inherited {
        return Ok(listener);
    }
    let address = config.server.address();
    let listener = TcpListener::bind(&address).await;
    let listener = listener.map_err(|source| DaemonError::Listen { address, source })?;
    // A name is an address only now.
    let bound = listener.local_addr().map_err(DaemonError::Signals)?;
    config.check_bound_address(bound, false)?;
    Ok(listener)
}

/// The bus for events, and the same one as dead letters take it: they are larger.
pub(super) fn bus(config: &Config) -> Result<(Arc<Bus>, Arc<Bus>), DaemonError> {
    Ok(match config.bus {
        BusKind::Local => {
            let bus = Arc::new(Bus::Local(LocalBus::new(LOCAL_BUS_CAPACITY)));
            (Arc::clone(&bus), bus)
        }
        BusKind::Kafka => {
            let options = KafkaOptions {
                breaker: Arc::new(Breaker::new("kafka", breaker_options(config))),
                ..KafkaOptions::new(&config.kafka.brokers)
            };
            let letters = KafkaOptions {
                record_bytes_max: LETTER_BYTES_MAX,
                ..options.clone()
            };
            let [events, letters] =
                [options, letters].map(|options| KafkaBus::new(options).map(Bus::Kafka));
            (Arc::new(events?), Arc::new(letters?))
        }
    })
}

pub(super) fn schedule(config: &Config) -> Schedule {
    let backoff = &config.backoff;
    let fraction = f64::from(backoff.jitter_percent) / 100.0;
    Schedule::new(backoff.first, 2, backoff.waits).with_jitter(fraction)
}

/// Redis, where there is one. It may be away.
pub(super) fn cache(config: &Config) -> Result<Option<Cache>, DaemonError> {
    let options = CacheOptions {
        timeout: config.redis.timeout,
        breaker: breaker_options(config),
    };
    let address = config.redis.address.as_ref();
    let cache = address.map(|address| Cache::new(address, options));
    cache.transpose().map_err(DaemonError::Cache)
}

/// The locks of this process, where the configuration wants them.
pub(super) fn locks(cache: Option<&Cache>, config: &Config) -> Option<Locks> {
    if config.locking != Locking::Redis {
        return None;
    }
    let options = LockOptions {
        lease: config.lock.lease,
        wait: config.lock.wait,
    };
    let locks = cache.map(|cache| Locks::new(cache.clone(), options));
    if locks.is_none() {
        tracing::warn!("locking is redis, and there is no Redis: the row locks are alone");
    }
    locks
}

/// What requests to this database were answered, in Redis.
pub(super) async fn records(cache: &Cache, pool: &PgPool) -> Result<Records, DaemonError> {
    let mut conn = pool.acquire().await.map_err(DaemonError::Database)?;
    let database = migrate::identity(&mut conn).await;
    let database = database.map_err(DaemonError::Database)?;
    Ok(Records::new(cache.clone(), &database))
}

pub(super) fn breaker_options(config: &Config) -> BreakerOptions {
    BreakerOptions {
        failures_max: config.breaker.failures_max,
        open: config.breaker.open,
    }
}
