//! What a verification says in the end.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::findings::{Check, Detail, Findings, Place};
use crate::ledger::Ledger;
use crate::postgres::verify as tables;

/// The outcome. Its JSON is relied upon by scripts.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether no check found a violation.
    pub ok: bool,
    /// The ledger's name.
    pub ledger: String,
    /// How many transactions were looked at.
    pub transactions: u64,
    /// How many entries were read.
    pub entries: u64,
    /// How many wallets were compared with their entries.
    pub wallets: u64,
    /// How long it took.
    pub seconds: f64,
    /// Entries read in each of these seconds.
    pub entries_per_second: u64,
    /// What was checked, and what came of it.
    pub checks: Vec<CheckReport>,
}

impl Report {
    /// What a check came to; `None` where it was not asked for.
    #[must_use]
    pub fn check(&self, check: Check) -> Option<&CheckReport> {
        self.checks.iter().find(|report| report.name == check)
    }
}

/// What one check came to.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Which check.
    pub name: Check,
    /// Whether it found nothing wrong.
    pub ok: bool,
    /// How many were looked at: transactions for `zero_sum`, currencies for `totals`, wallets for
    /// `balances`, events for `outbox`, payouts for `payouts`, open refunds
    /// for `refunds`, entries for the others.
    pub checked: u64,
    /// How many are wrong.
    pub violations: u64,
    /// The first of them.
    pub first: Option<Violation>,
}

/// Where something is wrong, what, and how to look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What is wrong.
    pub problem: String,
    /// The wallet's address; absent where the wallet doesn't exist, or the violation is not one
    /// of a wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The wallet's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet_id: Option<Uuid>,
    /// The entry's place in the wallet's history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Uuid>,
    /// The event's place in the outbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox_id: Option<i64>,
    /// The payout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payout_id: Option<Uuid>,
    /// What should be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// A command or a statement that shows it.
    pub look: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut places = Vec::new();
        match (&self.address, self.wallet_id, &self.currency) {
            (Some(address), _, Some(currency)) => places.push(format!("{address} {currency}")),
            (_, Some(wallet_id), _) => places.push(format!("wallet {wallet_id}")),
            (_, None, Some(currency)) => places.push(currency.clone()),
            (_, None, None) => {}
        }
        places.extend(self.version.map(|version| format!("version {version}")));
        places.extend(self.transaction_id.map(|id| format!("transaction {id}")));
        places.extend(self.outbox_id.map(|id| format!("outbox row {id}")));
        places.extend(self.payout_id.map(|id| format!("payout {id}")));
        if !places.is_empty() {
            write!(f, "{}: ", places.join(", "))?;
        }
        f.write_str(&self.problem)?;
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => write!(f, ": expected {expected}, found {found}"),
            (Some(expected), None) => write!(f, ": expected {expected}"),
            (None, Some(found)) => write!(f, ": found {found}"),
            (None, None) => Ok(()),
        }
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope {
    pub transactions: u64,
    pub entries: u64,
    pub wallets: u64,
    pub currencies: u64,
    pub events: u64,
    pub payouts: u64,
    pub refunds: u64,
}

/// Writes the report on these checks.
pub(super) async fn write(
    conn: &mut PgConnection,
    ledger: &Ledger,
    scope: Scope,
    checks: &[Check],
    mut findings: Findings,
    elapsed: Duration,
) -> sqlx::Result<Report> {
    let mut reports = Vec::with_capacity(checks.len());
    for check in checks.iter().copied() {
        let tally = findings.take(check);
        let first = match tally.first {
            Some((place, detail)) => Some(violation(conn, ledger, check, place, detail).await?),
            None => None,
        };
        reports.push(CheckReport {
            name: check,
            ok: tally.violations == 0,
            checked: match check {
                Check::ZeroSum => scope.transactions,
                Check::Totals => scope.currencies,
                Check::Balances => scope.wallets,
                Check::Versions | Check::HashChain | Check::References => scope.entries,
                Check::Outbox => scope.events,
                Check::Payouts => scope.payouts,
                Check::Refunds => scope.refunds,
            },
            violations: tally.violations,
            first,
        });
    }
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let per_second = u128::from(scope.entries).saturating_mul(1_000) / u128::from(millis);
    Ok(Report {
        ok: reports.iter().all(|report| report.ok),
        ledger: ledger.name.to_string(),
        transactions: scope.transactions,
        entries: scope.entries,
        wallets: scope.wallets,
        seconds: Duration::from_millis(millis).as_secs_f64(),
        entries_per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
        checks: reports,
    })
}

async fn violation(
    conn: &mut PgConnection,
    ledger: &Ledger,
    check: Check,
    place: Place,
    detail: Detail,
) -> sqlx::Result<Violation> {
    let name = match place.wallet_id {
        Some(wallet_id) => tables::wallet_name(conn, ledger.id, wallet_id).await?,
        None => None,
    };
    let look = look(ledger, check, &place, name.as_ref());
    let (address, wallet_currency) = name.unzip();
    let currency = place
        .currency
        .map(|code| String::from_utf8_lossy(&code).into_owned());
    Ok(Violation {
        problem: detail.problem,
        address,
        currency: currency.or(wallet_currency),
        wallet_id: place.wallet_id,
        version: place.version,
        transaction_id: place.transaction_id,
        outbox_id: place.outbox_id,
        payout_id: place.payout_id,
        expected: detail.expected,
        found: detail.found,
        look,
    })
}

/// Shows the place, also where what should be there is missing.
fn look(ledger: &Ledger, check: Check, place: &Place, wallet: Option<&(String, String)>) -> String {
    let (id, name) = (ledger.id, &ledger.name);
    if let (Check::HashChain, None, Some(transaction)) =
        (check, place.wallet_id, place.transaction_id)
    {
        return format!(
            "SELECT * FROM transactions WHERE ledger_id = {id} AND id = '{transaction}'"
        );
    }
    if let Some(payout) = place.payout_id {
        return format!("aegisctl payout show {payout} --ledger {name}");
    }
    if let Some(prefix) = match check {
        Check::Payouts => Some("payouts:"),
        Check::Refunds => Some("refunds:"),
        _ => None,
    } {
        return format!("aegisctl wallet list --prefix {prefix} --ledger {name}");
    }
    match (place, wallet) {
        (
            Place {
                outbox_id: Some(event),
                ..
            },
            _,
        ) => {
            format!("SELECT * FROM transaction_outbox WHERE ledger_id = {id} AND id = {event}")
        }
        (
            Place {
                transaction_id: None,
                wallet_id: Some(_),
                ..
            },
            Some((address, currency)),
        ) => {
            format!("aegisctl wallet show {address} --currency {currency} --ledger {name}")
        }
        (
            Place {
                wallet_id: Some(wallet),
                version: Some(version),
                ..
            },
            _,
        ) => {
            let (from, to) = (version.saturating_sub(1), version.saturating_add(1));
            format!(
                "SELECT * FROM ledger_entries WHERE ledger_id = {id} AND wallet_id = '{wallet}' \
                 AND version BETWEEN {from} AND {to} ORDER BY version"
            )
        }
        (
            Place {
                transaction_id: Some(transaction),
                ..
            },
            _,
        ) => format!(
            "SELECT * FROM ledger_entries WHERE ledger_id = {id} \
             AND transaction_id = '{transaction}' ORDER BY wallet_id"
        ),
        _ => format!("aegisctl ledger balance --ledger {name}"),
    }
}

/// What is wrong with a transaction that says it has so many entries, or isn't there.
pub(super) fn miscounted(expected: Option<i16>, found: i64) -> Detail {
    let problem = match (expected, found) {
        (None, _) => "entries name a transaction that doesn't exist",
        (Some(_), 0) => "the transaction has no entries",
        (Some(..2), _) => "the transaction has fewer than the two entries that it takes to balance",
        (Some(_), _) => "the transaction has another number of entries than it says",
    };
    Detail::new(problem)
        .expected(format!("{} entries", expected.unwrap_or(0)))
        .found(format!("{found} entries"))
}
