//! The end: tables, verdict, how fast it went, and where to look next.

use std::path::Path;
use std::time::Duration;

use crate::evidence::{Evidence, Source};
use crate::report::Report;
use crate::stage::numbers::{grouped, seconds};
use crate::stage::screen::{Screen, Tone};
use crate::stage::table::Tables;

/// How many differences are listed.
const LISTED_MAX: usize = 12;

/// Prints the tables and the verdict: whether all agrees.
pub(crate) fn show(
    screen: &Screen,
    ledger: &str,
    evidence: &Evidence,
    stopped: Option<String>,
) -> bool {
    let report = Report {
        evidence,
        tables: Tables {
            color: screen.color,
        },
    };
    let head = |text: &str| screen.say(&format!("\n{}", screen.paint(Tone::Heading, text)));
    head("What was sent, and what came of it");
    screen.say(&report.counts());
    head("How much money that was");
    screen.say(&report.money());
    head("Where the money is");
    screen.say(&report.balances());
    let verified = &evidence.verification;
    head(&format!(
        "aegisctl ledger verify: {} transactions, {} entries, {} wallets in {}",
        grouped(verified.transactions),
        grouped(verified.entries),
        grouped(verified.wallets),
        seconds(Duration::from_secs_f64(verified.seconds.max(0.0)))
    ));
    screen.say(&report.tables.checks(&verified.checks));
    let mut findings = evidence.findings();
    findings.differences.extend(stopped);
    screen.say("");
    for difference in findings.differences.iter().take(LISTED_MAX) {
        screen.say(&screen.paint(Tone::Bad, &format!("✗ {difference}")));
    }
    let count = findings.differences.len();
    if count > LISTED_MAX {
        let more = format!("✗ and {} more", count - LISTED_MAX);
        screen.say(&screen.paint(Tone::Bad, &more));
    }
    if count == 0 {
        let verdict = format!(
            "✓ All agrees: {} comparisons, wallet by wallet and transaction by transaction; aegisd \
             drained and ended with 0.",
            grouped(findings.compared)
        );
        screen.say(&screen.paint(Tone::Good, &verdict));
    } else {
        let verdict = format!(
            "✗ {count} of {} comparisons do not agree.",
            grouped(findings.compared)
        );
        screen.say(&screen.paint(Tone::Bad, &verdict));
    }
    screen.say(&rates(evidence));
    screen.say(&next_steps(evidence, ledger));
    count == 0
}

/// How fast it went.
fn rates(evidence: &Evidence) -> String {
    let Evidence {
        tally,
        sending,
        reading,
        lag,
        ..
    } = evidence;
    let per_second = |count: u64, time: &Duration| {
        grouped((count as f64 / time.as_secs_f64().max(0.001)) as u64)
    };
    let postings: u64 = tally.counts.iter().map(|count| count.sent).sum();
    let transactions = evidence.account.transactions.len() as u64;
    let sent = format!(
        "{} requests with {} postings in {}: {} requests/s, {} postings/s",
        grouped(tally.requests),
        grouped(postings),
        seconds(*sending),
        per_second(tally.requests, sending),
        per_second(postings, sending),
    );
    match evidence.source {
        Source::Events(_) => format!(
            "  {sent};\n  {} events/s through Kafka, the last one {} after the last answer.",
            per_second(transactions, reading),
            seconds(*lag),
        ),
        Source::Statements => format!("  {sent}."),
    }
}

/// Where to look next: at the merchant who sold most.
fn next_steps(evidence: &Evidence, ledger: &str) -> String {
    let world = &evidence.world;
    let Some(merchant) = world.merchants.first() else {
        return String::new();
    };
    let (name, code) = (&merchant.name, merchant.currency.code());
    let folder = std::env::current_exe().unwrap_or_default();
    let folder = folder.parent().and_then(Path::parent);
    let here = std::env::current_dir().unwrap_or_default();
    let folder = folder.map(|folder| folder.strip_prefix(here).unwrap_or(folder));
    let aegisctl = folder.unwrap_or(Path::new("")).join("aegisctl");
    let aegisctl = aegisctl.display();
    format!(
        "\nLook further:\n  \
         eval \"$(dev/stack env)\"; export AEGIS_LEDGER={ledger}\n  \
         {aegisctl} wallet statement merchant:{name}:available --currency {code}\n  \
         {aegisctl} ledger balance\n  \
         {aegisctl} ledger verify"
    )
}
