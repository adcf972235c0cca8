//! What only the database knows: what waits, for how long, and what money is under way.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::check::{Check, Health, age};
use crate::cli::progress::grouped;
use crate::postgres::dead_letters::index;
use crate::postgres::standing::{self, Count};
use crate::postgres::verify_runs::{self, Verified};
use crate::postgres::{outbox, retries, webhooks};

/// For how long the PSP may leave open what became of money before a person is to find out: the
/// alert rules have the same.
const UNKNOWN_MAX: time::Duration = time::Duration::minutes(30);
/// How old the last verification may be.
const VERIFIED_MAX: time::Duration = time::Duration::hours(26);

/// How many wait.
#[derive(Debug, Serialize)]
pub(super) struct Waiting {
    pub count: i64,
    /// For how many seconds the oldest has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age_seconds: Option<i64>,
}

/// How the last verification of a ledger as a whole came out.
#[derive(Debug, Serialize)]
pub(super) struct Verification {
    pub ledger: String,
    /// Absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub at: Option<OffsetDateTime>,
    /// Since then, or since the ledger was made.
    pub age_seconds: i64,
    /// The names of the checks that found something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_checks: Vec<String>,
}

/// All of it, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Depths {
    pub outbox: Waiting,
    pub outbox_refused: i64,
    pub retries: Waiting,
    pub dead_letters: Waiting,
    pub webhooks: Waiting,
    /// By status, as the others.
    pub payments: BTreeMap<String, Waiting>,
    pub payouts: BTreeMap<String, Waiting>,
    pub payout_runs: BTreeMap<String, Waiting>,
    pub refunds: BTreeMap<String, Waiting>,
    pub disputes: i64,
    /// By class.
    pub discrepancies: BTreeMap<String, Waiting>,
    pub verify: Vec<Verification>,
}

/// Reads it all, and says what there is to say of each.
pub(super) async fn read(
    conn: &mut PgConnection,
    now: OffsetDateTime,
) -> sqlx::Result<(Depths, Vec<Check>)> {
    let queue = outbox::glance(conn).await?;
    let retries = retries::depth(conn).await?;
    let letters = index::depth(conn).await?;
    let webhooks = webhooks::depth(conn).await?;
    let payments = standing::payments(conn).await?;
    let payouts = standing::payouts(conn).await?;
    let runs = standing::payout_runs(conn).await?;
    let refunds = standing::refunds(conn).await?;
    let disputes = standing::disputes(conn).await?;
    let discrepancies = standing::discrepancies(conn).await?;
    let ledgers = verify_runs::last(conn).await?;
    let mut checks = vec![
        relay(&queue),
        events(&queue, now),
        match waiting(retries, now) {
            None => Check::ok("retries", "none"),
            Some((count, age)) => Check::new(
                "retries",
                Health::Degraded,
                format!("{count} message(s) wait for another attempt, the oldest for {age}"),
            ),
        },
        match waiting(letters, now) {
            None => Check::ok("dead letters", "none"),
            Some((count, age)) => Check::new(
                "dead letters",
                Health::Attention,
                format!(
                    "{count} wait for a decision, the oldest for {age}: look with aegisctl dlq \
                     stats"
                ),
            ),
        },
        match waiting(webhooks, now) {
            None => Check::ok("webhooks", "none"),
            Some((count, age)) => Check::ok(
                "webhooks",
                format!("{count} wait to take effect, the oldest for {age}"),
            ),
        },
        Check::ok("payments", told(&payments)),
        money("payouts", &payouts, "payout", now),
        money("refunds", &refunds, "refund", now),
    ];
    checks.extend((!runs.is_empty()).then(|| payout_runs(&runs, now)));
    checks.extend((disputes > 0).then(|| {
        let detail = format!("{} wait for the PSP's decision", counted(disputes));
        Check::new("disputes", Health::Ok, detail)
    }));
    checks.push(disagreement(&discrepancies, now));
    checks.push(proof(&ledgers, now));
    let by_name = |counts: &[Count]| {
        let each = counts.iter();
        each.map(|one| (one.name.clone(), of(one.count, Some(one.since), now)))
            .collect()
    };
    let depths = Depths {
        outbox: of(queue.rows, queue.oldest_at, now),
        outbox_refused: queue.refused,
        retries: of(retries.0, retries.1, now),
        dead_letters: of(letters.0, letters.1, now),
        webhooks: of(webhooks.0, webhooks.1, now),
        payments: by_name(&payments),
        payouts: by_name(&payouts),
        payout_runs: by_name(&runs),
        refunds: by_name(&refunds),
        disputes,
        discrepancies: by_name(&discrepancies),
        verify: ledgers
            .iter()
            .map(|ledger| verification(ledger, now))
            .collect(),
    };
    Ok((depths, checks))
}

/// The names of the checks that [`read`] always makes, for where it can't.
pub(super) const NAMES: [&str; 10] = [
    "relay",
    "outbox",
    "retries",
    "dead letters",
    "webhooks",
    "payments",
    "payouts",
    "refunds",
    "discrepancies",
    "verify",
];

fn of(count: i64, since: Option<OffsetDateTime>, now: OffsetDateTime) -> Waiting {
    Waiting {
        count,
        oldest_age_seconds: since.map(|since| (now - since).whole_seconds().max(0)),
    }
}

fn counted(count: i64) -> String {
    grouped(u64::try_from(count).unwrap_or_default())
}

fn relay(queue: &outbox::Depth) -> Check {
    match queue.relay_running {
        true => Check::ok("relay", "running"),
        false => Check::new(
            "relay",
            Health::Degraded,
            "not running: events wait in the outbox until an aegisd is up",
        ),
    }
}

fn events(queue: &outbox::Depth, now: OffsetDateTime) -> Check {
    let Some(oldest_at) = queue.oldest_at else {
        return Check::ok("outbox", "empty");
    };
    let (health, refused) = match queue.refused {
        0 => (Health::Ok, String::new()),
        many => (
            Health::Degraded,
            format!(", {many} refused by the bus and waiting for another attempt"),
        ),
    };
    let (rows, age) = (counted(queue.rows), age(oldest_at, now));
    let about = if queue.is_exact { "" } else { "about " };
    let detail = format!("{about}{rows} waiting, the oldest for {age}{refused}");
    Check::new("outbox", health, detail)
}

/// How many, and for how long the oldest has waited; `None`: none does.
fn waiting(
    (count, oldest): (i64, Option<OffsetDateTime>),
    now: OffsetDateTime,
) -> Option<(String, String)> {
    let oldest = oldest.filter(|_| count > 0)?;
    Some((counted(count), age(oldest, now)))
}

/// `3 requested, 12 sent`.
fn told(counts: &[Count]) -> String {
    let each: Vec<String> = counts
        .iter()
        .map(|one| format!("{} {}", counted(one.count), one.name.replace('_', " ")))
        .collect();
    match each.is_empty() {
        true => "none under way".to_owned(),
        false => each.join(", "),
    }
}

/// Payouts or refunds. One of unknown outcome is the PSP's to tell, and then a person's.
fn money(name: &'static str, counts: &[Count], one: &str, now: OffsetDateTime) -> Check {
    let unknown = counts.iter().find(|status| status.name == "unknown");
    let Some(unknown) = unknown else {
        return Check::ok(name, told(counts));
    };
    let (told, age) = (told(counts), age(unknown.since, now));
    let health = match now - unknown.since > UNKNOWN_MAX {
        true => Health::Attention,
        false => Health::Degraded,
    };
    let look = format!("look with aegisctl {one} list --status unknown");
    let detail = format!("{told}; the oldest unknown one was sent {age} ago: {look}");
    Check::new(name, health, detail)
}

fn payout_runs(counts: &[Count], now: OffsetDateTime) -> Check {
    let oldest = counts.iter().map(|status| status.since).min();
    let age = age(oldest.unwrap_or(now), now);
    let detail = format!("{}; the oldest was started {age} ago", told(counts));
    Check::ok("payout runs", detail)
}

fn disagreement(counts: &[Count], now: OffsetDateTime) -> Check {
    let Some(oldest) = counts.iter().map(|class| class.since).min() else {
        return Check::ok("discrepancies", "none open");
    };
    let (told, age) = (told(counts), age(oldest, now));
    let detail = format!("{told}; open for {age}: look with aegisctl reconcile list");
    Check::new("discrepancies", Health::Attention, detail)
}

fn verification(ledger: &Verified, now: OffsetDateTime) -> Verification {
    let last = ledger.last.as_ref();
    Verification {
        ledger: ledger.ledger.clone(),
        ok: last.map(|_| !ledger.is_wrong()),
        at: last.map(|run| run.finished_at),
        age_seconds: (now - ledger.since()).whole_seconds().max(0),
        failed_checks: last.map_or_else(Vec::new, |run| run.failed_checks.clone()),
    }
}

fn proof(ledgers: &[Verified], now: OffsetDateTime) -> Check {
    if let Some(wrong) = ledgers.iter().find(|ledger| ledger.is_wrong()) {
        let name = &wrong.ledger;
        let failed = wrong.last.as_ref().map(|run| run.failed_checks.join(", "));
        let failed = failed.unwrap_or_default();
        let age = age(wrong.since(), now);
        let detail = format!(
            "ledger {name} was found wrong {age} ago ({failed}): look with aegisctl --ledger \
             {name} ledger verify"
        );
        return Check::new("verify", Health::Failed, detail);
    }
    let Some(oldest) = ledgers.iter().min_by_key(|ledger| ledger.since()) else {
        return Check::ok("verify", "there is no ledger yet");
    };
    let (name, age) = (&oldest.ledger, age(oldest.since(), now));
    let told = match oldest.last {
        Some(_) => format!("ledger {name} was proven {age} ago"),
        None => format!("ledger {name}, made {age} ago, was never verified"),
    };
    match now - oldest.since() > VERIFIED_MAX {
        true => Check::new(
            "verify",
            Health::Degraded,
            format!("{told}: aegisctl --ledger {name} ledger verify"),
        ),
        false => Check::ok("verify", told),
    }
}
