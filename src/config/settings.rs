//! The configuration as the rest of the program reads it, with the built-in defaults.

use std::time::Duration;

use super::choice::{BusKind, Locking, LogFormat, PrimaryEnv, SslMode};
use super::secret::{Secret, SecretUrl};

/// Every effective value, checked. Get one from [`super::load()`]; tests may start from
/// [`Config::default`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which environment this is.
    pub primary_env: PrimaryEnv,
    /// The ledger that a command works on.
    pub ledger: String,
    /// Where events are published.
    pub bus: BusKind,
    /// PostgreSQL.
    pub database: DatabaseConfig,
    /// Redis.
    pub redis: RedisConfig,
    /// The HTTP server.
    pub server: ServerConfig,
    /// Kafka; the topics' names hold on the local bus, too.
    pub kafka: KafkaConfig,
    /// The committer, which posts many commands in one database transaction.
    pub posting: PostingConfig,
    /// Locks on wallets beside the row locks.
    pub locking: Locking,
    /// Locks in Redis.
    pub lock: LockConfig,
    /// The outbox relay.
    pub relay: RelayConfig,
    /// The settlement consumer.
    pub consumer: ConsumerConfig,
    /// When what failed is tried again.
    pub backoff: BackoffConfig,
    /// What leaves a dependency alone that failed too often.
    pub breaker: BreakerConfig,
    /// Paystack.
    pub paystack: PaystackConfig,
    /// Payments, through whichever PSP.
    pub payments: PaymentsConfig,
    /// Payouts, through whichever PSP.
    pub payouts: PayoutsConfig,
    /// Refunds, through whichever PSP.
    pub refunds: RefundsConfig,
    /// Settlement.
    pub settlement: SettlementConfig,
    /// Payout runs.
    pub payout_run: PayoutRunConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
    /// Logs.
    pub log: LogConfig,
}

/// PostgreSQL. For connecting see [`DatabaseConfig::connection_url`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Stands in for host, port, name, user, password and sslmode.
    pub url: Option<SecretUrl>,
    /// A host name, an IP address, or the directory of a Unix socket.
    pub host: String,
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// Name of the database.
    pub name: String,
    /// Role to log in as.
    pub user: String,
    /// The role's password; none where the server asks for none.
    pub password: Option<Secret>,
    /// How far TLS is asked for.
    pub sslmode: SslMode,
    /// Connections that one process opens at most, 2 to 500.
    pub pool_connections_max: u32,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one statement may run before the server cancels it.
    pub statement_timeout: Duration,
}

/// Redis, which answers faster and never decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// A `redis://` or `rediss://` address; none: work without Redis.
    pub address: Option<SecretUrl>,
    /// What one call may take before the work goes on without it.
    pub timeout: Duration,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Address to listen on: an IP address without brackets, or a host name.
    pub host: String,
    /// TCP port; 0 takes any free one.
    pub port: u16,
    /// Bytes that a request's body may have; a longer one is answered with 413.
    pub body_bytes_max: usize,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// Requests at work at once; one more is answered with 429.
    pub requests_max: usize,
    /// How long a shutdown may take before what is left is cut off.
    pub shutdown_deadline: Duration,
    /// How long a loop may stand still before the supervisor's watchdog is no longer fed.
    pub stuck_after: Duration,
}

/// Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, more of them separated by commas.
    pub brokers: String,
    /// Topic of the ledger's events; `<topic>.dlq` takes its dead letters.
    pub topic_transactions: String,
    /// Topic of settlements and payouts; `<topic>.dlq` takes its dead letters.
    pub topic_settlements: String,
    /// Partitions that a topic is made with where it does not exist yet, 1 to 10000.
    pub topic_partitions: u32,
    /// The settlement consumer's group; the DLQ consumer's is the same with `.dlq` behind it.
    pub consumer_group: String,
}

/// The settlement consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// How long to sleep when nothing is due for another attempt and nobody called.
    pub poll: Duration,
    /// How long it is remembered that an event took effect.
    pub remembered: Duration,
}

/// The committer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostingConfig {
    /// Commands in one database transaction, 1 to 8192.
    pub batch_commands_max: usize,
    /// Commands that may wait; the next one is told to come again later.
    pub queue_commands_max: usize,
    /// How long a command may wait for room in the queue.
    pub queue_wait: Duration,
}

/// Locks on wallets in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockConfig {
    /// How long a batch waits for wallets that others locked there before it goes on.
    pub wait: Duration,
    /// After how long such a lock is gone that nobody released.
    pub lease: Duration,
}

/// The outbox relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayConfig {
    /// Rows claimed at once.
    pub claim_rows_max: u32,
    /// How long to sleep when there was nothing to publish and nobody called.
    pub poll: Duration,
}

/// The schedule by which the relay, the consumer and calls to PSPs try again what failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// How many failures are followed by a wait, 1 to 20; the next one is the last.
    pub waits: u32,
    /// By how much chance may shorten or lengthen a wait, 0 to 100 percent.
    pub jitter_percent: u32,
}

/// Circuit breakers, one a dependency, all by the same numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open one, 1 to 10000.
    pub failures_max: u32,
    /// How long one stays open before a call may find out.
    pub open: Duration,
}

/// Paystack, a PSP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaystackConfig {
    /// What calls carry and webhooks are signed with; none: no payments through Paystack.
    pub secret_key: Option<Secret>,
    /// Where its API is: `https://host`, without a slash behind it.
    pub base_url: String,
    /// What one call may take, connecting included.
    pub timeout: Duration,
}

/// Payout runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutRunConfig {
    /// Minor units of its currency above which a run waits for a second person; 0: none.
    pub approval_above_minor: u64,
    /// Payouts above which a run waits for a second person; 0: none.
    pub approval_above_count: u32,
    /// Payouts of one run at work at once, 1 to 64.
    pub payouts_at_once: usize,
    /// Calls to the PSP that one run makes in a second at most, 1 to 10000.
    pub calls_per_second: u32,
    /// How long a run stays with payouts that are not at their ends.
    pub patience: Duration,
}

/// Payouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutsConfig {
    /// Calls to the PSP at once, 1 to 64.
    pub calls_max: u32,
    /// How long the worker sleeps when nothing is due and nobody wakes it.
    pub poll: Duration,
    /// How often the PSP is asked about a payout once the waits of the schedule are over.
    pub ask_every: Duration,
    /// How long after a call without an answer the PSP's word counts that it knows nothing of it.
    pub settling: Duration,
}

/// Payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentsConfig {
    /// How long whoever asks for a payment waits for the PSP to open it.
    pub open_wait: Duration,
    /// How long after it was opened a payment is asked about.
    pub ask_after: Duration,
    /// How long after it was asked for a payment is given up that nobody paid.
    pub abandon_after: Duration,
    /// How long the workers sleep when nothing is due and nobody wakes them.
    pub poll: Duration,
    /// Webhooks in one database transaction, 1 to 4096.
    pub batch_webhooks_max: usize,
}

/// Refunds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundsConfig {
    /// How long the worker sleeps when nothing is due and nobody wakes it.
    pub poll: Duration,
    /// How often the PSP is asked about a refund once the waits of the schedule are over.
    pub ask_every: Duration,
    /// How often the PSP is asked whether an open dispute is decided.
    pub ask_about_disputes: Duration,
    /// How long after a call without an answer the PSP's list counts that doesn't show it.
    pub settling: Duration,
}

/// Settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementConfig {
    /// How often aegisd settles what has matured; 0: never.
    pub every: Duration,
}

/// Traces by OTLP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Where they go, without `/v1/traces`. See [`TelemetryConfig::destination`].
    pub otlp_endpoint: Option<SecretUrl>,
    /// `name=value`, separated by commas.
    pub otlp_headers: Option<Secret>,
    /// New Relic's `api-key`.
    pub new_relic_license_key: Option<Secret>,
    /// What this process is called.
    pub service_name: String,
    /// Of a thousand traces that begin here, so many are recorded.
    pub sample_per_mille: u32,
    /// At most so many of them within a second.
    pub traces_per_second_max: u32,
    /// Spans that may wait to be sent.
    pub queue_spans_max: usize,
    /// How long sending may take.
    pub export_timeout: Duration,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives of `tracing_subscriber::EnvFilter`, as `info,aegis::outbox=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Config {
    /// The built-in defaults. Two of them depend on the circumstances: the bus on the
    /// environment, and the format of logs on whether they go to a terminal.
    #[must_use]
    pub fn built_in(primary_env: PrimaryEnv, logs_to_terminal: bool) -> Self {
        Self {
            primary_env,
            ledger: "main".to_owned(),
            bus: match primary_env {
                PrimaryEnv::Development => BusKind::Local,
                PrimaryEnv::Staging | PrimaryEnv::Production => BusKind::Kafka,
            },
            database: DatabaseConfig {
                url: None,
                host: "localhost".to_owned(),
                port: 5432,
                name: "aegis".to_owned(),
                user: "aegis".to_owned(),
                password: None,
                sslmode: SslMode::Prefer,
                pool_connections_max: 16,
                connect_timeout: Duration::from_millis(5_000),
                statement_timeout: Duration::from_millis(30_000),
            },
            redis: RedisConfig {
                address: Some(SecretUrl::new("redis://localhost:6379")),
                timeout: Duration::from_millis(250),
            },
            server: ServerConfig {
                host: "127.0.0.1".to_owned(),
                port: 8080,
                body_bytes_max: 8 * 1024 * 1024,
                request_timeout: Duration::from_millis(15_000),
                requests_max: 1_024,
                shutdown_deadline: Duration::from_millis(25_000),
                stuck_after: Duration::from_millis(60_000),
            },
            kafka: KafkaConfig {
                brokers: "localhost:9092".to_owned(),
                topic_transactions: "aegis.transactions".to_owned(),
                topic_settlements: "aegis.settlements".to_owned(),
                topic_partitions: 6,
                consumer_group: "aegis".to_owned(),
            },
            posting: PostingConfig {
                batch_commands_max: 8_192,
                queue_commands_max: 16_384,
                queue_wait: Duration::from_millis(2_000),
            },
            locking: Locking::Postgres,
            lock: LockConfig {
                wait: Duration::from_millis(5),
                lease: Duration::from_millis(30_000),
            },
            relay: RelayConfig {
                claim_rows_max: 2_000,
                poll: Duration::from_millis(1_000),
            },
            consumer: ConsumerConfig {
                poll: Duration::from_millis(1_000),
                remembered: Duration::from_millis(30 * 24 * 3_600_000),
            },
            backoff: BackoffConfig {
                first: Duration::from_millis(1_000),
                waits: 5,
                jitter_percent: 0,
            },
            breaker: BreakerConfig {
                failures_max: 5,
                open: Duration::from_millis(30_000),
            },
            paystack: PaystackConfig {
                secret_key: None,
                base_url: "https://api.paystack.co".to_owned(),
                timeout: Duration::from_millis(10_000),
            },
            payouts: PayoutsConfig {
                calls_max: 8,
                poll: Duration::from_millis(1_000),
                ask_every: Duration::from_millis(300_000),
                settling: Duration::from_millis(60_000),
            },
            payments: PaymentsConfig {
                open_wait: Duration::from_millis(5_000),
                ask_after: Duration::from_millis(600_000),
                abandon_after: Duration::from_millis(24 * 3_600_000),
                poll: Duration::from_millis(1_000),
                batch_webhooks_max: 500,
            },
            refunds: RefundsConfig {
                poll: Duration::from_millis(1_000),
                ask_every: Duration::from_millis(300_000),
                ask_about_disputes: Duration::from_millis(3_600_000),
                settling: Duration::from_millis(300_000),
            },
            settlement: SettlementConfig {
                every: Duration::from_millis(60_000),
            },
            payout_run: PayoutRunConfig {
                approval_above_minor: 0,
                approval_above_count: 0,
                payouts_at_once: 8,
                calls_per_second: 20,
                patience: Duration::from_millis(60_000),
            },
            telemetry: TelemetryConfig {
                otlp_endpoint: None,
                otlp_headers: None,
                new_relic_license_key: None,
                service_name: "aegisd".to_owned(),
                sample_per_mille: 1_000,
                traces_per_second_max: 100,
                queue_spans_max: 16_384,
                export_timeout: Duration::from_millis(5_000),
            },
            log: LogConfig {
                filter: "info".to_owned(),
                format: match logs_to_terminal {
                    true => LogFormat::Text,
                    false => LogFormat::Json,
                },
            },
        }
    }
}

/// The built-in defaults of development, with logs that do not go to a terminal.
impl Default for Config {
    fn default() -> Self {
        Self::built_in(PrimaryEnv::Development, false)
    }
}

/// New Relic's OTLP intake. Accounts in the EU name theirs as the endpoint.
const NEW_RELIC_ENDPOINT: &str = "https://otlp.nr-data.net";

impl TelemetryConfig {
    /// The address that spans are sent to; none where traces are off.
    #[must_use]
    pub fn destination(&self) -> Option<String> {
        let base = match (&self.otlp_endpoint, &self.new_relic_license_key) {
            (Some(endpoint), _) => endpoint.expose(),
            (None, Some(_)) => NEW_RELIC_ENDPOINT,
            (None, None) => return None,
        };
        Some(format!("{base}/v1/traces"))
    }
}

impl KafkaConfig {
    /// The topic that takes the dead letters of `topic`.
    #[must_use]
    pub fn dead_letter_topic(topic: &str) -> String {
        format!("{topic}.dlq")
    }
}
