//! Every metric that aegisd exports: its name, what it counts, in which unit, and by which labels.
//!
//! Names end in their unit, counters in `_total`. No label takes what a caller wrote: each has as
//! many values as the program, its configuration or ISO 4217 has words for it.

/// How a metric is to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Stands where it stands now.
    Gauge,
    /// Observations, sorted by these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As Prometheus writes it in a `# TYPE` line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// As Prometheus reads it.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: Kind,
    /// What it is apart by.
    pub labels: &'static [&'static str],
    /// Of each label all values that it takes, where the program has words for them and the metric
    /// begins with the process; empty otherwise.
    pub values: &'static [&'static [&'static str]],
    /// What it tells, with its unit.
    pub meaning: &'static str,
}

/// Work within one process and one round trip to a neighbour: a tenth of a millisecond to ten
/// seconds.
const SECONDS: Kind = Kind::Histogram(&[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
]);

/// What may wait for somebody who is away: a hundredth of a second to a day.
const WAITS: Kind = Kind::Histogram(&[
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0,
]);

/// How many go together.
const SIZES: Kind = Kind::Histogram(&[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0, 8_192.0,
]);

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    metric(name, Kind::Counter, labels, meaning)
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    metric(name, Kind::Gauge, labels, meaning)
}

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        values: &[],
        meaning,
    }
}

impl Metric {
    /// Exported from the start for each of these values: the first that happens is seen as a rise.
    const fn of(self, values: &'static [&'static [&'static str]]) -> Self {
        Self { values, ..self }
    }
}

/// All of them, in order of what they are about.
pub const METRICS: &[Metric] = &[
    // The process.
    gauge(
        "aegis_build_info",
        &["version"],
        "1, with the version of the program.",
    ),
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Bytes of memory that the process has in RAM.",
    ),
    counter(
        "process_cpu_seconds_total",
        &[],
        "Whole seconds of processor time that it has used, in the system too.",
    ),
    gauge("process_threads", &[], "Threads that it has."),
    gauge(
        "process_open_fds",
        &[],
        "File descriptors that it has open: sockets, pipes, files.",
    ),
    gauge(
        "process_max_fds",
        &[],
        "The most that it may have open (`LimitNOFILE` of systemd).",
    ),
    gauge(
        "process_start_time_seconds",
        &[],
        "When it was started, in seconds since 1970.",
    ),
    gauge(
        "aegis_ready",
        &[],
        "1 while requests can be served, 0 while a part is away without which they can't.",
    ),
    gauge(
        "aegis_dependency_up",
        &["dependency"],
        "1 for each part that answered when last asked, 0 for one that is away: `database`, `redis`, `kafka`, `relay`.",
    ),
    gauge(
        "aegis_loop_idle_seconds",
        &["loop"],
        "Seconds since the `relay` turned, or since the `committer` ended a batch or had nothing to do. Beyond SERVER_STUCK_AFTER_MS the loop counts as stuck.",
    ),
    gauge(
        "aegis_looked_timestamp_seconds",
        &["what"],
        "When depths and ages were last read from the database, in seconds since 1970: `queues` every 5 s, `money` every 30 s.",
    ),
    gauge(
        "aegis_breaker_state",
        &["dependency", "state"],
        "1 for the state that a dependency's breaker is in: `closed`, `open` or `half_open`; 0 for the others.",
    ),
    counter(
        "aegis_breaker_opened_total",
        &["dependency"],
        "How often a dependency's breaker opened.",
    ),
    counter(
        "aegis_breaker_turned_away_total",
        &["dependency"],
        "Calls that an open breaker turned away.",
    ),
    // HTTP.
    counter(
        "aegis_http_requests_total",
        &["method", "route", "status"],
        "Requests that came to an end, by the route's pattern (`none` where there is no such route) and the answer's status; `499` where the caller hung up before the answer: what it asked for may have taken effect. Probes are not among them.",
    ),
    metric(
        "aegis_http_request_seconds",
        SECONDS,
        &["method", "route"],
        "Seconds from the request's head to its answer. Probes are not among them.",
    ),
    counter(
        "aegis_idempotency_lookups_total",
        &["outcome"],
        "Requests that write, by what Redis knew of their key: `new`, `answered` (the answer was sent again from there; the ledger saw nothing of it), `in_flight` (under way: 409), `reused` (for another request: 422) or `unknown` (Redis did not say; PostgreSQL does). Without Redis nothing is counted.",
    )
    .of(&[&["new", "answered", "in_flight", "reused", "unknown"]]),
    // Posting.
    metric(
        "aegis_posting_request_seconds",
        SECONDS,
        &[],
        "Seconds that a caller waited for its commands to be posted, the queue included.",
    ),
    metric(
        "aegis_posting_seconds",
        SECONDS,
        &["step"],
        "Seconds in one step of posting: `queue` (a request waits for its batch), and for each attempt at a batch `resolve` (addresses to ids), `locks` (Redis), `read` (wallets and keys), `decide`, `write` (for small batches with its COMMIT) and `commit` (for the others).",
    )
    .of(&[&["queue", "resolve", "locks", "read", "decide", "write", "commit"]]),
    metric(
        "aegis_posting_batch_commands",
        SIZES,
        &[],
        "Commands that were posted as one database transaction.",
    ),
    gauge(
        "aegis_posting_queue_commands",
        &[],
        "Commands that wait for the committer, or are at work.",
    ),
    gauge(
        "aegis_posting_queue_limit_commands",
        &[],
        "How many of them there may be before callers are turned away.",
    ),
    counter(
        "aegis_posting_commits_total",
        &["way"],
        "Batches that were committed, by how they were written: `call` or `copy`.",
    )
    .of(&[&["call", "copy"]]),
    counter(
        "aegis_posting_commands_total",
        &["outcome"],
        "Commands that were answered: `posted`, `replayed` (the key had taken effect before) or `rejected`.",
    )
    .of(&[&["posted", "replayed", "rejected"]]),
    counter(
        "aegis_posting_rejections_total",
        &["code"],
        "Commands that a rule said no to, by its code.",
    )
    .of(&[&["idempotency_key_reused", "amount_not_positive", "amount_too_large", "same_wallet", "currency_unknown", "unbalanced", "too_many_legs", "wallet_not_found", "currency_mismatch", "wallet_frozen", "period_closed", "insufficient_funds", "balance_overflow", "batch_rejected"]]),
    counter(
        "aegis_posting_retries_total",
        &["reason"],
        "Attempts at a batch that were made again: `fence` (somebody else wrote to its wallets), `conflict` (deadlock, lock timeout, a key that raced in) or `lost` (the connection).",
    )
    .of(&[&["fence", "conflict", "lost"]]),
    counter(
        "aegis_posting_errors_total",
        &["kind"],
        "Requests that could not be posted, no rule being against it: `unavailable`, `contended`, `exhausted`, `overloaded`, `stopping`, `database`, `event`.",
    )
    .of(&[&["unavailable", "contended", "exhausted", "overloaded", "stopping", "database", "event"]]),
    counter(
        "aegis_wallet_locks_total",
        &["outcome"],
        "Attempts to take a batch's locks in Redis: `taken`, `contended` (others held them for longer than one waits) or `unavailable`. The batch goes on in any case.",
    )
    .of(&[&["taken", "contended", "unavailable"]]),
    // The outbox, the relay and the consumers.
    gauge(
        "aegis_outbox_rows",
        &[],
        "Events that wait for the bus; above 10,000 by PostgreSQL's statistics.",
    ),
    gauge(
        "aegis_outbox_refused_rows",
        &[],
        "Those among them that the bus refused and that wait for another attempt.",
    ),
    gauge(
        "aegis_outbox_oldest_age_seconds",
        &[],
        "For how many seconds the oldest of them has waited; 0 where none does.",
    ),
    gauge(
        "aegis_relay_leading",
        &[],
        "1 while this process has the outbox, 0 while it stands by.",
    ),
    metric(
        "aegis_relay_batch_events",
        SIZES,
        &[],
        "Events that were claimed together.",
    ),
    metric(
        "aegis_relay_lag_seconds",
        WAITS,
        &[],
        "How many seconds the oldest event of a claim had waited.",
    ),
    counter(
        "aegis_relay_published_total",
        &[],
        "Events that the bus acknowledged.",
    ),
    counter(
        "aegis_relay_refused_total",
        &[],
        "Times that the bus refused an event by itself.",
    ),
    counter(
        "aegis_relay_outages_total",
        &[],
        "Claims that met a bus that was away.",
    ),
    counter(
        "aegis_relay_dead_letters_total",
        &[],
        "Events that were refused for the last time and became dead letters.",
    ),
    counter(
        "aegis_consumer_messages_total",
        &["outcome"],
        "Messages that the settlement consumer took, by what came of them.",
    )
    .of(&[&["done", "waits", "failed", "unreadable"]]),
    gauge(
        "aegis_retries_rows",
        &[],
        "Messages that failed and wait for another attempt, and those behind them.",
    ),
    gauge(
        "aegis_retries_oldest_age_seconds",
        &[],
        "For how many seconds the oldest of them has waited; 0 where none does.",
    ),
    gauge(
        "aegis_dead_letters_waiting",
        &[],
        "Dead letters that nobody has decided on.",
    ),
    gauge(
        "aegis_dead_letters_oldest_age_seconds",
        &[],
        "How many seconds ago the oldest of them failed; 0 where none waits.",
    ),
    counter(
        "aegis_dead_letters_indexed_total",
        &["topic"],
        "Dead letters that arrived, by their messages' topic.",
    ),
    // Money.
    gauge(
        "aegis_webhooks_waiting",
        &[],
        "Webhooks that are stored and have not taken effect yet.",
    ),
    gauge(
        "aegis_webhooks_oldest_age_seconds",
        &[],
        "For how many seconds the oldest of them has waited; 0 where none does.",
    ),
    counter(
        "aegis_webhooks_total",
        &["psp", "fate"],
        "Webhooks that were handled, by what came of them.",
    )
    .of(&[&["paystack"], &["applied", "ignored", "discrepancy", "later"]]),
    gauge(
        "aegis_payments_open",
        &["status"],
        "Payments that are not over, and that the PSP is called about: `created`, `pending`.",
    ),
    counter(
        "aegis_payments_total",
        &["status"],
        "Payments that came to this status in this process.",
    )
    .of(&[&["created", "pending", "succeeded", "failed", "abandoned", "partly_refunded", "refunded", "disputed"]]),
    gauge(
        "aegis_disputes_open",
        &[],
        "Disputes that the PSP has not decided.",
    ),
    gauge(
        "aegis_payouts_open",
        &["status"],
        "Payouts that are not over: `requested`, `sent`, `unknown`.",
    ),
    gauge(
        "aegis_payouts_unknown_oldest_age_seconds",
        &[],
        "How many seconds ago the oldest payout of unknown outcome was sent; 0 where there is none.",
    ),
    counter(
        "aegis_payouts_total",
        &["status"],
        "Payouts that came to this status in this process.",
    )
    .of(&[&["requested", "sent", "succeeded", "failed", "unknown", "returned"]]),
    gauge(
        "aegis_payout_runs_open",
        &["status"],
        "Payout runs that are not over: `waiting` (for a second person) or `running`.",
    ),
    gauge(
        "aegis_payout_runs_oldest_age_seconds",
        &["status"],
        "How many seconds ago the oldest of them was started; 0 where there is none.",
    ),
    gauge(
        "aegis_refunds_open",
        &["status"],
        "Refunds that are not over: `requested`, `sent`, `unknown`.",
    ),
    gauge(
        "aegis_refunds_unknown_oldest_age_seconds",
        &[],
        "How many seconds ago the oldest refund of unknown outcome was sent; 0 where there is none.",
    ),
    counter(
        "aegis_refunds_total",
        &["status"],
        "Refunds that came to this status in this process.",
    )
    .of(&[&["requested", "sent", "succeeded", "failed", "unknown"]]),
    gauge(
        "aegis_discrepancies_open",
        &["class"],
        "Discrepancies that nobody has resolved.",
    ),
    gauge(
        "aegis_discrepancies_oldest_age_seconds",
        &[],
        "For how many seconds the oldest of them has been open; 0 where there is none.",
    ),
    counter(
        "aegis_discrepancies_total",
        &["class", "source"],
        "Discrepancies that were found in this process.",
    )
    .of(&[&["missing_here", "missing_there", "amount", "currency", "duplicate", "late", "status", "unknown_reference", "unreadable"], &["webhook", "query", "reconciliation"]]),
    gauge(
        "aegis_clearing_minor_units",
        &["wallet", "currency"],
        "What stands in a wallet that money only passes through, in minor units of its currency, over all ledgers: `psp:<name>`, `payouts:in_transit`, `refunds:in_transit`.",
    ),
    gauge(
        "aegis_verify_ok",
        &[],
        "1 where the last verification of no ledger found anything wrong, 0 where one did.",
    ),
    gauge(
        "aegis_verify_age_seconds",
        &[],
        "How many seconds ago the ledger that has waited longest was verified as a whole; since it was made, where it never was.",
    ),
    // The database.
    gauge(
        "aegis_pool_busy_connections",
        &["pool"],
        "Connections of a pool that are in use.",
    ),
    gauge(
        "aegis_pool_idle_connections",
        &["pool"],
        "Connections of a pool that are open and free.",
    ),
    gauge(
        "aegis_pool_limit_connections",
        &["pool"],
        "The most connections that a pool opens.",
    ),
    metric(
        "aegis_pool_acquire_seconds",
        SECONDS,
        &["pool"],
        "Seconds that it took to get a connection of the pool `api`, tried every 5 s; one that was not to be had counts with the time that one waited.",
    )
    .of(&[&["api"]]),
    // Traces.
    counter(
        "aegis_traces_sent_total",
        &[],
        "Spans that the collector took.",
    ),
    counter(
        "aegis_traces_dropped_total",
        &["reason"],
        "Spans that were given up: `queue_full` where they found no room, `not_sent` where the collector did not take them.",
    )
    .of(&[&["queue_full", "not_sent"]]),
];
