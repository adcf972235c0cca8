//! Proves a ledger from what is stored, while posting goes on. Repairs nothing.
//!
//! One connection takes a snapshot, reads the wallets, and holds the snapshot for the others.
//! Workers read entries and transactions in the order in which they lie in the tables, range of
//! pages by range of pages. Three things come of that, none of which keeps anything for an entry:
//! segments of chains that are joined wallet by wallet (`chain`, `merge`), two sums of 128 bits that
//! are zero only where all transactions balance and are complete (`fingerprint`), and the
//! findings. Only where a sum is not zero does a statement group the entries to name the first bad
//! transaction.
//!
//! Memory: about 210 bytes a wallet, and the segments of one range of pages for each worker.
//!
//! That the sum of a wallet's entries is its balance needs no sum: entry by entry the balance is
//! the one before plus the amount, from zero to the wallet's.
//!
//! A wallet's chain begins with its name, and a transaction's id is derived from its header, so that
//! neither can be changed without all that hangs on it.
//!
//! What can't be seen from within: an event that was taken out of the outbox before it went out, and
//! a history that was rewritten from an entry on with all balances
//! and hashes behind it, every transaction of it balanced. It takes a copy of a later head hash
//! outside the database to see that, such as in an event that was published.

mod chain;
mod findings;
mod fingerprint;
mod merge;
mod outbox;
mod payouts;
mod progress;
mod refunds;
mod report;
mod scan;
mod wallets;

use std::num::NonZero;
use std::time::Instant;

use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

pub use findings::Check;
pub use progress::{Progress, Standing};
pub use report::{CheckReport, Report, Violation};

use crate::ledger::{Currency, Ledger, WalletRef};
use crate::postgres::verify as tables;
use crate::postgres::{Settings, wallets as wallet_rows};
use chain::Chunk;
use findings::{Detail, Findings, Place};
use merge::Chains;
use report::Scope;
use wallets::Wallets;

const CONNECTIONS_MAX: u32 = 8;

/// Why a verification came to no report. What it found wrong is in the report, not here.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// There is no such wallet.
    #[error("no wallet {wallet} in ledger {ledger}")]
    WalletNotFound {
        /// What was asked for.
        wallet: WalletRef,
        /// The ledger's name.
        ledger: String,
    },
    /// It was told to stop.
    #[error("stopped before the end: nothing is known about the rest")]
    Stopped,
    /// A worker panicked.
    #[error("a worker failed: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

/// How to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many connections read at the same time, 1 to 8. One more holds the snapshot.
    pub connections: u32,
}

impl Default for Options {
    /// As many connections as processors.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let connections = u32::try_from(processors).unwrap_or(CONNECTIONS_MAX);
        Self {
            connections: connections.clamp(1, CONNECTIONS_MAX),
        }
    }
}

/// Verifies a whole ledger as it stands now.
///
/// # Errors
/// Where the database fails, or `stop` is cancelled before the end.
pub async fn ledger(
    settings: &Settings,
    ledger: &Ledger,
    options: Options,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Report, VerifyError> {
    // Dropped half-way, the connections close and the server stops reading.
    stop.run_until_cancelled(whole(settings, ledger, options, progress))
        .await
        .ok_or(VerifyError::Stopped)?
}

async fn whole(
    settings: &Settings,
    ledger: &Ledger,
    options: Options,
    progress: &Progress,
) -> Result<Report, VerifyError> {
    let started = Instant::now();
    let mut conn = tables::connect(settings).await?;
    let snapshot = tables::open(&mut conn).await?;
    let mut findings = Findings::default();
    let mut wallets = Wallets::default();
    tables::wallets(&mut conn, ledger.id, None, |row| {
        wallets.add(row, &mut findings);
        progress.wallet();
    })
    .await?;
    let mut scope = Scope {
        currencies: wallets.check_totals(&mut findings),
        wallets: u64::try_from(wallets.len()).unwrap_or(u64::MAX),
        ..Scope::default()
    };
    let connections = options.connections.clamp(1, CONNECTIONS_MAX);
    let scan = scan::scan(
        settings,
        ledger.id,
        snapshot,
        wallets,
        connections,
        progress,
    );
    let others = async {
        let events = outbox::check(&mut conn, ledger, &mut findings).await?;
        let payouts = payouts::check(&mut conn, ledger, &mut findings).await?;
        let refunds = refunds::check(&mut conn, ledger, &mut findings).await?;
        Ok::<_, VerifyError>((events, payouts, refunds))
    };
    let (scanned, (events, payouts, refunds)) = tokio::try_join!(scan, others)?;
    scope.entries = scanned.entries;
    scope.transactions = scanned.transactions;
    scope.events = events;
    scope.payouts = payouts;
    scope.refunds = refunds;
    findings.merge(scanned.findings);
    if !scanned.sums.is_balanced() {
        name_unbalanced(&mut conn, ledger, &mut findings).await?;
    }
    if scanned.too_short || !scanned.sums.is_counted() {
        name_miscounted(&mut conn, ledger, &mut findings).await?;
    }
    let elapsed = started.elapsed();
    let report = report::write(&mut conn, ledger, scope, &Check::ALL, findings, elapsed).await?;
    conn.close().await?;
    Ok(report)
}

async fn name_unbalanced(
    conn: &mut PgConnection,
    ledger: &Ledger,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    let problem = "the transaction's entries don't sum to 0";
    let (count, place, detail) = match tables::unbalanced(conn, ledger.id).await? {
        Some(found) => (
            u64::try_from(found.count).unwrap_or(u64::MAX),
            Place {
                currency: found.currency.as_bytes().try_into().ok(),
                ..Place::of_transaction(found.transaction_id)
            },
            Detail::new(problem)
                .expected(0)
                .found(format!("{} {}", found.sum, found.currency)),
        ),
        None => (1, Place::default(), unnamed(problem)),
    };
    findings.add_many(Check::ZeroSum, count, place, detail);
    Ok(())
}

async fn name_miscounted(
    conn: &mut PgConnection,
    ledger: &Ledger,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    let (count, place, detail) = match tables::miscounted(conn, ledger.id, None).await? {
        Some(found) => (
            u64::try_from(found.count).unwrap_or(u64::MAX),
            Place::of_transaction(found.transaction_id),
            report::miscounted(found.expected, found.found),
        ),
        None => (
            1,
            Place::default(),
            unnamed("transactions and entries don't match"),
        ),
    };
    findings.add_many(Check::References, count, place, detail);
    Ok(())
}

/// The rows as they were read and the rows as a statement groups them don't agree.
fn unnamed(problem: &str) -> Detail {
    Detail::new(format!(
        "{problem}, and no statement can name where: the table or its indexes may be damaged"
    ))
}

/// Verifies the chain of one wallet, or of one in each currency where none is given: `balances`,
/// `versions`, `hash_chain`, and `references` to transactions. Reads by index.
///
/// # Errors
/// Where there is no such wallet, the database fails, or `stop` is cancelled before the end.
pub async fn wallet(
    settings: &Settings,
    ledger: &Ledger,
    wallet: &WalletRef,
    currency: Option<Currency>,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Report, VerifyError> {
    stop.run_until_cancelled(one(settings, ledger, wallet, currency, progress))
        .await
        .ok_or(VerifyError::Stopped)?
}

async fn one(
    settings: &Settings,
    ledger: &Ledger,
    wallet: &WalletRef,
    currency: Option<Currency>,
    progress: &Progress,
) -> Result<Report, VerifyError> {
    let started = Instant::now();
    let mut conn = tables::connect(settings).await?;
    tables::open(&mut conn).await?;
    let named = wallet_rows::find(&mut conn, ledger.id, wallet, currency).await?;
    if named.is_empty() {
        return Err(VerifyError::WalletNotFound {
            wallet: wallet.clone(),
            ledger: ledger.name.to_string(),
        });
    }
    let mut findings = Findings::default();
    let mut wallets = Wallets::default();
    for wallet in &named {
        tables::wallets(&mut conn, ledger.id, Some(wallet.id), |row| {
            wallets.add(row, &mut findings);
            progress.wallet();
        })
        .await?;
    }
    let mut chains = Chains::new(&wallets);
    let mut chunk = Chunk::default();
    let mut entries = 0_u64;
    for wallet in &named {
        tables::wallet_entries(&mut conn, ledger.id, wallet.id, |row| {
            chunk.entry(row, &wallets, &mut findings);
            entries = entries.saturating_add(1);
            progress.entries(1);
        })
        .await?;
        chunk.drain(|id, place, segment| chains.add(id, place, segment, &mut findings));
        if let Some(missing) = tables::miscounted(&mut conn, ledger.id, Some(wallet.id)).await? {
            findings.add_many(
                Check::References,
                u64::try_from(missing.count).unwrap_or(u64::MAX),
                Place::of_transaction(missing.transaction_id),
                report::miscounted(missing.expected, missing.found),
            );
        }
    }
    chains.finish(&wallets, &mut findings);
    let scope = Scope {
        // A wallet takes part in a transaction once.
        transactions: entries,
        entries,
        wallets: u64::try_from(wallets.len()).unwrap_or(u64::MAX),
        ..Scope::default()
    };
    let checks = [
        Check::Balances,
        Check::Versions,
        Check::HashChain,
        Check::References,
    ];
    let elapsed = started.elapsed();
    let report = report::write(&mut conn, ledger, scope, &checks, findings, elapsed).await?;
    conn.close().await?;
    Ok(report)
}
