//! The names that PSPs know payments and payouts by, over all ledgers.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{storable, unreadable};
use crate::ledger::Ledger;

/// What a reference stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// Money in.
    Payment,
    /// Money out.
    Payout,
}

impl SubjectKind {
    /// The name in the schema.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Payout => "payout",
        }
    }
}

/// What a PSP calls by a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The ledger that it belongs to.
    pub ledger: Ledger,
    /// Payment or payout.
    pub kind: SubjectKind,
    /// Its id.
    pub id: Uuid,
}

/// Takes a reference for ever: whether it was free.
///
/// # Errors
/// Where the database fails.
pub async fn take(
    conn: &mut PgConnection,
    psp: &str,
    reference: &str,
    ledger_id: i32,
    kind: SubjectKind,
    id: Uuid,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "INSERT INTO psp_references (psp, reference, ledger_id, kind, subject_id)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT ON CONSTRAINT psp_references_pkey DO NOTHING",
    )
    .bind(psp)
    .bind(reference)
    .bind(ledger_id)
    .bind(kind.as_str())
    .bind(id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a reference stands for; `None`: nothing of ours.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    psp: &str,
    reference: &str,
) -> sqlx::Result<Option<Subject>> {
    let mut found = find_all(conn, psp, &[reference]).await?;
    Ok(found.remove(reference))
}

/// What references stand for; those that are nothing of ours are left out.
///
/// # Errors
/// Where the database fails.
pub async fn find_all(
    conn: &mut PgConnection,
    psp: &str,
    references: &[&str],
) -> sqlx::Result<HashMap<String, Subject>> {
    let references: Vec<_> = references.iter().map(|text| storable(text)).collect();
    sqlx::query(
        "SELECT r.reference, r.kind, r.subject_id, l.id, l.name
         FROM psp_references r JOIN ledgers l ON l.id = r.ledger_id
         WHERE r.psp = $1 AND r.reference = ANY($2)",
    )
    .bind(psp)
    .bind(references)
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| Ok((row.try_get("reference")?, subject_of(row)?)))
    .collect()
}

fn subject_of(row: &PgRow) -> sqlx::Result<Subject> {
    let (kind, name): (&str, &str) = (row.try_get("kind")?, row.try_get("name")?);
    let kind = [SubjectKind::Payment, SubjectKind::Payout]
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| unreadable("kind of reference", kind))?;
    let ledger = Ledger {
        id: row.try_get("id")?,
        name: name.parse().map_err(|_| unreadable("ledger", name))?,
    };
    let id = row.try_get("subject_id")?;
    Ok(Subject { ledger, kind, id })
}
