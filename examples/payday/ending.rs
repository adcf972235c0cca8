//! The end: tables, verdict, and where to look next.

use std::path::Path;
use std::time::Duration;

use crate::evidence::Evidence;
use crate::report;
use crate::run::Day;
use crate::stage::numbers::{grouped, seconds};
use crate::stage::screen::{Screen, Tone};
use crate::stage::table::Tables;

/// How many differences are listed.
const LISTED_MAX: usize = 12;

/// Prints the tables and the verdict: whether all agrees.
pub(crate) fn show(
    screen: &Screen,
    day: &Day<'_>,
    evidence: &Evidence,
    stopped: Option<String>,
) -> bool {
    let tables = Tables {
        color: screen.color,
    };
    let head = |text: &str| screen.say(&format!("\n{}", screen.paint(Tone::Heading, text)));
    head("What went wrong at the PSP");
    screen.say_indented(None, &faults(evidence));
    head("Money that moved");
    screen.say(&report::side_by_side(tables, &evidence.flows, false));
    head("Where the money is");
    screen.say(&report::side_by_side(tables, &evidence.balances, true));
    let verified = &evidence.verification;
    head(&format!(
        "aegisctl ledger verify: {} transactions, {} entries, {} wallets in {}",
        grouped(verified.transactions),
        grouped(verified.entries),
        grouped(verified.wallets),
        seconds(Duration::from_secs_f64(verified.seconds.max(0.0)))
    ));
    screen.say(&tables.checks(&verified.checks));
    head(&format!("aegisctl trace {}", evidence.trace.reference));
    screen.say(&report::trace(tables, &evidence.trace));
    screen.say("");
    let mut differences = evidence.findings.differences.clone();
    differences.extend(stopped);
    for difference in differences.iter().take(LISTED_MAX) {
        screen.say(&screen.paint(Tone::Bad, &format!("✗ {difference}")));
    }
    let count = differences.len();
    if count > LISTED_MAX {
        let more = format!("✗ and {} more", count - LISTED_MAX);
        screen.say(&screen.paint(Tone::Bad, &more));
    }
    let compared = grouped(evidence.findings.compared);
    let (tone, verdict) = match count {
        0 => {
            let verdict = format!(
                "✓ All agrees: {compared} comparisons, payment by payment and wallet by wallet; \
                 what was paid otherwise\n  than it was asked for stands as a discrepancy each."
            );
            (Tone::Good, verdict)
        }
        _ => {
            let verdict = format!("✗ {count} of {compared} comparisons do not agree.");
            (Tone::Bad, verdict)
        }
    };
    for line in verdict.lines() {
        screen.say(&screen.paint(tone, line));
    }
    screen.say(&next_steps(day));
    count == 0
}

/// Counts of faults in words.
fn faults(evidence: &Evidence) -> String {
    let happened = evidence.faults.iter().filter(|(_, count)| **count > 0);
    let words: Vec<String> = happened
        .map(|(fault, count)| format!("{fault} {count}"))
        .collect();
    words
        .chunks(8)
        .map(|line| line.join(" · "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Where to look next.
fn next_steps(day: &Day<'_>) -> String {
    let folder = std::env::current_exe().unwrap_or_default();
    let folder = folder.parent().and_then(Path::parent);
    let here = std::env::current_dir().unwrap_or_default();
    let folder = folder.map(|folder| folder.strip_prefix(here).unwrap_or(folder));
    let aegisctl = folder.unwrap_or(Path::new("")).join("aegisctl");
    let aegisctl = aegisctl.display();
    let name = day.merchants.first().map_or("", |merchant| &merchant.name);
    format!(
        "\nLook further:\n  \
         eval \"$(dev/stack env)\"; export AEGIS_LEDGER={}\n  \
         {aegisctl} merchant show {name}\n  \
         {aegisctl} settlement list\n  \
         {aegisctl} payout list\n  \
         {aegisctl} reconcile list\n  \
         {aegisctl} ledger verify",
        day.ledger
    )
}
