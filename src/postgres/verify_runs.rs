//! What verifications of whole ledgers came to. Rows are permanent.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use super::audit::Actor;

/// A verification that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRun {
    /// The names of the checks that found something; none: nothing is wrong.
    pub failed_checks: Vec<String>,
    /// How many transactions were looked at.
    pub transactions: i64,
    /// How many entries were read.
    pub entries: i64,
    /// How many wallets were compared with their entries.
    pub wallets: i64,
    /// When it began, UTC.
    pub started_at: OffsetDateTime,
    /// When it ended, UTC.
    pub finished_at: OffsetDateTime,
}

/// How a ledger stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The ledger's name.
    pub ledger: String,
    /// When the ledger was made, UTC.
    pub made_at: OffsetDateTime,
    /// Its last verification as a whole; `None`: there was none yet.
    pub last: Option<VerifyRun>,
}

impl Verified {
    /// Since when nothing is known of it: its last verification, or its making.
    #[must_use]
    pub fn since(&self) -> OffsetDateTime {
        self.last
            .as_ref()
            .map_or(self.made_at, |run| run.finished_at)
    }

    /// Whether its last verification found something wrong.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|run| !run.failed_checks.is_empty())
    }
}

/// Writes a verification down.
///
/// # Errors
/// Where the database fails, or is one that only reads.
pub async fn record(
    conn: &mut PgConnection,
    ledger_id: i32,
    run: &VerifyRun,
    actor: &Actor,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO verify_runs (ledger_id, ok, failed_checks, transactions, entries, wallets,
                                  run_by, run_from, started_at, finished_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(ledger_id)
    .bind(run.failed_checks.is_empty())
    .bind(&run.failed_checks)
    .bind(run.transactions)
    .bind(run.entries)
    .bind(run.wallets)
    .bind(&actor.name)
    .bind(&actor.host)
    .bind(run.started_at)
    .bind(run.finished_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Each ledger with its last verification, in order of name.
///
/// # Errors
/// Where the database fails.
pub async fn last(conn: &mut PgConnection) -> sqlx::Result<Vec<Verified>> {
    let rows = sqlx::query(
        "SELECT l.name, l.created_at, v.*
         FROM ledgers l LEFT JOIN LATERAL (
             SELECT failed_checks, transactions, entries, wallets, started_at, finished_at
             FROM verify_runs WHERE ledger_id = l.id ORDER BY id DESC LIMIT 1) v ON true
         ORDER BY l.name",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let finished_at: Option<OffsetDateTime> = row.try_get("finished_at")?;
            let last = match finished_at {
                None => None,
                Some(finished_at) => Some(VerifyRun {
                    failed_checks: row.try_get("failed_checks")?,
                    transactions: row.try_get("transactions")?,
                    entries: row.try_get("entries")?,
                    wallets: row.try_get("wallets")?,
                    started_at: row.try_get("started_at")?,
                    finished_at,
                }),
            };
            Ok(Verified {
                ledger: row.try_get("name")?,
                made_at: row.try_get("created_at")?,
                last,
            })
        })
        .collect()
}
