//! Runs that were made.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

/// A run over a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// Its id; later ones are greater.
    pub id: Uuid,
    /// Whose statement it was: `psp:<name>` or `bank:<name>`.
    pub wallet: String,
    /// How the statement is written.
    pub format: String,
    /// As the file was called.
    pub file_name: String,
    /// SHA-256 of the file.
    pub file_hash: [u8; 32],
    /// The time that it speaks of; `None`: it has no booked line.
    pub covers: Option<(OffsetDateTime, OffsetDateTime)>,
    /// Booked lines that could be read.
    pub lines: i64,
    /// Of them, how many were recorded before.
    pub known: i64,
    /// Lines that may move money later.
    pub pending: i64,
    /// Lines that could not be read.
    pub broken: i64,
    /// Lines that were matched, some of them of earlier files.
    pub matched: i64,
    /// Discrepancies that it opened.
    pub opened: i64,
    /// Discrepancies that it closed.
    pub resolved: i64,
    /// Who started it.
    pub started_by: String,
    /// When, UTC.
    pub started_at: OffsetDateTime,
    /// When it was written, UTC.
    pub finished_at: OffsetDateTime,
}

/// Writes a run.
///
/// # Errors
/// Where the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    ledger_id: i32,
    run: &Reconciliation,
) -> sqlx::Result<()> {
    let (from, to) = run.covers.unzip();
    sqlx::query(
        "INSERT INTO reconciliations (
             ledger_id, id, wallet, format, file_name, file_hash, covers_from, covers_to, lines,
             known, pending, broken, matched, opened, resolved, started_by, started_at, finished_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(ledger_id)
    .bind(run.id)
    .bind(&run.wallet)
    .bind(&run.format)
    .bind(&run.file_name)
    .bind(&run.file_hash[..])
    .bind(from)
    .bind(to)
    .bind(run.lines)
    .bind(run.known)
    .bind(run.pending)
    .bind(run.broken)
    .bind(run.matched)
    .bind(run.opened)
    .bind(run.resolved)
    .bind(&run.started_by)
    .bind(run.started_at)
    .bind(run.finished_at)
    .execute(conn)
    .await?;
    Ok(())
}

fn read(row: &PgRow) -> sqlx::Result<Reconciliation> {
    let (from, to): (Option<OffsetDateTime>, Option<OffsetDateTime>) =
        (row.try_get("covers_from")?, row.try_get("covers_to")?);
    let hash: Vec<u8> = row.try_get("file_hash")?;
    let file_hash = hash.try_into();
    Ok(Reconciliation {
        id: row.try_get("id")?,
        wallet: row.try_get("wallet")?,
        format: row.try_get("format")?,
        file_name: row.try_get("file_name")?,
        file_hash: file_hash.map_err(|_| sqlx::Error::Decode("a hash of another length".into()))?,
        covers: from.zip(to),
        lines: row.try_get("lines")?,
        known: row.try_get("known")?,
        pending: row.try_get("pending")?,
        broken: row.try_get("broken")?,
        matched: row.try_get("matched")?,
        opened: row.try_get("opened")?,
        resolved: row.try_get("resolved")?,
        started_by: row.try_get("started_by")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}

/// A run.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
) -> sqlx::Result<Option<Reconciliation>> {
    let row = sqlx::query("SELECT * FROM reconciliations WHERE ledger_id = $1 AND id = $2")
        .bind(ledger_id)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Runs before one, the newest first.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    conn: &mut PgConnection,
    ledger_id: i32,
    wallet: Option<&str>,
    before: Option<Uuid>,
    rows: i64,
) -> sqlx::Result<Vec<Reconciliation>> {
    let found = sqlx::query(
        "SELECT * FROM reconciliations
         WHERE ledger_id = $1 AND ($2::text IS NULL OR wallet = $2) AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
    )
    .bind(ledger_id)
    .bind(wallet)
    .bind(before)
    .bind(rows)
    .fetch_all(conn)
    .await?;
    found.iter().map(read).collect()
}
