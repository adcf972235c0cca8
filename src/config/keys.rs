//! The table of keys. To add one: a field in `settings.rs` with its default, an entry
//! here, and a line in `config/default.yaml`.

use super::Config;
use super::kind::Kind;
use super::rule;

/// The key that chooses the environment, and with it a file; so no file can set it.
pub(super) const PRIMARY_ENV: &str = "primary_env";

/// A key, from which reading, checking, showing and the reference derive.
pub(super) struct Key {
    /// As in a file, the sections before it: `database.host`.
    pub(super) name: &'static str,
    /// The environment variable.
    pub(super) variable: &'static str,
    pub(super) kind: Kind,
    /// One or two sentences for a person who sets it.
    pub(super) help: &'static str,
}

/// A row of the reference.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyDoc {
    /// As in a file, the sections before it: `database.host`.
    pub key: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// What it takes, in words.
    pub takes: String,
    /// The built-in default in words.
    pub default: String,
    /// What it is for.
    pub help: &'static str,
}

/// Every key, in the order in which `config show` and the documentation list them.
#[must_use]
pub fn reference() -> Vec<KeyDoc> {
    KEYS.iter()
        .map(|key| KeyDoc {
            key: key.name,
            variable: key.variable,
            takes: key.kind.wanted(),
            default: default_in_words(key),
            help: key.help,
        })
        .collect()
}

fn default_in_words(key: &Key) -> String {
    match key.name {
        "bus" => "local in development, else kafka".to_owned(),
        "log.format" => "text on a terminal, else json".to_owned(),
        _ => {
            let shown = key.kind.show(&mut Config::default());
            shown.unwrap_or_else(|| "none".to_owned())
        }
    }
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: PRIMARY_ENV,
        variable: "PRIMARY_ENV",
        kind: Kind::Choice(|c| &mut c.primary_env),
        help: "Which environment this is. Chooses the second file; cannot be set in a file.",
    },
    Key {
        name: "ledger",
        variable: "AEGIS_LEDGER",
        kind: Kind::Text(&rule::NAME, |c| &mut c.ledger),
        help: "The ledger that a command works on.",
    },
    Key {
        name: "bus",
        variable: "BUS",
        kind: Kind::Choice(|c| &mut c.bus),
        help: "Where events are published: within the process, or to Kafka.",
    },
    Key {
        name: "database.url",
        variable: "DATABASE_URL",
        kind: Kind::Url(&rule::DATABASE_URL, |c| &mut c.database.url),
        help: "PostgreSQL's address. Stands in for host, port, name, user, password and sslmode.",
    },
    Key {
        name: "database.host",
        variable: "DATABASE_HOST",
        kind: Kind::Text(&rule::HOST_OR_SOCKET, |c| &mut c.database.host),
        help: "PostgreSQL's host.",
    },
    Key {
        name: "database.port",
        variable: "DATABASE_PORT",
        kind: Kind::Integer {
            min: 1,
            max: 65_535,
            unit: "",
            at: |c| &mut c.database.port,
        },
        help: "PostgreSQL's TCP port.",
    },
    Key {
        name: "database.name",
        variable: "DATABASE_NAME",
        kind: Kind::Text(&rule::NAME, |c| &mut c.database.name),
        help: "Name of the database.",
    },
    Key {
        name: "database.user",
        variable: "DATABASE_USER",
        kind: Kind::Text(&rule::NAME, |c| &mut c.database.user),
        help: "Role to log in as.",
    },
    Key {
        name: "database.password",
        variable: "DATABASE_PASSWORD",
        kind: Kind::Secret(|c| &mut c.database.password),
        help: "The role's password. Belongs in the environment rather than in a file.",
    },
    Key {
        name: "database.sslmode",
        variable: "DATABASE_SSLMODE",
        kind: Kind::Choice(|c| &mut c.database.sslmode),
        help: "How far TLS is asked for, in libpq's words.",
    },
    Key {
        name: "database.pool_connections_max",
        variable: "DATABASE_POOL_CONNECTIONS_MAX",
        kind: Kind::Integer {
            min: 2,
            max: 500,
            unit: "connections",
            at: |c| &mut c.database.pool_connections_max,
        },
        help: "Connections that one process opens at most.",
    },
    Key {
        name: "database.connect_timeout_ms",
        variable: "DATABASE_CONNECT_TIMEOUT_MS",
        kind: Kind::Integer {
            min: 1,
            max: 10 * MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.database.connect_timeout,
        },
        help: "How long to wait for a connection.",
    },
    Key {
        name: "database.statement_timeout_ms",
        variable: "DATABASE_STATEMENT_TIMEOUT_MS",
        kind: Kind::Integer {
            min: 1,
            max: HOUR_MS,
            unit: "ms",
            at: |c| &mut c.database.statement_timeout,
        },
        help: "How long one statement may run before PostgreSQL cancels it.",
    },
    Key {
        name: "redis.address",
        variable: "REDIS_ADDRESS",
        kind: Kind::Url(&rule::REDIS_ADDRESS, |c| &mut c.redis.address),
        help: "Redis's address. Empty: work without Redis, more slowly and as correctly.",
    },
    Key {
        name: "redis.timeout_ms",
        variable: "REDIS_TIMEOUT_MS",
        kind: Kind::Integer {
            min: 1,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.redis.timeout,
        },
        help: "How long a call to Redis may take before the work goes on without it.",
    },
    Key {
        name: "server.host",
        variable: "SERVER_HOST",
        kind: Kind::Text(&rule::HOST, |c| &mut c.server.host),
        help: "Address to listen on. Beyond loopback it needs an API key to exist.",
    },
    Key {
        name: "server.port",
        variable: "SERVER_PORT",
        kind: Kind::Integer {
            min: 0,
            max: 65_535,
            unit: "",
            at: |c| &mut c.server.port,
        },
        help: "TCP port to listen on. 0 takes any free one.",
    },
    Key {
        name: "server.body_bytes_max",
        variable: "SERVER_BODY_BYTES_MAX",
        kind: Kind::Integer {
            min: 1_024,
            max: 64 * 1_024 * 1_024,
            unit: "bytes",
            at: |c| &mut c.server.body_bytes_max,
        },
        help: "Length of a request's body. A longer one is answered with 413.",
    },
    Key {
        name: "server.request_timeout_ms",
        variable: "SERVER_REQUEST_TIMEOUT_MS",
        kind: Kind::Integer {
            min: 1,
            max: 10 * MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.server.request_timeout,
        },
        help: "How long one request may take.",
    },
    Key {
        name: "server.requests_max",
        variable: "SERVER_REQUESTS_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 65_536,
            unit: "",
            at: |c| &mut c.server.requests_max,
        },
        help: "Requests at work at once. One more is answered with 429 at once; probes don't count.",
    },
    Key {
        name: "server.stuck_after_ms",
        variable: "SERVER_STUCK_AFTER_MS",
        kind: Kind::Integer {
            min: 1_000,
            max: 60 * MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.server.stuck_after,
        },
        help: "A loop (relay, committer) that does not turn for so long is stuck: the supervisor's \
               watchdog is no longer fed, and it starts aegisd anew.",
    },
    Key {
        name: "server.shutdown_deadline_ms",
        variable: "SERVER_SHUTDOWN_DEADLINE_MS",
        kind: Kind::Integer {
            min: 1,
            max: 10 * MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.server.shutdown_deadline,
        },
        help: "How long a shutdown may take before what is left is cut off.",
    },
    Key {
        name: "kafka.brokers",
        variable: "KAFKA_BROKERS",
        kind: Kind::Text(&rule::BROKERS, |c| &mut c.kafka.brokers),
        help: "Kafka's brokers to start from.",
    },
    Key {
        name: "kafka.topic_transactions",
        variable: "KAFKA_TOPIC_TRANSACTIONS",
        kind: Kind::Text(&rule::TOPIC, |c| &mut c.kafka.topic_transactions),
        help: "Topic of the ledger's events. Its dead letters go to the topic with `.dlq` behind it.",
    },
    Key {
        name: "kafka.topic_settlements",
        variable: "KAFKA_TOPIC_SETTLEMENTS",
        kind: Kind::Text(&rule::TOPIC, |c| &mut c.kafka.topic_settlements),
        help: "Topic of settlements and payouts. Its dead letters go to the topic with `.dlq` behind it.",
    },
    Key {
        name: "kafka.topic_partitions",
        variable: "KAFKA_TOPIC_PARTITIONS",
        kind: Kind::Integer {
            min: 1,
            max: 10_000,
            unit: "partitions",
            at: |c| &mut c.kafka.topic_partitions,
        },
        help: "Partitions that aegisd makes a topic with where it does not exist yet.",
    },
    Key {
        name: "kafka.consumer_group",
        variable: "KAFKA_CONSUMER_GROUP",
        kind: Kind::Text(&rule::TOPIC, |c| &mut c.kafka.consumer_group),
        help: "Group of the settlement consumer. That of the DLQ consumer has `.dlq` behind it.",
    },
    Key {
        name: "posting.batch_commands_max",
        variable: "POSTING_BATCH_COMMANDS_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 8_192,
            unit: "commands",
            at: |c| &mut c.posting.batch_commands_max,
        },
        help: "Commands posted in one database transaction.",
    },
    Key {
        name: "posting.queue_commands_max",
        variable: "POSTING_QUEUE_COMMANDS_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 1_048_576,
            unit: "commands",
            at: |c| &mut c.posting.queue_commands_max,
        },
        help: "Commands that may wait to be posted. Bounds memory.",
    },
    Key {
        name: "posting.queue_wait_ms",
        variable: "POSTING_QUEUE_WAIT_MS",
        kind: Kind::Integer {
            min: 0,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.posting.queue_wait,
        },
        help: "How long a command may wait for room in a full queue before it is told to come \
               again later.",
    },
    Key {
        name: "locking",
        variable: "LOCKING",
        kind: Kind::Choice(|c| &mut c.locking),
        help: "What locks wallets for several daemons on one database: PostgreSQL's row locks \
               alone, or Redis before them. The row locks decide either way.",
    },
    Key {
        name: "lock.wait_ms",
        variable: "LOCK_WAIT_MS",
        kind: Kind::Integer {
            min: 0,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.lock.wait,
        },
        help: "How long a batch waits for wallets that others locked in Redis before it goes on.",
    },
    Key {
        name: "lock.lease_ms",
        variable: "LOCK_LEASE_MS",
        kind: Kind::Integer {
            min: 1,
            max: HOUR_MS,
            unit: "ms",
            at: |c| &mut c.lock.lease,
        },
        help: "After how long a lock in Redis is gone that nobody released.",
    },
    Key {
        name: "relay.claim_rows_max",
        variable: "RELAY_CLAIM_ROWS_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 100_000,
            unit: "rows",
            at: |c| &mut c.relay.claim_rows_max,
        },
        help: "Outbox rows claimed at once.",
    },
    Key {
        name: "relay.poll_ms",
        variable: "RELAY_POLL_MS",
        kind: Kind::Integer {
            min: 1,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.relay.poll,
        },
        help: "How long the relay sleeps when there is nothing to publish and nobody wakes it.",
    },
    Key {
        name: "consumer.poll_ms",
        variable: "CONSUMER_POLL_MS",
        kind: Kind::Integer {
            min: 1,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.consumer.poll,
        },
        help: "How long the settlement consumer sleeps when no message is due for another attempt.",
    },
    Key {
        name: "consumer.remembered_ms",
        variable: "CONSUMER_REMEMBERED_MS",
        kind: Kind::Integer {
            min: 1,
            max: 366 * 24 * HOUR_MS,
            unit: "ms",
            at: |c| &mut c.consumer.remembered,
        },
        help: "How long it is remembered that an event took effect. Longer than Kafka keeps messages.",
    },
    Key {
        name: "backoff.first_ms",
        variable: "BACKOFF_FIRST_MS",
        kind: Kind::Integer {
            min: 1,
            max: HOUR_MS,
            unit: "ms",
            at: |c| &mut c.backoff.first,
        },
        help: "How long what failed waits before its next attempt. Each further wait is twice as long.",
    },
    Key {
        name: "backoff.waits",
        variable: "BACKOFF_WAITS",
        kind: Kind::Integer {
            min: 1,
            max: 20,
            unit: "waits",
            at: |c| &mut c.backoff.waits,
        },
        help: "How many failures are followed by a wait. What fails once more becomes a dead letter.",
    },
    Key {
        name: "backoff.jitter_percent",
        variable: "BACKOFF_JITTER_PERCENT",
        kind: Kind::Integer {
            min: 0,
            max: 100,
            unit: "percent",
            at: |c| &mut c.backoff.jitter_percent,
        },
        help: "By how much chance may shorten or lengthen each wait, so that what failed together does \
               not come back together.",
    },
    Key {
        name: "breaker.failures_max",
        variable: "BREAKER_FAILURES_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 10_000,
            unit: "failures",
            at: |c| &mut c.breaker.failures_max,
        },
        help: "Failures in a row after which Redis, Kafka or a PSP is left alone for a while.",
    },
    Key {
        name: "breaker.open_ms",
        variable: "BREAKER_OPEN_MS",
        kind: Kind::Integer {
            min: 1,
            max: HOUR_MS,
            unit: "ms",
            at: |c| &mut c.breaker.open,
        },
        help: "How long it is left alone before one call finds out whether it is back.",
    },
    Key {
        name: "paystack.secret_key",
        variable: "PAYSTACK_SECRET_KEY",
        kind: Kind::Secret(|c| &mut c.paystack.secret_key),
        help: "Paystack's secret key, for calls and for the signatures of its webhooks. Belongs in \
               the environment rather than in a file.",
    },
    Key {
        name: "paystack.base_url",
        variable: "PAYSTACK_BASE_URL",
        kind: Kind::Text(&rule::BASE_URL, |c| &mut c.paystack.base_url),
        help: "Where Paystack's API is, or a simulator of it.",
    },
    Key {
        name: "paystack.timeout_ms",
        variable: "PAYSTACK_TIMEOUT_MS",
        kind: Kind::Integer {
            min: 1,
            max: 10 * MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.paystack.timeout,
        },
        help: "How long a call to Paystack may take before its outcome counts as unknown.",
    },
    Key {
        name: "payments.open_wait_ms",
        variable: "PAYMENTS_OPEN_WAIT_MS",
        kind: Kind::Integer {
            min: 0,
            max: 10 * MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.payments.open_wait,
        },
        help: "How long whoever asks for a payment waits for the PSP to open it. What takes longer is \
               answered without a checkout page, and goes on.",
    },
    Key {
        name: "payments.ask_after_ms",
        variable: "PAYMENTS_ASK_AFTER_MS",
        kind: Kind::Integer {
            min: 1,
            max: 30 * 24 * HOUR_MS,
            unit: "ms",
            at: |c| &mut c.payments.ask_after,
        },
        help: "How long after it was opened the PSP is asked about a payment that nothing was heard of. \
               Each further wait is twice as long.",
    },
    Key {
        name: "payments.abandon_after_ms",
        variable: "PAYMENTS_ABANDON_AFTER_MS",
        kind: Kind::Integer {
            min: 1,
            max: 366 * 24 * HOUR_MS,
            unit: "ms",
            at: |c| &mut c.payments.abandon_after,
        },
        help: "How long after it was asked for a payment is given up that nobody paid.",
    },
    Key {
        name: "payments.poll_ms",
        variable: "PAYMENTS_POLL_MS",
        kind: Kind::Integer {
            min: 1,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.payments.poll,
        },
        help: "How long the payments' workers sleep when nothing is due and nobody wakes them.",
    },
    Key {
        name: "payments.batch_webhooks_max",
        variable: "PAYMENTS_BATCH_WEBHOOKS_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 4_096,
            unit: "webhooks",
            at: |c| &mut c.payments.batch_webhooks_max,
        },
        help: "Webhooks handled in one database transaction.",
    },
    Key {
        name: "payouts.calls_max",
        variable: "PAYOUTS_CALLS_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 64,
            unit: "calls",
            at: |c| &mut c.payouts.calls_max,
        },
        help: "Calls to the PSP about payouts at once.",
    },
    Key {
        name: "payouts.poll_ms",
        variable: "PAYOUTS_POLL_MS",
        kind: Kind::Integer {
            min: 1,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.payouts.poll,
        },
        help: "How long the payouts' worker sleeps when nothing is due and nobody wakes it.",
    },
    Key {
        name: "payouts.ask_every_ms",
        variable: "PAYOUTS_ASK_EVERY_MS",
        kind: Kind::Integer {
            min: 1,
            max: 24 * HOUR_MS,
            unit: "ms",
            at: |c| &mut c.payouts.ask_every,
        },
        help: "How often the PSP is asked about a payout once the waits of the schedule are over.",
    },
    Key {
        name: "payouts.settling_ms",
        variable: "PAYOUTS_SETTLING_MS",
        kind: Kind::Integer {
            min: 1,
            max: HOUR_MS,
            unit: "ms",
            at: |c| &mut c.payouts.settling,
        },
        help: "How long after a call without an answer the PSP's word counts that it doesn't know a \
               payout. Then the payout is sent again, under the same reference.",
    },
    Key {
        name: "refunds.poll_ms",
        variable: "REFUNDS_POLL_MS",
        kind: Kind::Integer {
            min: 1,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.refunds.poll,
        },
        help: "How long the refunds' worker sleeps when nothing is due and nobody wakes it.",
    },
    Key {
        name: "refunds.ask_every_ms",
        variable: "REFUNDS_ASK_EVERY_MS",
        kind: Kind::Integer {
            min: 1,
            max: 24 * HOUR_MS,
            unit: "ms",
            at: |c| &mut c.refunds.ask_every,
        },
        help: "How often the PSP is asked about a refund once the waits of the schedule are over.",
    },
    Key {
        name: "refunds.ask_about_disputes_ms",
        variable: "REFUNDS_ASK_ABOUT_DISPUTES_MS",
        kind: Kind::Integer {
            min: 1,
            max: 7 * 24 * HOUR_MS,
            unit: "ms",
            at: |c| &mut c.refunds.ask_about_disputes,
        },
        help: "How often the PSP is asked whether an open dispute is decided, whose webhook may be lost.",
    },
    Key {
        name: "refunds.settling_ms",
        variable: "REFUNDS_SETTLING_MS",
        kind: Kind::Integer {
            min: 1,
            max: HOUR_MS,
            unit: "ms",
            at: |c| &mut c.refunds.settling,
        },
        help: "How long after a call without an answer the PSP's list counts that doesn't show a refund. \
               Then the refund is sent again; a PSP would take it twice.",
    },
    Key {
        name: "settlement.every_ms",
        variable: "SETTLEMENT_EVERY_MS",
        kind: Kind::Integer {
            min: 0,
            max: 24 * HOUR_MS,
            unit: "ms",
            at: |c| &mut c.settlement.every,
        },
        help: "How often aegisd settles what has matured; 0: never, aegisctl settlement run does.",
    },
    Key {
        name: "payout_run.approval_above_minor",
        variable: "PAYOUT_RUN_APPROVAL_ABOVE_MINOR",
        kind: Kind::Integer {
            min: 0,
            max: i64::MAX as u64,
            unit: "minor units",
            at: |c| &mut c.payout_run.approval_above_minor,
        },
        help: "A payout run whose total is above it waits for the approval of a second person. 0: none \
               does for its total.",
    },
    Key {
        name: "payout_run.approval_above_count",
        variable: "PAYOUT_RUN_APPROVAL_ABOVE_COUNT",
        kind: Kind::Integer {
            min: 0,
            max: 100_000,
            unit: "payouts",
            at: |c| &mut c.payout_run.approval_above_count,
        },
        help: "A payout run of more payouts waits for the approval of a second person. 0: none does for \
               its count.",
    },
    Key {
        name: "payout_run.payouts_at_once",
        variable: "PAYOUT_RUN_PAYOUTS_AT_ONCE",
        kind: Kind::Integer {
            min: 1,
            max: 64,
            unit: "payouts",
            at: |c| &mut c.payout_run.payouts_at_once,
        },
        help: "Payouts of a run that are at work at once.",
    },
    Key {
        name: "payout_run.calls_per_second",
        variable: "PAYOUT_RUN_CALLS_PER_SECOND",
        kind: Kind::Integer {
            min: 1,
            max: 10_000,
            unit: "calls",
            at: |c| &mut c.payout_run.calls_per_second,
        },
        help: "Calls to the PSP that a run makes in a second at most.",
    },
    Key {
        name: "payout_run.patience_ms",
        variable: "PAYOUT_RUN_PATIENCE_MS",
        kind: Kind::Integer {
            min: 0,
            max: 24 * HOUR_MS,
            unit: "ms",
            at: |c| &mut c.payout_run.patience,
        },
        help: "How long a run stays with its payouts once all are sent. What is not at its end then is \
               left to aegisd.",
    },
    Key {
        name: "telemetry.otlp_endpoint",
        variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
        kind: Kind::Url(&rule::OTLP_ENDPOINT, |c| &mut c.telemetry.otlp_endpoint),
        help: "Where traces go, by OTLP over HTTP: `/v1/traces` is put behind it. Empty: to New Relic \
               where its key is set, else nowhere, and none are recorded.",
    },
    Key {
        name: "telemetry.otlp_headers",
        variable: "OTEL_EXPORTER_OTLP_HEADERS",
        kind: Kind::Secret(|c| &mut c.telemetry.otlp_headers),
        help: "Headers for the endpoint, `name=value` separated by commas.",
    },
    Key {
        name: "telemetry.new_relic_license_key",
        variable: "NEW_RELIC_LICENSE_KEY",
        kind: Kind::Secret(|c| &mut c.telemetry.new_relic_license_key),
        help: "Sent as `api-key` with traces. Belongs in the environment rather than in a file.",
    },
    Key {
        name: "telemetry.service_name",
        variable: "OTEL_SERVICE_NAME",
        kind: Kind::Text(&rule::NAME, |c| &mut c.telemetry.service_name),
        help: "What this process is called in traces.",
    },
    Key {
        name: "telemetry.sample_per_mille",
        variable: "TELEMETRY_SAMPLE_PER_MILLE",
        kind: Kind::Integer {
            min: 0,
            max: 1_000,
            unit: "of 1000 traces",
            at: |c| &mut c.telemetry.sample_per_mille,
        },
        help: "How many of the traces that begin here are recorded. One that a caller began is \
               recorded where the caller says so.",
    },
    Key {
        name: "telemetry.traces_per_second_max",
        variable: "TELEMETRY_TRACES_PER_SECOND_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 1_000_000,
            unit: "traces",
            at: |c| &mut c.telemetry.traces_per_second_max,
        },
        help: "At most so many of the traces that begin here within a second are recorded, so that \
               recording costs the same however many requests come.",
    },
    Key {
        name: "telemetry.queue_spans_max",
        variable: "TELEMETRY_QUEUE_SPANS_MAX",
        kind: Kind::Integer {
            min: 1,
            max: 1_048_576,
            unit: "spans",
            at: |c| &mut c.telemetry.queue_spans_max,
        },
        help: "Spans that may wait to be sent. What finds no room is dropped and counted.",
    },
    Key {
        name: "telemetry.export_timeout_ms",
        variable: "TELEMETRY_EXPORT_TIMEOUT_MS",
        kind: Kind::Integer {
            min: 1,
            max: MINUTE_MS,
            unit: "ms",
            at: |c| &mut c.telemetry.export_timeout,
        },
        help: "How long sending spans may take before they are dropped; also what a shutdown waits \
               for the last of them.",
    },
    Key {
        name: "log.filter",
        variable: "RUST_LOG",
        kind: Kind::Text(&rule::LOG_FILTER, |c| &mut c.log.filter),
        help: "Which events are logged: a level for all of them, and levels of their own for some \
               targets. A word that is no level is refused. What the log says of its own changes is \
               there at every level.",
    },
    Key {
        name: "log.format",
        variable: "LOG_FORMAT",
        kind: Kind::Choice(|c| &mut c.log.format),
        help: "How a line of the log looks.",
    },
];
